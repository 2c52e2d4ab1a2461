/** What a pipeline's rows say: the JSON of `pipelines.config`, and its streams with theirs. */
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';
import type { PipelineStreamsTable } from '../../metadata/tables.ts';
import { type QualityRule, qualityRuleSchema } from '../../layers/quality-rules.ts';
import { columnTypeSchema } from '../../layers/types.ts';
import type { LayerName, RetrySettings } from '../flows/activities.ts';

const rules = z.array(qualityRuleSchema).default([]);

const streamSchema = z.object({
  cursor_column: z.string().nullish(),
  lookback_seconds: z.number().min(0).nullish(),
  key: z.array(z.string()).nullish(),
  /** Types in silver. */
  columns: z.record(z.string(), columnTypeSchema).default({}),
  quality_rules: rules,
});

const retrySchema = z.object({
  max_attempts: z.number().default(5),
  initial_delay_ms: z.number().default(1000),
  max_delay_ms: z.number().default(60_000),
  backoff_multiplier: z.number().default(2),
  permanent_error_codes: z.array(z.string()).default([]),
});

const configSchema = z.object({
  schema: z.string().nullish(),
  load: z.enum(['upsert', 'append', 'replace']).default('upsert'),
  deletes: z.enum(['hard', 'soft', 'ignore']).default('hard'),
  schema_changes: z.enum(['evolve', 'pause', 'ignore']).default('evolve'),
  layers: z
    .object({
      bronze: z.boolean().default(true),
      silver: z.boolean().default(true),
      gold: z.boolean().default(true),
      silver_mode: z.enum(['current', 'history']).default('current'),
      models: z.array(z.string()).nullish(),
    })
    .prefault({}),
  quality_rules: rules,
  retry_policy: retrySchema.nullish(),
  event_time_column: z.string().nullish(),
});

/** `stream`: a glob over `namespace.name`. */
export type StreamConfig = z.output<typeof streamSchema> & { readonly stream: string };
export type PipelineConfig = z.output<typeof configSchema> & {
  readonly streams: readonly StreamConfig[];
};

function parse<T>(schema: z.ZodType<T>, json: string): T {
  const parsed = schema.safeParse(JSON.parse(json));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ForebayError('configuration_invalid', {
    message: `the pipeline's ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  });
}

export function readPipelineConfig(
  json: string,
  streams: readonly Pick<PipelineStreamsTable, 'stream' | 'config'>[],
): PipelineConfig {
  return {
    ...parse(configSchema, json),
    streams: streams.map(({ stream, config }) => ({ ...parse(streamSchema, config), stream })),
  };
}

export const LAYERS: readonly LayerName[] = ['bronze', 'silver', 'gold'];
/** Pipelines that follow their source, or only land rows, have no layers beyond what they write. */
const LAYERS_OF_KIND: Readonly<Record<string, readonly LayerName[]>> = {
  etl: LAYERS,
  sync: ['bronze', 'silver'],
  ingestion: ['bronze'],
  replication: [],
};

export function layersOf(kind: string, { layers }: PipelineConfig): readonly LayerName[] {
  return (LAYERS_OF_KIND[kind] ?? LAYERS).filter((layer) => layers[layer]);
}

/** In place of the table of retries; null where the pipeline has none. */
export function retryOf({ retry_policy: policy }: PipelineConfig): RetrySettings | null {
  if (policy === null || policy === undefined) return null;
  return {
    maxAttempts: policy.max_attempts,
    initialDelayMs: policy.initial_delay_ms,
    maxDelayMs: policy.max_delay_ms,
    multiplier: policy.backoff_multiplier,
    permanentCodes: policy.permanent_error_codes,
  };
}

/** Globs over `namespace.name`. */
export function selectionOf({ streams }: PipelineConfig): readonly string[] {
  return streams.map(({ stream }) => stream);
}

export function rulesOf(config: PipelineConfig, stream: StreamConfig | null): QualityRule[] {
  return [...config.quality_rules, ...(stream?.quality_rules ?? [])];
}

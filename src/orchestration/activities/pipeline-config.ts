/** What a pipeline's row says beside its columns: the JSON of `pipelines.config`. */
import { z } from 'zod';
import { ForebayError } from '../../core/errors.ts';
import { parseDurationMs } from '../../core/duration.ts';
import type { LayerName, RetrySettings } from '../flows/activities.ts';

const duration = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = typeof value === 'number' ? value : parseDurationMs(value);
  if (ms !== null && Number.isFinite(ms) && ms >= 0) return ms;
  context.addIssue('must be a duration such as 1s or 5m');
  return z.NEVER;
});

const streamConfig = z.object({
  stream: z.string(),
  cursor_column: z.string().nullish(),
  lookback_seconds: z.number().min(0).nullish(),
  key: z.array(z.string()).nullish(),
  quality_rules: z.array(z.unknown()).default([]),
});

const configSchema = z.object({
  streams: z
    .array(
      z.union([z.string().transform((stream) => ({ stream, quality_rules: [] })), streamConfig]),
    )
    .default([]),
  schema: z.string().nullish(),
  load: z.enum(['upsert', 'append', 'replace']).default('upsert'),
  deletes: z.enum(['hard', 'soft', 'ignore']).default('hard'),
  schema_changes: z.enum(['evolve', 'pause', 'ignore']).default('evolve'),
  layers: z
    .object({
      bronze: z.boolean().default(true),
      silver: z.boolean().default(true),
      gold: z.boolean().default(false),
      silver_mode: z.enum(['current', 'history']).default('current'),
      models: z.array(z.string()).nullish(),
    })
    .prefault({}),
  quality_rules: z.array(z.unknown()).default([]),
  retry_policy: z
    .object({
      max_attempts: z.number().int().min(1),
      initial_delay: duration,
      max_delay: duration,
      backoff_multiplier: z.number().min(1),
      permanent_error_codes: z.array(z.string()).default([]),
    })
    .partial()
    .nullish(),
  event_time_column: z.string().nullish(),
});

export type PipelineConfig = z.output<typeof configSchema>;
export type StreamConfig = PipelineConfig['streams'][number] & {
  readonly cursor_column?: string | null | undefined;
  readonly lookback_seconds?: number | null | undefined;
  readonly key?: readonly string[] | null | undefined;
};

export function readPipelineConfig(json: string): PipelineConfig {
  const parsed = configSchema.safeParse(JSON.parse(json));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ForebayError('configuration_invalid', {
    message: `the pipeline's ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not valid'}`,
  });
}

export function layersOf({ layers }: PipelineConfig): readonly LayerName[] {
  return (['bronze', 'silver', 'gold'] as const).filter((layer) => layers[layer]);
}

/** In place of the table of retries; null where the pipeline has none. */
export function retryOf({ retry_policy: policy }: PipelineConfig): RetrySettings | null {
  if (policy === null || policy === undefined) return null;
  return {
    maxAttempts: policy.max_attempts ?? 5,
    initialDelayMs: policy.initial_delay ?? 1000,
    maxDelayMs: policy.max_delay ?? 60_000,
    multiplier: policy.backoff_multiplier ?? 2,
    permanentCodes: policy.permanent_error_codes ?? [],
  };
}

/** Globs over `namespace.name`. */
export function selectionOf({ streams }: PipelineConfig): readonly string[] {
  return streams.map(({ stream }) => stream);
}

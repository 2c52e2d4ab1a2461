/** Pipelines as they are written and read. */
import { z } from 'zod';
import { day, identifierText, name, nextCursor, time, uuid, version } from './fields.ts';
import { qualityRuleSchema, qualityRulesSchema } from '../../layers/quality-rules.ts';
import { retryPolicy } from './retry-policy.ts';
import { columnTypeSchema } from '../../layers/types.ts';
import { scheduleFields, SCHEDULE_TYPES, OVERLAP_POLICIES } from './schedules.ts';

export const PIPELINE_KINDS = ['etl', 'sync', 'ingestion', 'replication'] as const;

// Named in the description of the API.
qualityRuleSchema.register(z.globalRegistry, { id: 'QualityRule' });

const streamSelection = z
  .strictObject({
    stream: identifierText.meta({ description: 'Name or glob.', examples: ['public.orders'] }),
    cursor_column: identifierText
      .optional()
      .meta({ description: 'Column by which only newer rows are read.' }),
    lookback_seconds: z
      .int()
      .min(0)
      .max(315_360_000)
      .optional()
      .meta({ description: 'How far before the cursor is read again, for rows that came late.' }),
    key: z.array(identifierText).min(1).max(100).optional(),
    columns: z
      .record(identifierText, columnTypeSchema)
      .optional()
      .meta({ description: 'Types that columns have in silver; left out, that of bronze.' }),
    quality_rules: qualityRulesSchema.optional(),
  })
  .meta({ id: 'StreamSelection' });

const streams = z
  .array(z.union([identifierText, streamSelection]))
  .min(1)
  .max(10_000)
  .refine(
    (list) =>
      new Set(list.map((item) => (typeof item === 'string' ? item : item.stream))).size ===
      list.length,
    'names a stream twice',
  )
  .meta({ description: 'Names or globs of what is moved, or objects that say more.' });

const layers = z
  .strictObject({
    bronze: z.boolean().default(true),
    silver: z.boolean().default(true),
    gold: z.boolean().default(true),
    silver_mode: z.enum(['current', 'history']).default('current'),
    models: z
      .array(identifierText)
      .max(10_000)
      .optional()
      .meta({ description: 'Models that are built; left out, all.' }),
  })
  .refine(({ bronze, silver }) => bronze || !silver, {
    path: ['silver'],
    message: 'silver is made of bronze, which is off',
  })
  .meta({ id: 'Layers', description: 'Which layers an execution of kind etl builds.' });

/** What the column `config` of a pipeline holds beside its streams. */
const settings = {
  schema: identifierText.max(63).optional().meta({
    description: 'Schema at the destination, of a replication; left out, that of the source.',
  }),
  load: z
    .enum(['upsert', 'append', 'replace'])
    .optional()
    .meta({ description: 'How a replication writes; left out, upsert.' }),
  deletes: z
    .enum(['hard', 'soft', 'ignore'])
    .optional()
    .meta({ description: 'What a replication does with deleted rows; left out, hard.' }),
  schema_changes: z
    .enum(['evolve', 'pause', 'ignore'])
    .optional()
    .meta({ description: 'What becomes of columns that are added or widened; left out, evolve.' }),
  layers: layers.optional(),
  quality_rules: qualityRulesSchema.optional().meta({ description: 'For every stream.' }),
  retry_policy: retryPolicy.optional(),
  event_time_column: identifierText
    .optional()
    .meta({ description: 'Time of a row, for date ranges where a stream has no cursor column.' }),
} as const;

export const pipelineSettingsSchema = z.strictObject(settings);
export type PipelineSettings = z.output<typeof pipelineSettingsSchema>;

export const pipelineInput = z
  .strictObject({
    name,
    kind: z.enum(PIPELINE_KINDS).default('etl').meta({
      description:
        'etl builds bronze, silver and gold; sync bronze and silver; ingestion bronze; replication follows its source.',
    }),
    source_connection_id: uuid,
    destination_connection_id: uuid,
    streams,
    ...settings,
    benthos_configuration_ids: z
      .array(uuid)
      .max(100)
      .refine((ids) => new Set(ids).size === ids.length, 'names one twice')
      .optional()
      .meta({ description: 'In the order in which they run.' }),
    ...scheduleFields,
    is_active: z.boolean().default(true),
  })
  .meta({ id: 'PipelineInput' });
export type PipelineInput = z.output<typeof pipelineInput>;

export const pipelineSchema = z
  .object({
    id: uuid,
    name: z.string(),
    kind: z.string(),
    source_connection_id: uuid,
    destination_connection_id: uuid,
    streams,
    ...settings,
    benthos_configuration_ids: z.array(uuid),
    schedule_type: z.enum(SCHEDULE_TYPES),
    cron_expression: z.string().nullable(),
    interval_seconds: z.int().nullable(),
    time_zone: z.string(),
    overlap_policy: z.enum(OVERLAP_POLICIES),
    catchup_window_seconds: z.int(),
    is_active: z.boolean(),
    last_run_at: time.nullable(),
    last_run_status: z.string().nullable(),
    next_run_at: time.nullable(),
    workflow_id: z.string().meta({ description: 'Of its replication; the id of the pipeline.' }),
    version,
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Pipeline' });

export const pipelineListSchema = z.object({
  pipelines: z.array(pipelineSchema),
  next_cursor: nextCursor,
});

/** First and last day, both inclusive. */
export const dateRange = z
  .strictObject({ start: day, end: day })
  .refine(({ start, end }) => start <= end, { path: ['end'], message: 'is before start' })
  .meta({ description: 'Days in UTC, both inclusive.' });

export const executionParameters = z
  .strictObject({
    date_range: dateRange.optional(),
    force: z
      .boolean()
      .default(false)
      .meta({ description: 'Read again what the cursor says is done.' }),
  })
  .meta({ id: 'ExecutionParameters' });
export type ExecutionParameters = z.output<typeof executionParameters>;

export const executeInput = z
  .strictObject({ parameters: executionParameters.optional() })
  .optional();

export const scheduledSchema = z
  .object({
    execution_id: uuid,
    status: z.literal('scheduled'),
    estimated_start: time,
  })
  .meta({ id: 'ScheduledExecution' });

export const compareInput = z
  .strictObject({ streams: z.array(identifierText).min(1).max(10_000).optional() })
  .optional();

export const comparisonSchema = z
  .object({
    identical: z.boolean(),
    streams: z.array(
      z.object({
        stream: z.string(),
        identical: z.boolean(),
        source_rows: z.int().nullable(),
        destination_rows: z.int().nullable(),
        differing_rows: z.int().nullable(),
      }),
    ),
  })
  .meta({ id: 'Comparison' });
export type Comparison = z.output<typeof comparisonSchema>;

export const pipelineStateSchema = z
  .object({
    pipeline_id: uuid,
    state: z.enum(['starting', 'running', 'paused', 'stopping', 'stopped']),
    workflow_id: z
      .string()
      .meta({ description: 'Of that execution; the id of the pipeline where none is open.' }),
    execution_id: uuid
      .nullable()
      .meta({ description: 'What was started, runs or is stopped; null where none is open.' }),
  })
  .meta({
    id: 'PipelineState',
    description: 'Of the replication of the pipeline, or of its execution.',
  });
export type PipelineState = z.output<typeof pipelineStateSchema>;

export const deletePipelineQuery = z.strictObject({
  leave: z.enum(['true', 'false']).optional().meta({
    description:
      'Deletes it without asking its systems; what they keep of it stays there and is named in the answer.',
  }),
});

const keptPartSchema = z.object({
  at: z.enum(['source', 'destination']),
  kind: z.string().meta({ description: 'A replication slot, for instance.' }),
  name: z.string(),
});
export type KeptPart = z.output<typeof keptPartSchema>;

export const deletedPipelineSchema = z
  .object({
    id: uuid,
    left: z
      .array(keptPartSchema)
      .meta({ description: 'What its systems may still keep of it, to be removed by hand.' }),
  })
  .meta({ id: 'DeletedPipeline' });

/** Each is one that the source must have, so that a mistake is told at once. */
export const resyncInput = z
  .strictObject({
    streams: z
      .array(identifierText)
      .min(1)
      .max(100)
      .refine((list) => new Set(list).size === list.length, 'names a stream twice')
      .meta({ description: 'Names of streams that are read again in full; no globs.' }),
  })
  .meta({ id: 'ResyncInput' });

export const resyncedSchema = z
  .object({
    pipeline_id: uuid,
    execution_id: uuid.meta({ description: 'Whose log tells when a stream has been read again.' }),
    state: z
      .enum(['running', 'paused'])
      .meta({ description: 'While it is paused, the demand waits until it is resumed.' }),
    streams: z.array(z.string()),
  })
  .meta({ id: 'Resync' });
export type Resynced = z.output<typeof resyncedSchema>;

/** Executions, their logs and their lineage. */
import { z } from 'zod';
import { day, json, nextCursor, pageQuery, time, uuid } from './fields.ts';
import { executionParameters } from './pipelines.ts';

export const EXECUTION_STATUSES = [
  'scheduled',
  'running',
  'completed',
  'failed',
  'cancelled',
] as const;
const LAYER_STATUSES = ['pending', 'running', 'completed', 'failed', 'skipped'] as const;
const LOG_LEVELS = ['debug', 'info', 'warning', 'error'] as const;
export const LAYERS = ['bronze', 'silver', 'gold'] as const;

export const executionsQuery = z.strictObject({
  ...pageQuery,
  pipeline_id: uuid.optional(),
  status: z.enum(EXECUTION_STATUSES).optional(),
  date_from: day.optional().meta({ description: 'First day of started_at, UTC, inclusive.' }),
  date_to: day.optional().meta({ description: 'Last day of started_at, UTC, inclusive.' }),
});

const layerStatus = z.enum(LAYER_STATUSES);
const count = z.int().nullable();
const durationMs = z.int().nullable();

const layersSchema = z.object({
  bronze: z.object({
    status: layerStatus,
    records: count,
    size_mb: z.number().nullable().meta({ description: '10^6 bytes, as read from the source.' }),
    duration_ms: durationMs,
  }),
  silver: z.object({
    status: layerStatus,
    records: count,
    records_filtered: count,
    records_deduplicated: count,
    duration_ms: durationMs,
  }),
  gold: z.object({
    status: layerStatus,
    tables_updated: z.array(z.string()),
    duration_ms: durationMs,
  }),
});

export const executionSchema = z
  .object({
    id: uuid,
    pipeline_id: uuid,
    pipeline_name: z.string(),
    status: z.enum(EXECUTION_STATUSES),
    layers: layersSchema,
    total_duration_ms: durationMs,
    started_at: time.nullable(),
    completed_at: time.nullable(),
  })
  .meta({ id: 'Execution' });

export const executionDetailSchema = executionSchema
  .extend({
    trigger: z.enum(['manual', 'schedule', 'backfill', 'api']),
    records_processed: count,
    records_failed: count,
    size_bytes: count,
    error: json.nullable().meta({ description: 'Code, class, message and what to do.' }),
    scheduled_at: time,
    workflow: z.string(),
    workflow_id: z.string(),
    run_id: z
      .string()
      .nullable()
      .meta({ description: 'Run of the workflow that does it; null until it is known.' }),
    parameters: json,
    output: json.nullable(),
    retry: json
      .nullable()
      .meta({ description: 'Of what is tried again: attempt, cause, next try.' }),
  })
  .meta({ id: 'ExecutionDetail' });

export const executionListSchema = z.object({
  executions: z.array(executionSchema),
  next_cursor: nextCursor,
});

export const triggerInput = z
  .strictObject({ pipeline_id: uuid, parameters: executionParameters.optional() })
  .meta({ id: 'TriggerInput' });

export const logsQuery = z.strictObject({
  ...pageQuery,
  limit: z.coerce.number().int().min(1).max(1000).default(1000),
});

export const logLineSchema = z
  .object({
    timestamp: time,
    level: z.enum(LOG_LEVELS),
    layer: z.enum(LAYERS).nullable(),
    message: z.string(),
  })
  .meta({ id: 'LogLine' });

export const logsSchema = z.object({ logs: z.array(logLineSchema), next_cursor: nextCursor });

export const lineageQuery = z.strictObject({
  ...pageQuery,
  limit: z.coerce.number().int().min(1).max(1000).default(200),
});

export const lineageSchema = z.object({
  lineage: z.array(
    z
      .object({
        layer: z.enum(LAYERS),
        table: z.string().meta({ description: 'Of the layer, without its schema.' }),
        column: z.string().meta({ description: '`*` where only tables are known.' }),
        source_table: z.string().meta({ description: 'With its schema; of bronze the stream.' }),
        source_column: z.string(),
      })
      .meta({ id: 'LineageEdge' }),
  ),
  next_cursor: nextCursor,
});

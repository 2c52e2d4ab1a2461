/** The quality of what executions moved, and the rows that broke a rule. */
import { z } from 'zod';
import { LAYERS } from './executions.ts';
import { day, nextCursor, pageQuery, time, uuid } from './fields.ts';

const score = z
  .number()
  .nullable()
  .meta({ description: '100 x valid / total, two decimals; null where there was nothing.' });

export const dataQualitySchema = z
  .object({
    quality_metrics: z.object({
      last_24h: z.object({
        total_records: z.int(),
        valid_records: z.int(),
        quality_score: score,
        issues: z
          .object({ missing_fields: z.int(), invalid_types: z.int(), duplicates: z.int() })
          .catchall(z.int()),
      }),
    }),
    by_pipeline: z.array(
      z.object({
        pipeline_id: uuid,
        pipeline_name: z.string(),
        quality_score: score,
        issues: z.int(),
      }),
    ),
  })
  .meta({ id: 'DataQuality' });

/** Shorter than names may be in a body: all of an address, percent-encoded, is to fit into 16 KiB. */
const nameFilter = z.string().min(1).max(300);

export const metricsQuery = z.strictObject({
  ...pageQuery,
  execution_id: uuid.optional(),
  pipeline_id: uuid.optional(),
  layer: z.enum(LAYERS).optional(),
  stream: nameFilter.optional(),
  rule: nameFilter.optional().meta({ description: 'Its name; totals have none.' }),
  date_from: day.optional().meta({ description: 'First day of recorded_at, UTC, inclusive.' }),
  date_to: day.optional().meta({ description: 'Last day of recorded_at, UTC, inclusive.' }),
});

export const metricsSchema = z.object({
  metrics: z.array(
    z
      .object({
        execution_id: uuid,
        pipeline_id: uuid,
        layer: z.enum(LAYERS),
        stream: z.string(),
        rule: z.string().nullable().meta({ description: 'Null for totals.' }),
        metric_type: z
          .string()
          .meta({ examples: ['total_records', 'valid_records', 'missing_fields'] }),
        count: z.int(),
        severity: z.string().meta({ examples: ['info', 'warn', 'filter', 'fail'] }),
        recorded_at: time,
      })
      .meta({ id: 'QualityMetric' }),
  ),
  next_cursor: nextCursor,
});

export const quarantineQuery = z.strictObject({
  stream: nameFilter
    .optional()
    .meta({ description: 'Name of one; left out, one stream of the pipeline after the other.' }),
  rule: nameFilter.optional().meta({ description: 'Name of a rule that they broke.' }),
  limit: pageQuery.limit,
});

const quarantinedRow = z
  .object({
    stream: z.string(),
    rule: z.string(),
    action: z.string().meta({ examples: ['filter', 'warn', 'fail'] }),
    execution_id: z.string().nullable().meta({ description: 'Which brought it into bronze.' }),
    op: z.string().nullable(),
    position: z.string().nullable(),
    quarantined_at: time.nullable(),
    row: z.record(z.string(), z.string().nullable()).meta({
      description: 'Columns as in bronze; values as text, the first 4096 characters of each.',
    }),
  })
  .meta({ id: 'QuarantinedRow' });
export type QuarantinedRow = z.output<typeof quarantinedRow>;

export const quarantineSchema = z.object({
  quarantined_rows: z.array(quarantinedRow),
  next_cursor: z.null(),
});

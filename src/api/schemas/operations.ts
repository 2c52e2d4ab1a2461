/** Events, models, Benthos configurations, and the state of the server. */
import { z } from 'zod';
import { json, name, nextCursor, time, uuid, version } from './fields.ts';

export const EVENT_TYPES = [
  'execution.started',
  'execution.completed',
  'execution.failed',
  'layer.completed',
  'quality.issue_detected',
  'records.rejected',
  'schedule.skipped',
] as const;

export const eventSchema = z
  .object({
    specversion: z.literal('1.0'),
    id: z.string(),
    source: z.string(),
    type: z.string().meta({ examples: [...EVENT_TYPES] }),
    subject: z.string(),
    time,
    datacontenttype: z.literal('application/json'),
    data: json,
  })
  .meta({ id: 'Event', description: 'CloudEvents 1.0.' });
export const eventListSchema = z.object({
  events: z.array(eventSchema),
  next_cursor: nextCursor,
});

export const modelSchema = z
  .object({
    name: z.string(),
    materialization: z.string(),
    description: z.string().nullable(),
    depends_on: z.array(z.string()),
    file: z.string(),
  })
  .meta({ id: 'Model' });
export const modelListSchema = z.object({
  models: z.array(modelSchema),
  next_cursor: nextCursor,
});

export const benthosInput = z
  .strictObject({
    name,
    configuration: z
      .string()
      .min(1)
      .max(524_288)
      .meta({ description: 'YAML or JSON of the pipeline.' }),
  })
  .meta({ id: 'BenthosConfigurationInput' });
export const benthosSchema = z
  .object({
    id: uuid,
    name: z.string(),
    configuration: z.string(),
    version,
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'BenthosConfiguration' });
export const benthosListSchema = z.object({
  benthos_configurations: z.array(benthosSchema),
  next_cursor: nextCursor,
});
export const lintSchema = z
  .object({
    valid: z.boolean(),
    findings: z.array(
      z.object({
        line: z.int().nullable(),
        column: z.int().nullable(),
        severity: z.enum(['error', 'warning']),
        message: z.string(),
      }),
    ),
  })
  .meta({ id: 'Lint' });
export type Lint = z.output<typeof lintSchema>;

export const liveSchema = z.object({ status: z.literal('ok') });
export const readySchema = z
  .object({
    status: z.enum(['ok', 'failed']),
    checks: z.record(z.string(), z.enum(['ok', 'failed'])),
  })
  .meta({ id: 'Readiness' });

/**
 * Transformations of a pipeline. Modules and files of the server, which a configuration file may name, cannot be named
 * by a request.
 */
import { z } from 'zod';
import { identifierText, json } from './fields.ts';

const errorHandling = z
  .strictObject({
    on_error: z.enum(['skip', 'retry', 'fail_stream', 'dead_letter']).default('fail_stream'),
    max_retries: z.int().min(0).max(1000).default(3),
    retry_delay_ms: z.int().min(1).max(3_600_000).default(1000),
  })
  .meta({ description: 'What happens to an event that the transformation refuses.' });

const columnName = identifierText;

const step = {
  filter: z.string().min(1).max(10_000).optional(),
  mapping: z
    .strictObject({
      rename: z.record(columnName, columnName).optional(),
      drop: z.array(columnName).optional(),
      cast: z.record(columnName, z.string().min(1).max(100)).optional(),
      set: z.record(columnName, json).optional(),
    })
    .optional(),
  mask: z
    .record(
      columnName,
      z
        .object({
          method: z.enum(['hash', 'redact', 'truncate', 'tokenise', 'format_preserving']),
        })
        .catchall(json),
    )
    .optional(),
};

export const transformationSchema = z
  .discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('kazaam'),
      specification: z.strictObject({
        spec: z.array(z.object({}).catchall(json)),
        mode: z.enum(['compat', 'strict']).default('compat'),
        dialect: z.enum(['kazaam', 'extended']).default('kazaam'),
      }),
      error_handling: errorHandling.optional(),
    }),
    z.strictObject({
      type: z.literal('custom'),
      specification: z.strictObject({
        ...step,
        steps: z.array(z.strictObject(step)).min(1).max(100).optional(),
      }),
      error_handling: errorHandling.optional(),
    }),
  ])
  .meta({ id: 'Transformation', description: 'What happens to rows on their way.' });

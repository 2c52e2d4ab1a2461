/** The lane's part of what the destination remembers of a stream; a member of the record's detail. */
import { z } from 'zod';
import type { StreamRecord } from '../../core/checkpoint.ts';
import { ForebayError } from '../../core/errors.ts';
import type { LogicalType } from '../../core/value.ts';
import type { LaneShape } from './lane-shape.ts';

const MEMBER = 'transformed';

const typeSchema: z.ZodType<LogicalType> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('int'), bits: z.literal([16, 32, 64]) }),
    z.object({ kind: z.literal('float'), bits: z.literal([32, 64]) }),
    z.object({
      kind: z.literal('decimal'),
      precision: z.number().nullable(),
      scale: z.number().nullable(),
    }),
    z.object({ kind: z.literal('timestamp'), zoned: z.boolean() }),
    z.object({ kind: z.literal('array'), element: typeSchema, dimensions: z.number() }),
    z.object({
      kind: z.literal([
        'boolean',
        'text',
        'bytes',
        'date',
        'time',
        'interval',
        'uuid',
        'json',
        'other',
      ]),
    }),
  ]),
);

const nameSchema = z.object({ namespace: z.string(), name: z.string() });

const sourceSchema = z.object({
  id: z.string(),
  table: nameSchema,
  load: z.enum(['upsert', 'append', 'replace']),
  deletes: z.enum(['hard', 'soft', 'ignore']),
  schema: z.object({
    stream: nameSchema,
    ref: z.string(),
    version: z.number(),
    columns: z.array(
      z.object({
        name: z.string(),
        type: typeSchema,
        nativeType: z.string(),
        nullable: z.boolean(),
        ref: z.string(),
      }),
    ),
    computed: z.array(z.never()),
    identity: z.enum(['key', 'whole-row', 'none']),
    key: z.array(z.number()),
    family: z.string(),
    rawText: z.boolean(),
  }),
});

const shapeSchema = z.object({
  version: z.number(),
  transformation: z.string(),
  key: z.enum(['fields', 'hash', 'none']),
  keyColumns: z.array(z.number()),
  columns: z.array(
    z.object({
      path: z.array(z.string()),
      name: z.string(),
      type: typeSchema,
      nativeType: z.string(),
      from: z.string().nullable(),
    }),
  ),
  source: sourceSchema,
});

const detailSchema = z.looseObject({ [MEMBER]: shapeSchema.optional() });

function readDetail(record: StreamRecord): z.infer<typeof detailSchema> {
  let json: unknown;
  try {
    json = JSON.parse(record.detail);
  } catch {
    // Not JSON at all: told below as what does not match.
    json = null;
  }
  const parsed = detailSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new ForebayError('checkpoint_corrupt', {
    message: `what the destination remembers of ${record.stream} cannot be read`,
    why: parsed.error.issues[0]?.message ?? 'not valid',
    stream: record.stream,
  });
}

/** Null where the stream was never transformed. */
export function shapeOf(record: StreamRecord): LaneShape | null {
  return readDetail(record)[MEMBER] ?? null;
}

export function withShape(record: StreamRecord, shape: LaneShape): StreamRecord {
  const { schema } = shape.source;
  const columns = schema.columns.map(({ name, type, nativeType, nullable, ref }) => ({
    name,
    type,
    nativeType,
    nullable,
    ref,
  }));
  const kept = { ...schema, columns, computed: [], rawText: schema.rawText ?? false };
  const state = { ...shape, source: { ...shape.source, schema: kept } };
  return { ...record, detail: JSON.stringify({ ...readDetail(record), [MEMBER]: state }) };
}

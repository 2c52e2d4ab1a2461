/** What the engine remembers of a stream between runs; stands as JSON in the destination. */
import { z } from 'zod';
import type { StreamRecord, StreamState } from '../core/checkpoint.ts';
import type { StreamTarget } from '../core/connector.ts';
import { type ErrorCode, ERROR_TABLE, ForebayError } from '../core/errors.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { LogicalType } from '../core/value.ts';

const logicalTypeSchema: z.ZodType<LogicalType> = z.lazy(() =>
  z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('int'),
      bits: z.union([z.literal(16), z.literal(32), z.literal(64)]),
    }),
    z.object({ kind: z.literal('float'), bits: z.union([z.literal(32), z.literal(64)]) }),
    z.object({
      kind: z.literal('decimal'),
      precision: z.number().nullable(),
      scale: z.number().nullable(),
    }),
    z.object({ kind: z.literal('timestamp'), zoned: z.boolean() }),
    z.object({ kind: z.literal('array'), element: logicalTypeSchema, dimensions: z.number() }),
    z.object({ kind: z.literal('boolean') }),
    z.object({ kind: z.literal('text') }),
    z.object({ kind: z.literal('bytes') }),
    z.object({ kind: z.literal('date') }),
    z.object({ kind: z.literal('time') }),
    z.object({ kind: z.literal('interval') }),
    z.object({ kind: z.literal('uuid') }),
    z.object({ kind: z.literal('json') }),
    z.object({ kind: z.literal('other') }),
  ]),
);

const streamNameSchema = z.object({ namespace: z.string(), name: z.string() });

const streamSchemaSchema = z.object({
  stream: streamNameSchema,
  ref: z.string(),
  version: z.number(),
  columns: z.array(
    z.object({
      name: z.string(),
      type: logicalTypeSchema,
      nativeType: z.string(),
      nullable: z.boolean(),
      ref: z.string(),
    }),
  ),
  computed: z.array(z.object({ name: z.string(), nativeType: z.string(), expression: z.string() })),
  identity: z.enum(['key', 'whole-row', 'none']),
  key: z.array(z.number()),
  family: z.string(),
  rawText: z.boolean().default(false),
});

const detailSchema = z.object({
  v: z.literal(1),
  schema: streamSchemaSchema,
  table: streamNameSchema,
  load: z.enum(['upsert', 'append', 'replace']),
  deletes: z.enum(['hard', 'soft', 'ignore']),
  /** Chunks of the snapshot under way, in order; null when there is none. */
  chunks: z.array(z.string()).nullable(),
  /** Transactions that the snapshot shows are not applied again; null: all are, which changes nothing. */
  visibility: z.string().nullable(),
  /** Names of columns that the source dropped. */
  retired: z.array(z.string()),
  /** Position under which snapshot rows stand in `append`. */
  snapshotOrder: z.string(),
  /** Its rows were read in full once: with `append`, what its changes told since then is kept. */
  loaded: z.boolean().default(false),
  /** Parts that came with rows and have been read. */
  attached: z.array(z.string()).default([]),
  /** How the source was sending its changes when they were last known to be whole: see `Memberships`. */
  membership: z.string().nullable().default(null),
  /** The last demand to read it again that was taken up. */
  resync: z.string().nullable().default(null),
  /** Read again: what the destination has beyond the source's rows is still to be removed. */
  surplus: z.boolean().default(false),
  paused: z.object({ code: z.string(), reason: z.string(), fix: z.string() }).nullable(),
});

export type StreamDetail = z.infer<typeof detailSchema>;

export interface Pause {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly fix: string;
}

/** A stream of a running pipeline. Changed in one place only: the phase that holds it. */
export interface RunningStream {
  target: StreamTarget;
  state: StreamState;
  pause: Pause | null;
  chunks: readonly string[] | null;
  visibility: string | null;
  retired: readonly string[];
  snapshotOrder: string;
  loaded: boolean;
  attached: readonly string[];
  /** Null: not known. */
  membership: string | null;
  /** Names the last demand to read it again that was taken up; null: there was none. */
  resync: string | null;
  /** It is read again, and its table may hold rows still that the source does not have. */
  surplus: boolean;
  /** Loading must replace rows by key: the table may hold some already. */
  merge: boolean;
  estimatedRows: number | null;
}

export function pauseOf(code: ErrorCode, reason: string, fix: string | null = null): Pause {
  return { code, reason, fix: fix ?? ERROR_TABLE[code].fix };
}

export function toRecord(stream: RunningStream): StreamRecord {
  const { target } = stream;
  const detail: StreamDetail = {
    v: 1,
    schema: withoutTransient(target.schema),
    table: { ...target.table },
    load: target.load,
    deletes: target.deletes,
    chunks: stream.chunks === null ? null : [...stream.chunks],
    visibility: stream.visibility,
    retired: [...stream.retired],
    snapshotOrder: stream.snapshotOrder,
    loaded: stream.loaded,
    attached: [...stream.attached],
    membership: stream.membership,
    resync: stream.resync,
    surplus: stream.surplus,
    paused: stream.pause,
  };
  return {
    stream: target.id,
    state: stream.state,
    reason: stream.pause?.reason ?? null,
    detail: JSON.stringify(detail),
  };
}

function withoutTransient(schema: StreamSchema): StreamDetail['schema'] {
  return {
    ...schema,
    stream: { ...schema.stream },
    columns: schema.columns.map(({ name, type, nativeType, nullable, ref }) => ({
      name,
      type,
      nativeType,
      nullable,
      ref,
    })),
    computed: schema.computed.map((column) => ({ ...column })),
    key: [...schema.key],
    rawText: schema.rawText ?? false,
  };
}

export function fromRecord(record: StreamRecord): RunningStream {
  const parsed = detailSchema.safeParse(safeJson(record.detail));
  if (!parsed.success) {
    throw new ForebayError('checkpoint_corrupt', {
      message: `what the destination remembers of ${record.stream} cannot be read`,
      why: parsed.error.issues[0]?.message ?? 'not valid',
      stream: record.stream,
    });
  }
  const detail = parsed.data;
  const code = detail.paused?.code;
  return {
    target: {
      id: record.stream,
      schema: detail.schema,
      table: detail.table,
      load: detail.load,
      deletes: detail.deletes,
    },
    state: record.state,
    pause:
      detail.paused === null
        ? null
        : {
            ...detail.paused,
            code: code !== undefined && code in ERROR_TABLE ? (code as ErrorCode) : 'schema_change',
          },
    chunks: detail.chunks,
    visibility: detail.visibility,
    retired: detail.retired,
    snapshotOrder: detail.snapshotOrder,
    // A record from before this was noted tells it by its state.
    loaded: detail.loaded || record.state === 'streaming',
    attached: detail.attached,
    membership: detail.membership,
    resync: detail.resync,
    surplus: detail.surplus,
    merge: true,
    estimatedRows: null,
  };
}

/** Read again beside a history that goes on: every change is written, whatever the rows read show already. */
export function hasHistory(stream: RunningStream): boolean {
  return stream.target.load === 'append' && stream.loaded;
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON at all: the schema check that follows reports it with its place.
    return null;
  }
}

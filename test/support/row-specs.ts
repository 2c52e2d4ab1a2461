// Row batches and schemas from plain values, for tests of what consumes batches.
import {
  ACT_APPEND,
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  ACT_SKIP,
  type FoldedPart,
} from '../../src/core/folded-rows.ts';
import {
  OP_BEFORE,
  OP_DELETE,
  OP_INSERT,
  OP_READ,
  OP_TRUNCATE,
  OP_UPDATE,
  type RowBatch,
  RowBatchBuilder,
} from '../../src/core/row-batch.ts';
import { allocateSlab } from '../../src/core/slab.ts';
import type { Column, RowIdentity, StreamSchema } from '../../src/core/stream-schema.ts';
import {
  ABSENT_CELL,
  type CellEncoding,
  type LogicalType,
  NULL_CELL,
  UNCHANGED_CELL,
} from '../../src/core/value.ts';

export const UNCHANGED: unique symbol = Symbol('unchanged');
export const ABSENT: unique symbol = Symbol('absent');

/** Buffers are taken as they are; strings are UTF-8; numbers, bigints and booleans take their type's binary form. */
export type CellValue =
  | string
  | number
  | bigint
  | boolean
  | Buffer
  | null
  | typeof UNCHANGED
  | typeof ABSENT;

const ops = {
  read: OP_READ,
  insert: OP_INSERT,
  update: OP_UPDATE,
  delete: OP_DELETE,
  truncate: OP_TRUNCATE,
  before: OP_BEFORE,
} as const;

export interface RowSpec {
  readonly op?: keyof typeof ops;
  readonly transaction?: number;
  readonly event?: number;
  readonly cells: readonly CellValue[];
}

export interface ColumnSpec {
  readonly name: string;
  readonly type: LogicalType;
  readonly nativeType: string;
}

export function column(name: string, nativeType: string, type: LogicalType): ColumnSpec {
  return { name, type, nativeType };
}

export interface SchemaSpec {
  readonly namespace?: string;
  readonly name: string;
  readonly columns: readonly ColumnSpec[];
  /** Names of the key columns; none means `whole-row` unless `identity` says otherwise. */
  readonly key?: readonly string[];
  readonly identity?: RowIdentity;
  readonly family?: string;
  readonly version?: number;
  readonly computed?: StreamSchema['computed'];
}

export function makeSchema(spec: SchemaSpec): StreamSchema {
  const key = (spec.key ?? []).map((name) => spec.columns.findIndex((item) => item.name === name));
  return {
    stream: { namespace: spec.namespace ?? 'public', name: spec.name },
    ref: '1',
    version: spec.version ?? 1,
    columns: spec.columns.map((item, index): Column => ({
      ...item,
      nullable: true,
      ref: String(index + 1),
    })),
    computed: spec.computed ?? [],
    identity: spec.identity ?? (key.length > 0 ? 'key' : 'whole-row'),
    key,
    family: spec.family ?? 'postgres',
  };
}

function numberBytes(value: number | bigint, type: LogicalType): Buffer {
  const bytes = Buffer.alloc(8);
  if (type.kind === 'int' && type.bits === 16) bytes.writeInt16BE(Number(value));
  else if ((type.kind === 'int' && type.bits === 32) || type.kind === 'date')
    bytes.writeInt32BE(Number(value));
  else if (type.kind === 'float' && type.bits === 32) bytes.writeFloatBE(Number(value));
  else if (type.kind === 'float') bytes.writeDoubleBE(Number(value));
  else bytes.writeBigInt64BE(BigInt(value));
  const is16 = type.kind === 'int' && type.bits === 16;
  const is32 =
    ((type.kind === 'int' || type.kind === 'float') && type.bits === 32) || type.kind === 'date';
  return bytes.subarray(0, is16 ? 2 : is32 ? 4 : 8);
}

function cellBytes(
  value: string | number | bigint | boolean | Buffer,
  type: LogicalType,
  encoding: CellEncoding,
): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (encoding === 'text')
    return Buffer.from(typeof value === 'boolean' ? (value ? 't' : 'f') : String(value));
  if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0]);
  return numberBytes(value, type);
}

/** All columns share one encoding unless a list is given. */
export function makeBatch(
  schema: StreamSchema,
  encoding: CellEncoding | readonly CellEncoding[],
  rows: readonly RowSpec[],
): RowBatch {
  const encodings = typeof encoding === 'string' ? schema.columns.map(() => encoding) : encoding;
  const bytes = rows.map((row) =>
    row.cells.map((value, index) => {
      if (value === null || typeof value === 'symbol') return value;
      return cellBytes(
        value,
        schema.columns[index]?.type ?? { kind: 'other' },
        encodings[index] ?? 'text',
      );
    }),
  );
  const total = bytes
    .flat()
    .reduce((sum, cell) => sum + (Buffer.isBuffer(cell) ? cell.length : 0), 0);
  const slab = allocateSlab(Math.max(total, 1));
  const builder = new RowBatchBuilder(schema, encodings, slab);
  let at = 0;
  for (const [index, row] of rows.entries()) {
    let word = builder.beginRow(ops[row.op ?? 'read'], row.transaction ?? 0, row.event ?? index);
    for (const cell of bytes[index] ?? []) {
      if (Buffer.isBuffer(cell)) {
        cell.copy(slab, at);
        builder.cells[word] = at;
        builder.cells[word + 1] = cell.length;
        at += cell.length;
      } else {
        builder.cells[word + 1] =
          cell === null ? NULL_CELL : cell === UNCHANGED ? UNCHANGED_CELL : ABSENT_CELL;
      }
      word += 2;
    }
  }
  return builder.finish();
}

const actions = {
  delete: ACT_DELETE,
  insert: ACT_INSERT,
  replace: ACT_REPLACE,
  patch: ACT_PATCH,
  append: ACT_APPEND,
  skip: ACT_SKIP,
} as const;

/** A batch with one action per row. */
export function makePart(batch: RowBatch, names: readonly (keyof typeof actions)[]): FoldedPart {
  return { batch, actions: Uint8Array.from(names, (name) => actions[name]) };
}

/** Batches one after the other, as a source gives them. */
export async function* streamOf<T>(...items: readonly T[]): AsyncGenerator<T, void> {
  for (const item of items) yield item;
}

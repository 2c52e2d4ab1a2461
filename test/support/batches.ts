// Row batches from values written as PostgreSQL prints them.
import type { StreamTarget } from '../../src/core/connector.ts';
import { allocateSlab } from '../../src/core/slab.ts';
import { OP_READ, type RowBatch, RowBatchBuilder } from '../../src/core/row-batch.ts';
import type { Column, RowIdentity, StreamSchema } from '../../src/core/stream-schema.ts';
import {
  type CellEncoding,
  hasBinaryForm,
  type LogicalType,
  NULL_CELL,
  printType,
  UNCHANGED_CELL,
} from '../../src/core/value.ts';
import { ByteSink } from '../../src/connectors/duckdb/byte-sink.ts';
import { writeText } from '../../src/connectors/duckdb/text-values.ts';
import { printCell } from '../../src/connectors/duckdb/value-text.ts';

/** A cell that an update left as it was. */
export const UNCHANGED = Symbol('unchanged');

/** A text is a value, null is NULL, undefined a cell that is not sent. */
export type CellText = string | null | undefined | typeof UNCHANGED;

export interface BatchRow {
  readonly op?: number;
  readonly values: readonly CellText[];
  readonly transaction?: number;
  readonly event?: number;
}

export interface SchemaOptions {
  readonly namespace?: string;
  readonly name?: string;
  readonly key?: readonly number[];
  readonly identity?: RowIdentity;
  readonly version?: number;
}

export function streamSchema(
  columns: Readonly<Record<string, LogicalType>>,
  options: SchemaOptions = {},
): StreamSchema {
  const key = options.key ?? [0];
  return {
    stream: { namespace: options.namespace ?? 'public', name: options.name ?? 'orders' },
    ref: '1',
    version: options.version ?? 1,
    columns: Object.entries(columns).map(([name, type], index): Column => ({
      name,
      type,
      nativeType: printType(type),
      nullable: !key.includes(index),
      ref: String(index + 1),
    })),
    computed: [],
    identity: options.identity ?? (key.length > 0 ? 'key' : 'whole-row'),
    key,
    family: 'postgres',
  };
}

export function streamTarget(
  schema: StreamSchema,
  options: Partial<Pick<StreamTarget, 'load' | 'deletes'>> = {},
): StreamTarget {
  const { namespace, name } = schema.stream;
  return {
    id: `${namespace}.${name}`,
    schema,
    table: schema.stream,
    load: options.load ?? 'upsert',
    deletes: options.deletes ?? 'hard',
  };
}

/** Binary where a type has that form, unless `text` is asked for. */
export function encodingsOf(schema: StreamSchema, wanted: CellEncoding): CellEncoding[] {
  return schema.columns.map(({ type }) => (hasBinaryForm(type) ? wanted : 'text'));
}

export function rowBatch(
  schema: StreamSchema,
  rows: readonly BatchRow[],
  wanted: CellEncoding = 'binary',
): RowBatch {
  const encodings = encodingsOf(schema, wanted);
  const sink = new ByteSink(4096);
  const places: { offset: number; length: number }[] = [];
  for (const { values } of rows) {
    for (const [index, column] of schema.columns.entries()) {
      places.push(place(column.type, encodings[index] ?? 'text', values[index], sink));
    }
  }
  const slab = allocateSlab(Math.max(sink.length, 1));
  slab.set(sink.buffer.subarray(0, sink.length));
  const builder = new RowBatchBuilder(schema, encodings, slab);
  for (const [row, { op, transaction, event }] of rows.entries()) {
    const base = builder.beginRow(op ?? OP_READ, transaction ?? 0, event ?? 0);
    for (let column = 0; column < schema.columns.length; column += 1) {
      const { offset, length } = places[row * schema.columns.length + column] ?? {
        offset: 0,
        length: -3,
      };
      builder.cells[base + column * 2] = offset;
      builder.cells[base + column * 2 + 1] = length;
    }
  }
  return builder.finish();
}

function place(
  type: LogicalType,
  encoding: CellEncoding,
  value: CellText,
  sink: ByteSink,
): { offset: number; length: number } {
  if (value === undefined) return { offset: 0, length: -3 };
  if (value === null) return { offset: 0, length: NULL_CELL };
  if (value === UNCHANGED) return { offset: 0, length: UNCHANGED_CELL };
  const offset = sink.length;
  if (encoding === 'text') sink.text(value);
  else if (!writeText(type, value, sink)) {
    throw new TypeError(`${value} is no ${printType(type)}`);
  }
  return { offset, length: sink.length - offset };
}

/** Rows of a batch as texts again. */
export function batchTexts(batch: RowBatch): (string | null)[][] {
  const width = batch.schema.columns.length;
  return Array.from({ length: batch.rowCount }, (_, row) =>
    batch.schema.columns.map((column, index) => {
      const word = (row * width + index) * 2;
      const offset = batch.cells[word] ?? 0;
      const length = batch.cells[word + 1] ?? NULL_CELL;
      if (length < 0) return null;
      if (batch.encodings[index] === 'text') {
        return batch.slab.toString('utf8', offset, offset + length);
      }
      return printCell(column.type, { bytes: batch.slab, offset, length });
    }),
  );
}

/** From a batch's cells to the store of a column, whatever the encoding and the column's actual type. */
import type { CellEncoding, LogicalType } from '../../core/value.ts';
import type { Vector } from '@duckdb/node-bindings';
import { ByteSink } from './byte-sink.ts';
import { ListStore } from './list-vectors.ts';
import { type SlabSpan, StringStore } from './string-vectors.ts';
import { writeText } from './text-values.ts';
import { type ColumnType, listElement } from './types.ts';
import { printCell } from './value-text.ts';
import type { CellStore } from './fixed-store.ts';
import { fixedStore } from './vectors.ts';

/** Text cells, made binary on the way. */
class ParsedStore implements CellStore {
  readonly #type: LogicalType;
  readonly #inner: CellStore;
  readonly #scratch = new ByteSink(256);

  constructor(type: LogicalType, inner: CellStore) {
    this.#type = type;
    this.#inner = inner;
  }

  put(index: number, bytes: Buffer, offset: number, length: number): boolean {
    this.#scratch.clear();
    const text = bytes.toString('utf8', offset, offset + length);
    if (!writeText(this.#type, text, this.#scratch)) return false;
    return this.#inner.put(index, this.#scratch.buffer, 0, this.#scratch.length);
  }

  putNull(index: number): void {
    this.#inner.putNull(index);
  }

  flush(vector: Vector, count: number): void {
    this.#inner.flush(vector, count);
  }

  clear(): void {
    this.#inner.clear();
  }
}

/** Binary cells for a VARCHAR column. */
class PrintedStore implements CellStore {
  readonly #type: LogicalType;
  readonly #inner: StringStore;
  readonly #scratch = new ByteSink(256);

  constructor(type: LogicalType, inner: StringStore) {
    this.#type = type;
    this.#inner = inner;
  }

  put(index: number, bytes: Buffer, offset: number, length: number): boolean {
    this.#scratch.clear();
    this.#scratch.text(printCell(this.#type, { bytes, offset, length }));
    return this.#inner.put(index, this.#scratch.buffer, 0, this.#scratch.length);
  }

  putNull(index: number): void {
    this.#inner.putNull(index);
  }

  flush(vector: Vector, count: number): void {
    this.#inner.flush(vector, count);
  }

  clear(): void {
    this.#inner.clear();
  }
}

export interface StoreRequest {
  readonly type: LogicalType;
  readonly encoding: CellEncoding;
  readonly column: ColumnType;
}

export interface StoreContext {
  readonly span: SlabSpan;
  /** Every store of strings that is made, to be released after each chunk. */
  readonly strings: StringStore[];
}

function stringStore(context: StoreContext): StringStore {
  const store = new StringStore(context.span);
  context.strings.push(store);
  return store;
}

/** Throws a TypeError for pairs that `columnTakes` refuses. */
export function openStore(request: StoreRequest, context: StoreContext): CellStore {
  const { type, encoding, column } = request;
  const isText = type.kind === 'text' || type.kind === 'json' || type.kind === 'other';
  if (column.kind === 'varchar') {
    const strings = stringStore(context);
    return isText || encoding === 'text' ? strings : new PrintedStore(type, strings);
  }
  const store = openBinaryStore(type, column, context);
  return encoding === 'text' && !isText ? new ParsedStore(type, store) : store;
}

function openBinaryStore(type: LogicalType, column: ColumnType, context: StoreContext): CellStore {
  if (column.kind === 'json' || column.kind === 'blob') return stringStore(context);
  if (type.kind === 'array') {
    const element = listElement(column, type.dimensions);
    if (element !== null) {
      const request = { type: type.element, encoding: 'binary', column: element } as const;
      return new ListStore(openStore(request, context), type.dimensions);
    }
  }
  const store = fixedStore(column);
  if (store === null) throw new TypeError(`no way from ${type.kind} to ${column.kind}`);
  return store;
}

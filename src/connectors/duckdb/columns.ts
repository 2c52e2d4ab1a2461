/** From a batch's cells to the store of a column, whatever the encoding and the column's actual type. */
import { type CellEncoding, type LogicalType, NULL_CELL } from '../../core/value.ts';
import { ByteSink } from './byte-sink.ts';
import { CellRun } from './cell-run.ts';
import { checkedStore } from './checked-text.ts';
import { FrontStore } from './front-store.ts';
import { ListStore } from './list-vectors.ts';
import { type SlabSpan, StringStore } from './string-vectors.ts';
import { writeText } from './text-values.ts';
import { type ColumnType, listElement } from './types.ts';
import { printCell } from './value-text.ts';
import type { CellStore } from './fixed-store.ts';
import { fixedStore } from './vectors.ts';

/** Converts cells before another store takes them; false if a cell is no value of its type. */
type Conversion = (run: CellRun, cell: number, out: ByteSink) => boolean;

function convertedStore(convert: Conversion, inner: CellStore): CellStore {
  const scratch = new ByteSink(4096);
  const converted = new CellRun();
  return new FrontStore(inner, (first, run, refused) => {
    scratch.clear();
    converted.begin(scratch.buffer);
    for (let cell = 0; cell < run.count; cell += 1) {
      const start = scratch.length;
      const isNull = (run.lengths[cell] ?? NULL_CELL) < 0;
      const isValue = isNull || convert(run, cell, scratch);
      if (!isValue) refused.push(cell);
      converted.add(start, isNull || !isValue ? NULL_CELL : scratch.length - start);
    }
    // It may have grown into other memory; the places are the same.
    converted.moveTo(scratch.buffer);
    inner.put(first, converted, refused);
  });
}

/** Text cells, made binary on the way. */
function parsing(type: LogicalType): Conversion {
  return ({ bytes, offsets, lengths }, cell, out) => {
    const offset = offsets[cell] ?? 0;
    return writeText(type, bytes.toString('utf8', offset, offset + (lengths[cell] ?? 0)), out);
  };
}

/** Binary cells for a VARCHAR column. */
function printing(type: LogicalType): Conversion {
  return ({ bytes, offsets, lengths }, cell, out) => {
    const place = { bytes, offset: offsets[cell] ?? 0, length: lengths[cell] ?? 0 };
    out.text(printCell(type, place));
    return true;
  };
}

export interface StoreRequest {
  readonly type: LogicalType;
  readonly encoding: CellEncoding;
  readonly column: ColumnType;
  /** Text may hold bytes that are no UTF-8. */
  readonly rawText: boolean;
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
  const store = openTrusting(request, context);
  return request.rawText ? checkedStore(request.type, request.encoding, store) : store;
}

function openTrusting(request: StoreRequest, context: StoreContext): CellStore {
  const { type, encoding, column } = request;
  const isText = type.kind === 'text' || type.kind === 'json' || type.kind === 'other';
  if (column.kind === 'varchar') {
    const strings = stringStore(context);
    return isText || encoding === 'text' ? strings : convertedStore(printing(type), strings);
  }
  const store = openBinaryStore(type, column, context);
  return encoding === 'text' && !isText ? convertedStore(parsing(type), store) : store;
}

function openBinaryStore(type: LogicalType, column: ColumnType, context: StoreContext): CellStore {
  if (column.kind === 'json' || column.kind === 'blob') return stringStore(context);
  if (type.kind === 'array') {
    const element = listElement(column, type.dimensions);
    if (element !== null) {
      // What an array holds is checked with it.
      const request = {
        type: type.element,
        encoding: 'binary',
        column: element,
        rawText: false,
      } as const;
      return new ListStore(openStore(request, context), type.dimensions);
    }
  }
  const store = fixedStore(column);
  if (store === null) throw new TypeError(`no way from ${type.kind} to ${column.kind}`);
  return store;
}

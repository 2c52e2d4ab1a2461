/** Vectors to cells: the reverse of the stores in vectors.ts. */
import duckdb, { type Vector } from '@duckdb/node-bindings';
import { ForebayError } from '../../core/errors.ts';
import type { CellEncoding, LogicalType } from '../../core/value.ts';
import { ByteSink } from './byte-sink.ts';
import {
  EPOCH_DAYS,
  EPOCH_MICROS,
  INT32_MAX,
  INT32_MIN,
  INT64_MAX,
  INT64_MIN,
} from './calendar.ts';
import { stringAt } from './database.ts';
import { writeScaled } from './numeric.ts';
import { elementTypeId, writeText } from './text-values.ts';
import { type ColumnType, logicalTypeOf } from './types.ts';
import { type CellBytes, printCell } from './value-text.ts';

export interface CellReader {
  /** To be called with each new chunk. */
  load(vector: Vector, count: number): void;
  isNull(row: number): boolean;
  /** Writes the bytes of a value that is not NULL. */
  emit(row: number, out: ByteSink): void;
}

type Emit = (view: DataView, row: number, out: ByteSink) => void;

class FixedReader implements CellReader {
  readonly #width: number;
  readonly #emit: Emit;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #validity: Uint8Array | null = null;

  constructor(width: number, emit: Emit) {
    this.#width = width;
    this.#emit = emit;
  }

  load(vector: Vector, count: number): void {
    const data = duckdb.vector_get_data(vector, count * this.#width);
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    this.#validity = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8);
  }

  isNull(row: number): boolean {
    return isNull(this.#validity, row);
  }

  emit(row: number, out: ByteSink): void {
    this.#emit(this.#view, row, out);
  }
}

/** DuckDB hands out no mask at all when nothing is NULL. */
function isNull(validity: Uint8Array | null, row: number): boolean {
  return validity !== null && ((validity[row >> 3] ?? 0xff) & (1 << (row & 7))) === 0;
}

class StringReader implements CellReader {
  #data: Uint8Array = new Uint8Array(0);
  #validity: Uint8Array | null = null;

  load(vector: Vector, count: number): void {
    this.#data = duckdb.vector_get_data(vector, count * 16);
    this.#validity = duckdb.vector_get_validity(vector, Math.ceil(count / 64) * 8);
  }

  isNull(row: number): boolean {
    return isNull(this.#validity, row);
  }

  emit(row: number, out: ByteSink): void {
    const bytes = stringAt(this.#data, row * 16);
    out.bytes(bytes, 0, bytes.length);
  }
}

/** Lists nested `dimensions` deep as one PostgreSQL array. */
class ListReader implements CellReader {
  readonly #element: CellReader;
  readonly #type: LogicalType;
  readonly #levels: { view: DataView; validity: Uint8Array | null }[] = [];
  readonly #dimensions: number;

  constructor(element: CellReader, type: LogicalType, dimensions: number) {
    this.#element = element;
    this.#type = type;
    this.#dimensions = dimensions;
  }

  load(vector: Vector, count: number): void {
    let current = vector;
    let entries = count;
    for (let depth = 0; depth < this.#dimensions; depth += 1) {
      const data = duckdb.vector_get_data(current, entries * 16);
      this.#levels[depth] = {
        view: new DataView(data.buffer, data.byteOffset, data.byteLength),
        validity: duckdb.vector_get_validity(current, Math.ceil(entries / 64) * 8),
      };
      entries = duckdb.list_vector_get_size(current);
      current = duckdb.list_vector_get_child(current);
    }
    this.#element.load(current, entries);
  }

  isNull(row: number): boolean {
    return isNull(this.#levels[0]?.validity ?? null, row);
  }

  emit(row: number, out: ByteSink): void {
    const lengths: number[] = [];
    const elements = this.#collect(row, lengths);
    const dimensions = elements.length === 0 ? [] : lengths;
    out.int32(dimensions.length);
    out.int32(elements.some((element) => this.#element.isNull(element)) ? 1 : 0);
    out.int32(elementTypeId(this.#type));
    for (const length of dimensions) {
      out.int32(length);
      out.int32(1);
    }
    for (const element of elements) {
      const at = out.take(4);
      if (this.#element.isNull(element)) {
        out.buffer.writeInt32BE(-1, at);
        continue;
      }
      this.#element.emit(element, out);
      out.buffer.writeInt32BE(out.length - at - 4, at);
    }
  }

  /** Indexes of the elements in the lowest vector; lists of unequal length make no array. */
  #collect(row: number, lengths: number[]): number[] {
    let indexes = [row];
    for (const [depth, level] of this.#levels.entries()) {
      const below: number[] = [];
      for (const index of indexes) {
        const start = Number(level.view.getBigUint64(index * 16, true));
        const length = Number(level.view.getBigUint64(index * 16 + 8, true));
        const uneven = lengths[depth] !== undefined && lengths[depth] !== length;
        if (uneven || isNull(level.validity, index)) throw raggedList();
        lengths[depth] = length;
        for (let item = 0; item < length; item += 1) below.push(start + item);
      }
      indexes = below;
    }
    return indexes;
  }
}

function raggedList(): ForebayError {
  return new ForebayError('value_rejected', {
    message:
      'A nested list has lists of unequal length or NULL for a list, which no array can hold',
  });
}

/** Changes what another reader gives. */
class FrontReader implements CellReader {
  readonly #inner: CellReader;
  readonly #change: (cell: CellBytes, out: ByteSink) => void;
  readonly #scratch = new ByteSink(256);

  constructor(inner: CellReader, change: (cell: CellBytes, out: ByteSink) => void) {
    this.#inner = inner;
    this.#change = change;
  }

  load(vector: Vector, count: number): void {
    this.#inner.load(vector, count);
  }

  isNull(row: number): boolean {
    return this.#inner.isNull(row);
  }

  emit(row: number, out: ByteSink): void {
    this.#scratch.clear();
    this.#inner.emit(row, this.#scratch);
    this.#change({ bytes: this.#scratch.buffer, offset: 0, length: this.#scratch.length }, out);
  }
}

/** Text of a column that others know as a type of its own. */
function parsedReader(inner: CellReader, type: LogicalType): CellReader {
  return new FrontReader(inner, ({ bytes, length }, out) => {
    if (writeText(type, bytes.toString('utf8', 0, length), out)) return;
    throw new ForebayError('value_rejected', {
      message: `A VARCHAR column holds a text that is no ${type.kind}`,
    });
  });
}

function printedReader(inner: CellReader, type: LogicalType): CellReader {
  return new FrontReader(inner, (cell, out) => out.text(printCell(type, cell)));
}

function readInteger(view: DataView, row: number, bits: number, unsigned: boolean): bigint {
  switch (bits) {
    case 8:
      return BigInt(unsigned ? view.getUint8(row) : view.getInt8(row));
    case 16:
      return BigInt(unsigned ? view.getUint16(row * 2, true) : view.getInt16(row * 2, true));
    case 32:
      return BigInt(unsigned ? view.getUint32(row * 4, true) : view.getInt32(row * 4, true));
    case 64:
      return unsigned ? view.getBigUint64(row * 8, true) : view.getBigInt64(row * 8, true);
    default: {
      const high = unsigned
        ? view.getBigUint64(row * 16 + 8, true)
        : view.getBigInt64(row * 16 + 8, true);
      return (high << 64n) | view.getBigUint64(row * 16, true);
    }
  }
}

function intReader(column: ColumnType & { kind: 'int' }, type: LogicalType): CellReader {
  const { bits, unsigned } = column;
  const width = bits / 8;
  if (type.kind !== 'int') {
    return new FixedReader(width, (view, row, out) =>
      writeScaled(readInteger(view, row, bits, unsigned), 0, out),
    );
  }
  return new FixedReader(width, (view, row, out) => {
    const value = readInteger(view, row, bits, unsigned);
    if (BigInt.asIntN(type.bits, value) !== value) throw outOfRange();
    if (type.bits === 64) out.int64(value);
    else if (type.bits === 32) out.int32(Number(value));
    else out.int16(Number(value));
  });
}

function outOfRange(): ForebayError {
  return new ForebayError('value_rejected', {
    message: 'A column holds a value that is outside the range of the stream',
  });
}

function decimalReader(precision: number, scale: number, wanted: number): CellReader {
  let bits = 128;
  if (precision <= 4) bits = 16;
  else if (precision <= 9) bits = 32;
  else if (precision <= 18) bits = 64;
  return new FixedReader(bits / 8, (view, row, out) => {
    let value = readInteger(view, row, bits, false);
    let shown = scale;
    // A wider column of the user's own: the value is shown as the source would show it.
    for (; shown > wanted && value % 10n === 0n; shown -= 1) value /= 10n;
    writeScaled(value, shown, out);
  });
}

function emitTimestamp(unit: number): Emit {
  return (view, row, out) => {
    const value = view.getBigInt64(row * 8, true);
    if (value === INT64_MAX) out.int64(INT64_MAX);
    else if (value === -INT64_MAX) out.int64(INT64_MIN);
    else out.int64(value * BigInt(unit) - EPOCH_MICROS);
  };
}

const emitDate: Emit = (view, row, out) => {
  const days = view.getInt32(row * 4, true);
  if (days === INT32_MAX) out.int32(INT32_MAX);
  else if (days === -INT32_MAX) out.int32(INT32_MIN);
  else out.int32(days - EPOCH_DAYS);
};

const emitUuid: Emit = (view, row, out) => {
  const at = out.take(16);
  out.buffer.writeBigUInt64BE(view.getBigUint64(row * 16 + 8, true) ^ (1n << 63n), at);
  out.buffer.writeBigUInt64BE(view.getBigUint64(row * 16, true), at + 8);
};

function floatReader(bits: 32 | 64, type: LogicalType): CellReader {
  const wanted = type.kind === 'float' ? type.bits : bits;
  return new FixedReader(bits / 8, (view, row, out) => {
    const value = bits === 32 ? view.getFloat32(row * 4, true) : view.getFloat64(row * 8, true);
    const at = out.take(wanted / 8);
    if (wanted === 32) out.buffer.writeFloatBE(value, at);
    else out.buffer.writeDoubleBE(value, at);
  });
}

/** Binary cells of the logical type that the column stands for. */
function binaryReader(column: ColumnType, type: LogicalType): CellReader {
  switch (column.kind) {
    case 'boolean':
      return new FixedReader(1, (view, row, out) => {
        const at = out.take(1);
        out.buffer[at] = view.getUint8(row);
      });
    case 'int':
      return intReader(column, type);
    case 'float':
      return floatReader(column.bits, type);
    case 'decimal': {
      const wanted = type.kind === 'decimal' && type.scale !== null ? type.scale : column.scale;
      return decimalReader(column.precision, column.scale, Math.max(wanted, 0));
    }
    case 'date':
      return new FixedReader(4, emitDate);
    case 'time':
      return new FixedReader(8, (view, row, out) => out.int64(view.getBigInt64(row * 8, true)));
    case 'timestamp':
      return new FixedReader(8, emitTimestamp(column.unit));
    case 'interval':
      return new FixedReader(16, (view, row, out) => {
        out.int64(view.getBigInt64(row * 16 + 8, true));
        out.int32(view.getInt32(row * 16 + 4, true));
        out.int32(view.getInt32(row * 16, true));
      });
    case 'uuid':
      return new FixedReader(16, emitUuid);
    case 'list':
      return listReader(column, type);
    case 'varchar':
    case 'json':
    case 'blob':
    case 'unknown':
      return new StringReader();
  }
}

function listReader(column: ColumnType, type: LogicalType): CellReader {
  let element = column;
  let dimensions = 0;
  while (element.kind === 'list') {
    element = element.element;
    dimensions += 1;
  }
  const elementType = type.kind === 'array' ? type.element : logicalTypeOf(element);
  const reader = openReader({ column: element, type: elementType, encoding: 'binary' });
  return new ListReader(reader, elementType, dimensions);
}

export interface ReaderRequest {
  readonly column: ColumnType;
  readonly type: LogicalType;
  readonly encoding: CellEncoding;
}

/** Cells as the source of a stream with this type would send them. */
export function openReader({ column, type, encoding }: ReaderRequest): CellReader {
  const isText = type.kind === 'text' || type.kind === 'json' || type.kind === 'other';
  const reader = binaryReader(column, type);
  if (column.kind === 'varchar' || column.kind === 'unknown' || column.kind === 'json') {
    return isText || encoding === 'text' ? reader : parsedReader(reader, type);
  }
  // A column of another kind read as text: its own text.
  const own = isText ? logicalTypeOf(column) : type;
  return encoding === 'text' || isText ? printedReader(reader, own) : reader;
}

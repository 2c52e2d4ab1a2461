/**
 * Binary cells into DuckDB's own representation. A store collects the values of one column of a data chunk in
 * plain memory and copies them into the vector in one call; a call per cell would cost more than the load.
 * Layouts: duckdb/common/types (interval_t, hugeint_t, date_t, timestamp_t), little endian.
 */
import type { CellRun } from './cell-run.ts';
import { EPOCH_DAYS, INT32_MAX, INT32_MIN } from './calendar.ts';
import { type CellStore, FixedStore } from './fixed-store.ts';
import { NUMERIC_NEGATIVE, NUMERIC_POSITIVE, scaledNumeric } from './numeric.ts';
import type { ColumnType } from './types.ts';

class BooleanStore extends FixedStore {
  constructor() {
    super(1);
  }

  protected fill(first: number, { bytes, offsets, lengths, count }: CellRun): void {
    const { view } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      view.setUint8(first + cell, bytes[offsets[cell] ?? 0] === 0 ? 0 : 1);
    }
  }
}

function readInt(view: DataView, offset: number, length: number): number {
  return length === 2 ? view.getInt16(offset) : view.getInt32(offset + length - 4);
}

/** Integers of up to 32 bits. */
class ShortIntStore extends FixedStore {
  readonly #bytes: number;

  constructor(bytes: number) {
    super(bytes);
    this.#bytes = bytes;
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    const bytes = this.#bytes;
    for (let cell = 0; cell < count; cell += 1) {
      const length = lengths[cell] ?? -1;
      if (length < 0) continue;
      if (length > bytes) refused.push(cell);
      else if (bytes === 4) words[first + cell] = readInt(view, offsets[cell] ?? 0, length);
      else this.view.setInt16((first + cell) * 2, view.getInt16(offsets[cell] ?? 0), true);
    }
  }
}

/** Integers of 64 and 128 bits. */
class LongIntStore extends FixedStore {
  readonly #bytes: number;

  constructor(bytes: number) {
    super(bytes);
    this.#bytes = bytes;
  }

  protected fill(first: number, run: CellRun): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    const step = this.#bytes / 4;
    let at = first * step;
    for (let cell = 0; cell < count; cell += 1, at += step) {
      const length = lengths[cell] ?? -1;
      if (length < 0) continue;
      const offset = offsets[cell] ?? 0;
      const low = readInt(view, offset, length);
      const high = length === 8 ? view.getInt32(offset) : low >> 31;
      words[at] = low;
      words[at + 1] = high;
      if (step === 4) {
        words[at + 2] = high >> 31;
        words[at + 3] = high >> 31;
      }
    }
  }
}

/** A double that holds a 32-bit float is exact; text of it is not the same, so this is only done for users' tables. */
class FloatStore extends FixedStore {
  readonly #bytes: number;

  constructor(bytes: number) {
    super(bytes);
    this.#bytes = bytes;
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    const bytes = this.#bytes;
    for (let cell = 0; cell < count; cell += 1) {
      const length = lengths[cell] ?? -1;
      if (length < 0) continue;
      const offset = offsets[cell] ?? 0;
      const index = first + cell;
      if (length > bytes) refused.push(cell);
      else if (length < bytes) this.view.setFloat64(index * 8, view.getFloat32(offset), true);
      else if (length === 4) words[index] = view.getInt32(offset);
      else {
        words[index * 2] = view.getInt32(offset + 4);
        words[index * 2 + 1] = view.getInt32(offset);
      }
    }
  }
}

function decimalBytes(precision: number): number {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}

/** Up to so many digits a double counts exactly. */
const EXACT_DIGITS = 15;
const POWERS = Float64Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
const MASK_32 = 0xffff_ffffn;

class DecimalStore extends FixedStore {
  readonly #bytes: number;
  readonly #scale: number;
  readonly #limit: bigint;
  readonly #exactLimit: number;

  constructor(precision: number, scale: number) {
    super(decimalBytes(precision));
    this.#bytes = decimalBytes(precision);
    this.#scale = scale;
    this.#limit = 10n ** BigInt(precision);
    this.#exactLimit = precision > EXACT_DIGITS ? Number.MAX_SAFE_INTEGER : 10 ** precision;
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { lengths, offsets, count } = run;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      if (!this.#put(first + cell, run, offsets[cell] ?? 0)) refused.push(cell);
    }
  }

  #put(index: number, { bytes, view }: CellRun, offset: number): boolean {
    const count = view.getInt16(offset);
    const weight = view.getInt16(offset + 2);
    const sign = view.getUint16(offset + 4);
    const scale = this.#scale;
    let power = (weight + 1) * 4 + scale;
    if (power > EXACT_DIGITS || count > 4 || scale > EXACT_DIGITS) {
      return this.#putWide(index, bytes, offset);
    }
    if (sign !== NUMERIC_POSITIVE && sign !== NUMERIC_NEGATIVE) return false;
    let value = 0;
    for (let group = 0; group < count; group += 1) {
      const digits = view.getInt16(offset + 8 + group * 2);
      power -= 4;
      if (power >= 0) value += digits * (POWERS[power] ?? 0);
      else {
        const divisor = power < -4 ? 10_000 : (POWERS[-power] ?? 0);
        if (digits % divisor !== 0) return false;
        value += digits / divisor;
      }
    }
    if (value >= this.#exactLimit) return false;
    this.#store(index, sign === NUMERIC_NEGATIVE ? -value : value);
    return true;
  }

  #store(index: number, value: number): void {
    if (this.#bytes === 4) this.words[index] = value;
    else if (this.#bytes === 2) this.view.setInt16(index * 2, value, true);
    else {
      const high = Math.floor(value / 0x1_0000_0000);
      const at = (index * this.#bytes) / 4;
      this.words[at] = value - high * 0x1_0000_0000;
      this.words[at + 1] = high;
      if (this.#bytes === 16) {
        this.words[at + 2] = high >> 31;
        this.words[at + 3] = high >> 31;
      }
    }
  }

  #putWide(index: number, bytes: Buffer, offset: number): boolean {
    const value = scaledNumeric(bytes, offset, this.#scale);
    if (value === null || value >= this.#limit || value <= -this.#limit) return false;
    if (this.#bytes < 8) {
      this.#store(index, Number(value));
      return true;
    }
    const at = (index * this.#bytes) / 4;
    for (let part = 0; part < this.#bytes / 4; part += 1) {
      this.words[at + part] = Number((value >> BigInt(part * 32)) & MASK_32);
    }
    return true;
  }
}

class DateStore extends FixedStore {
  constructor() {
    super(4);
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      const days = view.getInt32(offsets[cell] ?? 0);
      const shifted = days + EPOCH_DAYS;
      // DuckDB's -infinity is the negative of its infinity, one above PostgreSQL's.
      if (days === INT32_MAX) words[first + cell] = INT32_MAX;
      else if (days === INT32_MIN) words[first + cell] = -INT32_MAX;
      else if (shifted >= INT32_MAX || shifted <= -INT32_MAX) refused.push(cell);
      else words[first + cell] = shifted;
    }
  }
}

/** Microseconds of a day. */
class TimeStore extends FixedStore {
  constructor() {
    super(8);
  }

  protected fill(first: number, { view, offsets, lengths, count }: CellRun): void {
    const { words } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      const offset = offsets[cell] ?? 0;
      words[(first + cell) * 2] = view.getInt32(offset + 4);
      words[(first + cell) * 2 + 1] = view.getInt32(offset);
    }
  }
}

/** 946684800000000 microseconds from 1970 to 2000, as two words. */
const SHIFT_LOW = 946_684_800_000_000 % 0x1_0000_0000;
const SHIFT_HIGH = Math.floor(946_684_800_000_000 / 0x1_0000_0000);

/** 290309-12-22 (BC), DuckDB's first timestamp, is before PostgreSQL's first; only the end can overflow. */
class TimestampStore extends FixedStore {
  constructor() {
    super(8);
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      const offset = offsets[cell] ?? 0;
      let high = view.getInt32(offset);
      let low = view.getUint32(offset + 4);
      if (high === INT32_MIN && low === 0) {
        // -infinity is minus the largest integer: -0x7fffffffffffffff.
        low = 1;
      } else if (high !== INT32_MAX || low !== 0xffff_ffff) {
        const sum = low + SHIFT_LOW;
        high += SHIFT_HIGH + (sum > 0xffff_ffff ? 1 : 0);
        low = sum >>> 0;
        if (high > INT32_MAX || (high === INT32_MAX && low >= 0xffff_fffe)) refused.push(cell);
      }
      words[(first + cell) * 2] = low;
      words[(first + cell) * 2 + 1] = high;
    }
  }
}

class IntervalStore extends FixedStore {
  constructor() {
    super(16);
  }

  protected fill(first: number, run: CellRun, refused: number[]): void {
    const { view, offsets, lengths, count } = run;
    const { words } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      const offset = offsets[cell] ?? 0;
      const months = view.getInt32(offset + 12);
      const days = view.getInt32(offset + 8);
      // PostgreSQL 17's infinite intervals have all fields at their ends; DuckDB has none.
      if (months === days && (months === INT32_MAX || months === INT32_MIN)) refused.push(cell);
      const at = (first + cell) * 4;
      words[at] = months;
      words[at + 1] = days;
      words[at + 2] = view.getInt32(offset + 4);
      words[at + 3] = view.getInt32(offset);
    }
  }
}

/** A hugeint with its top bit flipped, so that the order of integers is the order of texts. */
class UuidStore extends FixedStore {
  constructor() {
    super(16);
  }

  protected fill(first: number, { view, offsets, lengths, count }: CellRun): void {
    const { words } = this;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) continue;
      const offset = offsets[cell] ?? 0;
      const at = (first + cell) * 4;
      words[at] = view.getInt32(offset + 12);
      words[at + 1] = view.getInt32(offset + 8);
      words[at + 2] = view.getInt32(offset + 4);
      words[at + 3] = view.getInt32(offset) ^ 0x8000_0000;
    }
  }
}

/** Null for types of variable length; see string-vectors.ts and list-vectors.ts. */
export function fixedStore(type: ColumnType): CellStore | null {
  switch (type.kind) {
    case 'boolean':
      return new BooleanStore();
    case 'int':
      return type.bits > 32 ? new LongIntStore(type.bits / 8) : new ShortIntStore(type.bits / 8);
    case 'float':
      return new FloatStore(type.bits / 8);
    case 'decimal':
      return new DecimalStore(type.precision, type.scale);
    case 'date':
      return new DateStore();
    case 'time':
      return new TimeStore();
    case 'timestamp':
      return new TimestampStore();
    case 'interval':
      return new IntervalStore();
    case 'uuid':
      return new UuidStore();
    default:
      return null;
  }
}

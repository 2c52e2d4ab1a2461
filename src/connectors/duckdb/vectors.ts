/**
 * Binary cells into DuckDB's own representation. A store collects the values of one column of a data chunk in
 * plain memory and copies them into the vector in one call; a call per cell would cost more than the load.
 * Layouts: duckdb/common/types (interval_t, hugeint_t, date_t, timestamp_t), little endian.
 */
import { EPOCH_DAYS, INT32_MAX, INT32_MIN } from './calendar.ts';
import { type CellStore, FixedStore } from './fixed-store.ts';
import { NUMERIC_NEGATIVE, NUMERIC_POSITIVE, scaledNumeric } from './numeric.ts';
import type { ColumnType } from './types.ts';

function word(bytes: Buffer, at: number): number {
  return (
    (((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)) >>>
    0
  );
}

class BooleanStore extends FixedStore {
  constructor() {
    super(1);
  }

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    this.view.setUint8(index, bytes[offset] === 0 ? 0 : 1);
    return true;
  }
}

class IntStore extends FixedStore {
  readonly #bytes: number;

  constructor(bytes: number) {
    super(bytes);
    this.#bytes = bytes;
  }

  put(index: number, bytes: Buffer, offset: number, length: number): boolean {
    this.reserve(index);
    if (length > this.#bytes) return false;
    const low =
      length === 2
        ? (((bytes[offset] ?? 0) << 24) >> 16) | (bytes[offset + 1] ?? 0)
        : word(bytes, offset + length - 4) | 0;
    const high = length === 8 ? word(bytes, offset) | 0 : low >> 31;
    if (this.#bytes === 8) {
      this.words[index * 2] = low;
      this.words[index * 2 + 1] = high;
    } else if (this.#bytes === 4) this.words[index] = low;
    else if (this.#bytes === 2) this.view.setInt16(index * 2, low, true);
    else {
      this.words.set([low, high, high >> 31, high >> 31], index * 4);
    }
    return true;
  }
}

/** A double that holds a 32-bit float is exact; text of it is not the same, so this is only done for users' tables. */
class FloatStore extends FixedStore {
  readonly #bytes: number;

  constructor(bytes: number) {
    super(bytes);
    this.#bytes = bytes;
  }

  put(index: number, bytes: Buffer, offset: number, length: number): boolean {
    this.reserve(index);
    if (length === this.#bytes) {
      if (length === 4) this.words[index] = word(bytes, offset);
      else {
        this.words[index * 2] = word(bytes, offset + 4);
        this.words[index * 2 + 1] = word(bytes, offset);
      }
      return true;
    }
    if (length > this.#bytes) return false;
    this.view.setFloat64(index * 8, bytes.readFloatBE(offset), true);
    return true;
  }
}

function decimalBytes(precision: number): number {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}

/** Up to so many digits a double counts exactly. */
const EXACT_DIGITS = 15;
const POWERS = Array.from({ length: EXACT_DIGITS + 1 }, (_, power) => 10 ** power);
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

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    const count = ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
    const weight = (((bytes[offset + 2] ?? 0) << 24) >> 16) | (bytes[offset + 3] ?? 0);
    const sign = ((bytes[offset + 4] ?? 0) << 8) | (bytes[offset + 5] ?? 0);
    if ((weight + 1) * 4 + this.#scale > EXACT_DIGITS || count > 4 || this.#scale > EXACT_DIGITS) {
      return this.#putWide(index, bytes, offset);
    }
    if (sign !== NUMERIC_POSITIVE && sign !== NUMERIC_NEGATIVE) return false;
    let value = 0;
    let power = (weight + 1) * 4 + this.#scale;
    for (let group = 0; group < count; group += 1) {
      const at = offset + 8 + group * 2;
      const digits = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
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

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    const days = word(bytes, offset) | 0;
    // DuckDB's -infinity is the negative of its infinity, one above PostgreSQL's.
    if (days === INT32_MAX) this.words[index] = INT32_MAX;
    else if (days === INT32_MIN) this.words[index] = -INT32_MAX;
    else {
      const shifted = days + EPOCH_DAYS;
      if (shifted >= INT32_MAX || shifted <= -INT32_MAX) return false;
      this.words[index] = shifted;
    }
    return true;
  }
}

class TimeStore extends FixedStore {
  constructor() {
    super(8);
  }

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    this.words[index * 2] = word(bytes, offset + 4);
    this.words[index * 2 + 1] = word(bytes, offset);
    return true;
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

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    const high = word(bytes, offset) | 0;
    const low = word(bytes, offset + 4);
    if (high === INT32_MAX && low === 0xffff_ffff) return this.#set(index, INT32_MAX, 0xffff_ffff);
    // Minus the largest integer: -0x7fffffffffffffff.
    if (high === INT32_MIN && low === 0) return this.#set(index, INT32_MIN, 1);
    const sum = low + SHIFT_LOW;
    const shifted = high + SHIFT_HIGH + (sum > 0xffff_ffff ? 1 : 0);
    const rest = sum >>> 0;
    if (shifted > INT32_MAX || (shifted === INT32_MAX && rest >= 0xffff_fffe)) return false;
    return this.#set(index, shifted, rest);
  }

  #set(index: number, high: number, low: number): boolean {
    this.words[index * 2] = low;
    this.words[index * 2 + 1] = high;
    return true;
  }
}

class IntervalStore extends FixedStore {
  constructor() {
    super(16);
  }

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    const months = word(bytes, offset + 12) | 0;
    const days = word(bytes, offset + 8) | 0;
    // PostgreSQL 17's infinite intervals have all fields at their ends; DuckDB has none.
    if (
      (months === INT32_MAX && days === INT32_MAX) ||
      (months === INT32_MIN && days === INT32_MIN)
    ) {
      return false;
    }
    const at = index * 4;
    this.words[at] = months;
    this.words[at + 1] = days;
    this.words[at + 2] = word(bytes, offset + 4);
    this.words[at + 3] = word(bytes, offset);
    return true;
  }
}

/** A hugeint with its top bit flipped, so that the order of integers is the order of texts. */
class UuidStore extends FixedStore {
  constructor() {
    super(16);
  }

  put(index: number, bytes: Buffer, offset: number): boolean {
    this.reserve(index);
    const at = index * 4;
    this.words[at] = word(bytes, offset + 12);
    this.words[at + 1] = word(bytes, offset + 8);
    this.words[at + 2] = word(bytes, offset + 4);
    this.words[at + 3] = word(bytes, offset) ^ 0x8000_0000;
    return true;
  }
}

/** Null for types of variable length; see string-vectors.ts and list-vectors.ts. */
export function fixedStore(type: ColumnType): CellStore | null {
  switch (type.kind) {
    case 'boolean':
      return new BooleanStore();
    case 'int':
      return new IntStore(type.bits / 8);
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

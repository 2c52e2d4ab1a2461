/** A cell as PostgreSQL would print it. For dead letters and messages; the data path never makes text of cells. */
import { civilFromDays } from '../../core/calendar.ts';
import { isUtf8 } from 'node:buffer';
import type { RowBatch } from '../../core/row-batch.ts';
import type { LogicalType } from '../../core/value.ts';

const EPOCH_DAYS = 10_957;
const MICROS_PER_DAY = 86_400_000_000n;
const MIN_INT32 = -2_147_483_648;
const MAX_INT32 = 2_147_483_647;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

function hex(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`;
}

/** What was found while cells were printed. */
export interface Printed {
  /** A value could not be shown as it is: its text does not give it back. */
  altered: boolean;
}

/** Bytes that are no UTF-8, or hold U+0000, are shown as `\x` and hexadecimal digits. */
function plainText(bytes: Buffer, printed: Printed): string {
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString('utf8');
  printed.altered = true;
  return hex(bytes);
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}

/** Days since 1970-01-01 as a date. */
function dateText(days: number): { readonly date: string; readonly era: string } {
  const { year, month, day } = civilFromDays(days);
  const shown = year > 0 ? year : 1 - year;
  return {
    date: `${pad(shown, 4)}-${pad(month, 2)}-${pad(day, 2)}`,
    era: year > 0 ? '' : ' BC',
  };
}

function timeText(micros: bigint): string {
  const seconds = Number(micros / 1_000_000n);
  const fraction = Number(micros % 1_000_000n);
  const digits = fraction === 0 ? '' : `.${pad(fraction, 6).replace(/0+$/, '')}`;
  const hours = Math.floor(seconds / 3600);
  return `${pad(hours, 2)}:${pad(Math.floor(seconds / 60) % 60, 2)}:${pad(seconds % 60, 2)}${digits}`;
}

function timestampText(micros: bigint, zoned: boolean): string {
  if (micros === MAX_INT64) return 'infinity';
  if (micros === MIN_INT64) return '-infinity';
  const remainder = ((micros % MICROS_PER_DAY) + MICROS_PER_DAY) % MICROS_PER_DAY;
  const { date, era } = dateText(Number((micros - remainder) / MICROS_PER_DAY) + EPOCH_DAYS);
  return `${date} ${timeText(remainder)}${zoned ? '+00' : ''}${era}`;
}

function intervalText(bytes: Buffer): string {
  const micros = bytes.readBigInt64BE(0);
  const days = bytes.readInt32BE(8);
  const months = bytes.readInt32BE(12);
  if (months === MAX_INT32 && days === MAX_INT32 && micros === MAX_INT64) return 'infinity';
  if (months === MIN_INT32 && days === MIN_INT32 && micros === MIN_INT64) return '-infinity';
  const time = micros < 0n ? `-${timeText(-micros)}` : timeText(micros);
  return `${months} mons ${days} days ${time}`;
}

const NUMERIC_SPECIAL: Readonly<Record<number, string>> = {
  0xc000: 'NaN',
  0xd000: 'Infinity',
  0xf000: '-Infinity',
};

/** Base-10000 digits with a weight (numeric.c, `numeric_send`). */
function decimalText(bytes: Buffer): string {
  const count = bytes.readInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const scale = bytes.readUInt16BE(6);
  const special = NUMERIC_SPECIAL[sign];
  if (special !== undefined) return special;
  const digit = (index: number): string =>
    pad(index >= 0 && index < count ? bytes.readInt16BE(8 + index * 2) : 0, 4);
  let whole = '';
  for (let index = 0; index <= weight; index++) whole += digit(index);
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index++) fraction += digit(index);
  const text = `${whole.replace(/^0+(?=\d)/, '') || '0'}${scale > 0 ? `.${fraction.slice(0, scale)}` : ''}`;
  return sign === 0x4000 ? `-${text}` : text;
}

function floatText(value: number, bits: 32 | 64): string {
  if (!Number.isFinite(value))
    return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity';
  if (Object.is(value, -0)) return '-0';
  if (bits === 64) return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return value.toPrecision(9);
}

function intText(bytes: Buffer, bits: 16 | 32 | 64): string {
  if (bits === 16) return String(bytes.readInt16BE(0));
  return String(bits === 32 ? bytes.readInt32BE(0) : bytes.readBigInt64BE(0));
}

function uuidText(bytes: Buffer): string {
  const digits = bytes.toString('hex');
  return [
    [0, 8],
    [8, 12],
    [12, 16],
    [16, 20],
    [20, 32],
  ]
    .map(([from, to]) => digits.slice(from, to))
    .join('-');
}

function elementText(text: string): string {
  const plain = text !== '' && !/[ \t\n\r\v\f{},"\\]/.test(text) && text.toLowerCase() !== 'null';
  return plain ? text : `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function arrayText(bytes: Buffer, element: LogicalType, printed: Printed): string {
  const dimensions = bytes.readInt32BE(0);
  if (dimensions === 0) return '{}';
  const sizes: number[] = [];
  let bounds = '';
  let shifted = false;
  for (let dimension = 0; dimension < dimensions; dimension++) {
    const size = bytes.readInt32BE(12 + dimension * 8);
    const lower = bytes.readInt32BE(16 + dimension * 8);
    sizes.push(size);
    bounds += `[${lower}:${lower + size - 1}]`;
    shifted ||= lower !== 1;
  }
  let at = 12 + dimensions * 8;
  const read = (dimension: number): string => {
    const parts: string[] = [];
    for (let index = 0; index < (sizes[dimension] ?? 0); index++) {
      if (dimension + 1 < dimensions) {
        parts.push(read(dimension + 1));
        continue;
      }
      const length = bytes.readInt32BE(at);
      at += 4;
      if (length < 0) parts.push('NULL');
      else parts.push(elementText(binaryText(bytes.subarray(at, at + length), element, printed)));
      at += Math.max(0, length);
    }
    return `{${parts.join(',')}}`;
  };
  return `${shifted ? `${bounds}=` : ''}${read(0)}`;
}

function binaryText(bytes: Buffer, type: LogicalType, printed: Printed): string {
  switch (type.kind) {
    case 'boolean':
      return bytes[0] === 1 ? 't' : 'f';
    case 'int':
      return intText(bytes, type.bits);
    case 'float':
      return floatText(type.bits === 32 ? bytes.readFloatBE(0) : bytes.readDoubleBE(0), type.bits);
    case 'decimal':
      return decimalText(bytes);
    case 'bytes':
      return hex(bytes);
    case 'date': {
      const days = bytes.readInt32BE(0);
      if (days === MAX_INT32) return 'infinity';
      if (days === MIN_INT32) return '-infinity';
      const { date, era } = dateText(days + EPOCH_DAYS);
      return date + era;
    }
    case 'time':
      return timeText(bytes.readBigInt64BE(0));
    case 'timestamp':
      return timestampText(bytes.readBigInt64BE(0), type.zoned);
    case 'interval':
      return intervalText(bytes);
    case 'uuid':
      return uuidText(bytes);
    case 'array':
      return arrayText(bytes, type.element, printed);
    case 'text':
    case 'json':
    case 'other':
      return plainText(bytes, printed);
  }
}

/** A cell's text; null for NULL, undefined where the row has no value (unchanged, absent). */
export function cellText(
  batch: RowBatch,
  row: number,
  column: number,
  printed: Printed = { altered: false },
): string | null | undefined {
  const word = (row * batch.schema.columns.length + column) * 2;
  const offset = batch.cells[word] ?? 0;
  const length = batch.cells[word + 1] ?? -3;
  const type = batch.schema.columns[column]?.type;
  if (length < 0 || type === undefined) return length === -1 ? null : undefined;
  const bytes = batch.slab.subarray(offset, offset + length);
  if (batch.encodings[column] === 'text') return plainText(bytes, printed);
  try {
    return binaryText(bytes, type, printed);
  } catch {
    // Torn bytes are one of the reasons for a rejection.
    printed.altered = true;
    return hex(bytes);
  }
}

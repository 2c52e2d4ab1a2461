/** Binary cells to PostgreSQL's text. */
import { isUtf8 } from 'node:buffer';
import type { LogicalType } from '../../core/value.ts';
import { printDate, printInterval, printTime, printTimestamp } from './calendar.ts';
import { printNumeric } from './numeric.ts';
import { shortestFloat } from './shortest-float.ts';

/** PostgreSQL's float output: plain from 1e-4 up to 1e15 (double) or 1e6 (real), else with an exponent. */
export function printFloat(value: number, bits: 32 | 64): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'Infinity' : '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const scientific = shortestFloat(Math.abs(value), bits);
  const [mantissa = '', exponentText = '0'] = scientific.split('e');
  const exponent = Number(exponentText);
  const sign = value < 0 ? '-' : '';
  const digits = mantissa.replace('.', '');
  if (exponent < -4 || exponent >= (bits === 32 ? 6 : 15)) {
    const power = Math.abs(exponent).toString().padStart(2, '0');
    return `${sign}${mantissa}e${exponent < 0 ? '-' : '+'}${power}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0');
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function printUuid(bytes: Buffer, offset: number): string {
  const hex = bytes.toString('hex', offset, offset + 16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function printInt(bytes: Buffer, offset: number, length: number): string {
  if (length === 8) return bytes.readBigInt64BE(offset).toString();
  return bytes.readIntBE(offset, length).toString();
}

export interface CellBytes {
  readonly bytes: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** Bytes that are no UTF-8, which only dead letters have, are shown as `\\x` and hexadecimal digits. */
export function printText({ bytes, offset, length }: CellBytes): string {
  const part = bytes.subarray(offset, offset + length);
  return isUtf8(part) ? part.toString('utf8') : `\\x${part.toString('hex')}`;
}

/** Throws a RangeError on bytes that are no value of the type. */
export function printCell(type: LogicalType, { bytes, offset, length }: CellBytes): string {
  switch (type.kind) {
    case 'boolean':
      return bytes[offset] === 0 ? 'f' : 't';
    case 'int':
      return printInt(bytes, offset, length);
    case 'float':
      return length === 4
        ? printFloat(bytes.readFloatBE(offset), 32)
        : printFloat(bytes.readDoubleBE(offset), 64);
    case 'decimal':
      return printNumeric(bytes, offset);
    case 'text':
    case 'json':
    case 'other':
      return printText({ bytes, offset, length });
    case 'bytes':
      return `\\x${bytes.toString('hex', offset, offset + length)}`;
    case 'date':
      return printDate(bytes.readInt32BE(offset));
    case 'time':
      return printTime(bytes.readBigInt64BE(offset));
    case 'timestamp':
      return printTimestamp(bytes.readBigInt64BE(offset), type.zoned);
    case 'interval':
      return printInterval({
        micros: bytes.readBigInt64BE(offset),
        days: bytes.readInt32BE(offset + 8),
        months: bytes.readInt32BE(offset + 12),
      });
    case 'uuid':
      return printUuid(bytes, offset);
    case 'array':
      return printArray(type.element, bytes, offset);
  }
}

/** White space as PostgreSQL means it, in array_out: not all that Unicode knows. */
const NEEDS_QUOTES = /^$|^null$|["\\{}, \t\n\r\v\f]/i;

function quoteElement(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text;
}

function printArray(element: LogicalType, bytes: Buffer, offset: number): string {
  const dimensions = bytes.readInt32BE(offset);
  if (dimensions === 0) return '{}';
  const lengths: number[] = [];
  const bounds: number[] = [];
  for (let index = 0; index < dimensions; index += 1) {
    lengths.push(bytes.readInt32BE(offset + 12 + index * 8));
    bounds.push(bytes.readInt32BE(offset + 16 + index * 8));
  }
  let at = offset + 12 + dimensions * 8;
  const next = (): string => {
    const length = bytes.readInt32BE(at);
    at += 4;
    if (length < 0) return 'NULL';
    const text = printCell(element, { bytes, offset: at, length });
    at += length;
    return quoteElement(text);
  };
  const level = (depth: number): string => {
    const items: string[] = [];
    for (let index = 0; index < (lengths[depth] ?? 0); index += 1) {
      items.push(depth === dimensions - 1 ? next() : level(depth + 1));
    }
    return `{${items.join(',')}}`;
  };
  const body = level(0);
  if (bounds.every((bound) => bound === 1)) return body;
  const ranges = bounds.map((bound, index) => `[${bound}:${bound + (lengths[index] ?? 0) - 1}]`);
  return `${ranges.join('')}=${body}`;
}

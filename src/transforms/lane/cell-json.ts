/**
 * One cell between its text (core/value.ts) and JSON. Numbers keep their digits; what JSON has no form for is a
 * string of the cell's text.
 */
import { ABSENT_CELL, type LogicalType, NULL_CELL } from '../../core/value.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import { arrayFromJson, arrayToJson } from './array-text.ts';
import { clockText, isoClock } from './iso-time.ts';
import { decodeString, type JsonSpan } from './json-members.ts';

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A cell's text; null for NULL, undefined where the row has no value (unchanged, absent). */
export function cellText(batch: RowBatch, row: number, column: number): string | null | undefined {
  const word = (row * batch.schema.columns.length + column) * 2;
  const length = batch.cells[word + 1] ?? ABSENT_CELL;
  if (length < 0) return length === NULL_CELL ? null : undefined;
  const at = batch.cells[word] ?? 0;
  return batch.slab.toString('utf8', at, at + length);
}

export function cellToJson(type: LogicalType, text: string): string {
  switch (type.kind) {
    case 'int':
    case 'decimal':
    case 'float':
      return JSON_NUMBER.test(text) ? text : JSON.stringify(text);
    case 'boolean':
      return text === 't' || text === 'true' ? 'true' : 'false';
    case 'json':
      return text.trim();
    case 'timestamp':
      return JSON.stringify(isoClock(text));
    case 'array':
      return (
        arrayToJson(text, (element) => cellToJson(type.element, element)) ?? JSON.stringify(text)
      );
    default:
      return JSON.stringify(text);
  }
}

const INT_ENDS = {
  16: 2n ** 15n,
  32: 2n ** 31n,
  64: 2n ** 63n,
} as const;

function intText(number: string, bits: 16 | 32 | 64): string | null {
  if (!/^-?\d+$/.test(number)) return null;
  const value = BigInt(number);
  return value < INT_ENDS[bits] && value >= -INT_ENDS[bits] ? number : null;
}

const MOST_DIGITS = 20_000;

/** A number without an exponent; null if it would have too many digits. */
export function plainNumber(number: string): string | null {
  const match = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d+)$/.exec(number);
  if (match === null) return number;
  const [, sign = '', whole = '', fraction = '', power] = match;
  const exponent = Number(power);
  if (Math.abs(exponent) + whole.length + fraction.length > MOST_DIGITS) return null;
  const padded = exponent < 0 ? whole.padStart(whole.length - exponent, '0') : whole;
  const digits = padded + fraction.padEnd(Math.max(exponent, 0), '0');
  const point = padded.length + exponent;
  const before = digits.slice(0, point).replace(/^0+(?=\d)/, '');
  const after = digits.slice(point);
  return `${sign}${before === '' ? '0' : before}${after === '' ? '' : `.${after}`}`;
}

function decimalText(number: string, precision: number | null, scale: number): string | null {
  const plain = plainNumber(number);
  if (plain === null || precision === null) return plain;
  const [whole = '', fraction = ''] = plain.replace('-', '').split('.');
  const places = fraction.replace(/0+$/, '').length;
  const digits = whole.replace(/^0+/, '').length;
  return places <= Math.max(scale, 0) && digits <= precision - scale ? plain : null;
}

const SPECIAL_NUMBERS = new Set(['NaN', 'Infinity', '-Infinity']);
const TEXT_FORMS = {
  bytes: /^\\x(?:[\da-f]{2})*$/i,
  date: /^(?:-?infinity|\d{4,}-\d\d-\d\d(?: BC)?)$/,
  time: /^\d\d:\d\d:\d\d(?:\.\d{1,6})?$/,
  interval: /^(?:-?infinity|[-+\d:. ]*(?:(?:year|mon|day)s?[-+\d:. ]*)*)$/,
  uuid: /^[\da-f]{8}-(?:[\da-f]{4}-){3}[\da-f]{12}$/i,
} as const;

function stringText(type: LogicalType, text: string): string | null {
  switch (type.kind) {
    case 'text':
    case 'other':
      return text;
    case 'float':
    case 'decimal':
      return SPECIAL_NUMBERS.has(text) ? text : null;
    case 'bytes':
    case 'date':
    case 'time':
    case 'interval':
    case 'uuid':
      return TEXT_FORMS[type.kind].test(text) ? text : null;
    case 'timestamp':
      return clockText(text, type.zoned);
    default:
      return null;
  }
}

function numberText(type: LogicalType, number: string): string | null {
  switch (type.kind) {
    case 'int':
      return intText(number, type.bits);
    case 'float':
      return number;
    case 'decimal':
      return decimalText(number, type.precision, type.scale ?? 0);
    default:
      return null;
  }
}

/** The cell's text for a value that is not null; null if the value is none of the type. */
export function jsonToCell(type: LogicalType, json: string, span: JsonSpan): string | null {
  const raw = json.slice(span.start, span.end);
  if (type.kind === 'json') return raw;
  if (span.kind === 'string') {
    const text = decodeString(raw);
    return text === null || !text.isWellFormed() ? null : stringText(type, text);
  }
  if (type.kind === 'text' || type.kind === 'other') return raw;
  if (span.kind === 'number') return numberText(type, raw);
  if (span.kind === 'boolean') return type.kind === 'boolean' ? raw.slice(0, 1) : null;
  if (type.kind !== 'array') return null;
  return arrayFromJson(json, span, { element: type.element, text: jsonToCell });
}

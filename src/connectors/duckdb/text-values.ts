/** PostgreSQL's text to binary cells, for types that arrive as text. */
import type { LogicalType } from '../../core/value.ts';
import type { ByteSink } from './byte-sink.ts';
import {
  INT32_MAX,
  INT32_MIN,
  INT64_MAX,
  INT64_MIN,
  parseDate,
  parseInterval,
  parseTime,
  parseTimestamp,
} from './calendar.ts';
import { writeNumericText } from './numeric.ts';

const FLOATS: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

function writeInt(text: string, bits: 16 | 32 | 64, out: ByteSink): boolean {
  if (!/^-?\d+$/.test(text)) return false;
  if (bits === 64) {
    const value = BigInt(text);
    if (value > INT64_MAX || value < INT64_MIN) return false;
    out.int64(value);
    return true;
  }
  const value = Number(text);
  const limit = bits === 16 ? 0x8000 : 0x8000_0000;
  if (value >= limit || value < -limit) return false;
  if (bits === 16) out.int16(value);
  else out.int32(value);
  return true;
}

function writeFloat(text: string, bits: 32 | 64, out: ByteSink): boolean {
  const value = FLOATS[text] ?? Number(text === '' ? 'x' : text);
  if (Number.isNaN(value) && text !== 'NaN') return false;
  const at = out.take(bits / 8);
  if (bits === 32) out.buffer.writeFloatBE(value, at);
  else out.buffer.writeDoubleBE(value, at);
  return true;
}

function writeHex(hex: string, out: ByteSink): boolean {
  if (hex.length % 2 !== 0) return false;
  const at = out.take(hex.length / 2);
  return out.buffer.write(hex, at, 'hex') === hex.length / 2;
}

function writeInterval(text: string, out: ByteSink): boolean {
  const parts = parseInterval(text);
  if (parts === null) return false;
  const { micros, days, months } = parts;
  if (days > INT32_MAX || days < INT32_MIN || months > INT32_MAX || months < INT32_MIN)
    return false;
  if (micros > INT64_MAX || micros < INT64_MIN) return false;
  out.int64(micros);
  out.int32(days);
  out.int32(months);
  return true;
}

function writeMicros(micros: bigint | null, out: ByteSink): boolean {
  if (micros === null || micros > INT64_MAX || micros < INT64_MIN) return false;
  out.int64(micros);
  return true;
}

/** False if the text is no value of the type; what is in `out` is then to be forgotten. */
export function writeText(type: LogicalType, text: string, out: ByteSink): boolean {
  switch (type.kind) {
    case 'boolean': {
      if (text !== 't' && text !== 'f' && text !== 'true' && text !== 'false') return false;
      const at = out.take(1);
      out.buffer[at] = text.startsWith('t') ? 1 : 0;
      return true;
    }
    case 'int':
      return writeInt(text, type.bits, out);
    case 'float':
      return writeFloat(text, type.bits, out);
    case 'decimal':
      return writeNumericText(text, out);
    case 'text':
    case 'json':
    case 'other':
      out.text(text);
      return true;
    case 'bytes':
      return text.startsWith('\\x') && writeHex(text.slice(2), out);
    case 'date': {
      const days = parseDate(text);
      if (days === null || days > INT32_MAX || days < INT32_MIN) return false;
      out.int32(days);
      return true;
    }
    case 'time':
      return writeMicros(parseTime(text), out);
    case 'timestamp':
      return writeMicros(parseTimestamp(text), out);
    case 'interval':
      return writeInterval(text, out);
    case 'uuid': {
      const hex = text.replaceAll('-', '');
      return hex.length === 32 && writeHex(hex, out);
    }
    case 'array':
      return writeArrayText(type.element, text, out);
  }
}

interface ParsedArray {
  readonly lengths: number[];
  readonly bounds: number[];
  readonly elements: (string | null)[];
}

const BOUNDS = /^((?:\[-?\d+:-?\d+\])+)=/;
/** A plain element ends at a comma or brace; a quoted one may hold anything. */
const TOKEN = /"((?:[^"\\]|\\.)*)"|((?:[^",{}\\]|\\.)+)|([{},])/suy;

interface ArrayScan {
  depth: number;
  readonly counts: number[];
  readonly lengths: number[];
  readonly elements: (string | null)[];
}

function scanBrace(scan: ArrayScan, brace: string): boolean {
  if (brace === '{') {
    if (scan.depth > 0) scan.counts[scan.depth - 1] = (scan.counts[scan.depth - 1] ?? 0) + 1;
    scan.counts[scan.depth] = 0;
    scan.depth += 1;
    return scan.depth <= 6;
  }
  scan.depth -= 1;
  if (scan.depth < 0) return false;
  const count = scan.counts[scan.depth] ?? 0;
  const known = scan.lengths[scan.depth];
  scan.lengths[scan.depth] = count;
  return known === undefined || known === count;
}

/** Null if it is no array text. Braces that are not of equal length are none. */
export function parseArray(text: string): ParsedArray | null {
  const prefix = BOUNDS.exec(text)?.[1] ?? '';
  const bounds = [...prefix.matchAll(/\[(-?\d+):/g)].map((match) => Number(match[1]));
  const scan: ArrayScan = { depth: 0, counts: [], lengths: [], elements: [] };
  TOKEN.lastIndex = prefix === '' ? 0 : prefix.length + 1;
  do {
    const match = TOKEN.exec(text);
    if (match === null) return null;
    const [, quoted, plain, mark] = match;
    if (mark === undefined) {
      if (scan.depth === 0) return null;
      scan.counts[scan.depth - 1] = (scan.counts[scan.depth - 1] ?? 0) + 1;
      const value = (quoted ?? plain ?? '').replace(/\\(.)/gsu, '$1');
      scan.elements.push(quoted === undefined && /^null$/i.test(value) ? null : value);
    } else if (mark !== ',' && !scanBrace(scan, mark)) return null;
  } while (scan.depth > 0);
  if (TOKEN.lastIndex !== text.length) return null;
  const lengths = scan.elements.length === 0 ? [] : scan.lengths;
  const product = lengths.reduce((total, length) => total * length, 1);
  if (scan.elements.length > 0 && product !== scan.elements.length) return null;
  return {
    lengths,
    bounds: lengths.map((_, index) => bounds[index] ?? 1),
    elements: scan.elements,
  };
}

/** PostgreSQL's type ids of elements, so that its own array input takes what we write. */
export function elementTypeId(element: LogicalType): number {
  switch (element.kind) {
    case 'int':
      return { 16: 21, 32: 23, 64: 20 }[element.bits];
    case 'float':
      return element.bits === 32 ? 700 : 701;
    case 'timestamp':
      return element.zoned ? 1184 : 1114;
    case 'array':
    case 'other':
      return 0;
    default:
      return ELEMENT_TYPE_IDS[element.kind];
  }
}

const ELEMENT_TYPE_IDS = {
  boolean: 16,
  decimal: 1700,
  text: 25,
  bytes: 17,
  date: 1082,
  time: 1083,
  interval: 1186,
  uuid: 2950,
  json: 114,
} as const;

function writeArrayText(element: LogicalType, text: string, out: ByteSink): boolean {
  const array = parseArray(text);
  if (array === null) return false;
  out.int32(array.lengths.length);
  out.int32(array.elements.includes(null) ? 1 : 0);
  out.int32(elementTypeId(element));
  for (const [index, length] of array.lengths.entries()) {
    out.int32(length);
    out.int32(array.bounds[index] ?? 1);
  }
  for (const value of array.elements) {
    const at = out.take(4);
    if (value === null) {
      out.buffer.writeInt32BE(-1, at);
      continue;
    }
    if (!writeText(element, value, out)) return false;
    out.buffer.writeInt32BE(out.length - at - 4, at);
  }
  return true;
}

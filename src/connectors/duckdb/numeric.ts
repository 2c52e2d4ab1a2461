/** PostgreSQL's binary numeric: int16 groups, int16 weight, uint16 sign, uint16 scale, base-10000 groups. */
import type { ByteSink } from './byte-sink.ts';

export const NUMERIC_POSITIVE = 0;
export const NUMERIC_NEGATIVE = 0x4000;
export const NUMERIC_NAN = 0xc000;
export const NUMERIC_INFINITY = 0xd000;
export const NUMERIC_MINUS_INFINITY = 0xf000;

const SPECIALS: Readonly<Record<string, number>> = {
  NaN: NUMERIC_NAN,
  Infinity: NUMERIC_INFINITY,
  '-Infinity': NUMERIC_MINUS_INFINITY,
};

/** Digits before and after the point, no sign; writes the form that PostgreSQL itself would send. */
function writeDigits(sign: number, whole: string, fraction: string, out: ByteSink): void {
  const scale = fraction.length;
  const wholeGroups = Math.ceil(whole.length / 4);
  const left = whole.padStart(wholeGroups * 4, '0');
  const digits = left + fraction.padEnd(Math.ceil(scale / 4) * 4, '0');
  const count = digits.length / 4;
  const group = (index: number): number => Number(digits.slice(index * 4, index * 4 + 4));
  let first = 0;
  while (first < count && group(first) === 0) first += 1;
  let end = count;
  while (end > first && group(end - 1) === 0) end -= 1;
  const isZero = first === end;
  out.int16(end - first);
  out.int16(isZero ? 0 : wholeGroups - 1 - first);
  out.uint16(isZero ? NUMERIC_POSITIVE : sign);
  out.uint16(scale);
  for (let index = first; index < end; index += 1) out.int16(group(index));
}

const NUMERIC_TEXT = /^(-?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;

export function writeNumericText(text: string, out: ByteSink): boolean {
  const special = SPECIALS[text];
  if (special !== undefined) {
    for (const word of [0, 0, special, 0]) out.uint16(word);
    return true;
  }
  const match = NUMERIC_TEXT.exec(text);
  if (match === null) return false;
  let whole = match[2] ?? '';
  let fraction = match[3] ?? '';
  if (whole === '' && fraction === '') return false;
  const exponent = Number(match[4] ?? 0);
  if (Math.abs(exponent) > 200_000) return false;
  if (exponent > 0) {
    const moved = fraction.slice(0, exponent).padEnd(exponent, '0');
    whole += moved;
    fraction = fraction.slice(exponent);
  } else if (exponent < 0) {
    const padded = whole.padStart(-exponent, '0');
    fraction = padded.slice(padded.length + exponent) + fraction;
    whole = padded.slice(0, padded.length + exponent);
  }
  writeDigits(match[1] === '-' ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE, whole, fraction, out);
  return true;
}

/** An integer of `scale` decimal digits after the point, as DuckDB stores decimals. */
export function writeScaled(value: bigint, scale: number, out: ByteSink): void {
  const negative = value < 0n;
  const digits = (negative ? -value : value).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const sign = negative ? NUMERIC_NEGATIVE : NUMERIC_POSITIVE;
  writeDigits(sign, digits.slice(0, point), digits.slice(point), out);
}

export function printNumeric(bytes: Buffer, offset: number): string {
  const sign = bytes.readUInt16BE(offset + 4);
  if (sign === NUMERIC_NAN) return 'NaN';
  if (sign === NUMERIC_INFINITY) return 'Infinity';
  if (sign === NUMERIC_MINUS_INFINITY) return '-Infinity';
  const count = bytes.readInt16BE(offset);
  const weight = bytes.readInt16BE(offset + 2);
  const scale = bytes.readUInt16BE(offset + 6);
  const group = (index: number): string => {
    if (index < 0 || index >= count) return '0000';
    return bytes
      .readInt16BE(offset + 8 + index * 2)
      .toString()
      .padStart(4, '0');
  };
  let whole = '';
  for (let index = 0; index <= weight; index += 1) whole += group(index);
  whole = whole.replace(/^0+(?=\d)/, '') || '0';
  let fraction = '';
  for (let index = weight + 1; fraction.length < scale; index += 1) fraction += group(index);
  const text = scale === 0 ? whole : `${whole}.${fraction.slice(0, scale)}`;
  return sign === NUMERIC_NEGATIVE ? `-${text}` : text;
}

/**
 * The value times ten to the power of `scale`; null if that is no integer or the value no number. For values
 * that do not fit a double; see `DecimalStore` for the usual ones.
 */
export function scaledNumeric(bytes: Buffer, offset: number, scale: number): bigint | null {
  const sign = bytes.readUInt16BE(offset + 4);
  if (sign !== NUMERIC_POSITIVE && sign !== NUMERIC_NEGATIVE) return null;
  const count = bytes.readInt16BE(offset);
  const weight = bytes.readInt16BE(offset + 2);
  // A PostgreSQL numeric may have 131072 digits; no decimal column has more than 38.
  if (count > 40) return null;
  let value = 0n;
  for (let index = 0; index < count; index += 1) {
    value = value * 10_000n + BigInt(bytes.readInt16BE(offset + 8 + index * 2));
  }
  if (value === 0n) return 0n;
  const power = (weight + 1 - count) * 4 + scale;
  if (power > 200 || power < -200) return null;
  if (power >= 0) value *= 10n ** BigInt(power);
  else {
    const divisor = 10n ** BigInt(-power);
    if (value % divisor !== 0n) return null;
    value /= divisor;
  }
  return sign === NUMERIC_NEGATIVE ? -value : value;
}

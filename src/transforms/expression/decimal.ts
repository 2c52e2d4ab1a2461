/** Exact decimal arithmetic on the texts of JSON numbers. */
import { TransformFailure } from './failure.ts';

/** digits / 10^scale, scale >= 0. */
export interface Decimal {
  readonly digits: bigint;
  readonly scale: number;
}

/** More places before or after the point are refused, so that `1e999999999` cannot fill the memory. */
const MAX_PLACES = 10_000;
/** A quotient that does not end has at least this many significant digits. */
const QUOTIENT_DIGITS = 20;
const LEXEME = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/;

interface Parts {
  readonly negative: boolean;
  readonly integer: string;
  readonly fraction: string;
  readonly exponent: number;
}

function partsOf(lexeme: string): Parts {
  const match = LEXEME.exec(lexeme);
  const exponent = Number(match?.[4] ?? '0');
  if (match === null || !Number.isSafeInteger(exponent)) throw outOfRange();
  return {
    negative: match[1] === '-',
    integer: match[2] ?? '',
    fraction: match[3] ?? '',
    exponent,
  };
}

export function outOfRange(): TransformFailure {
  return new TransformFailure('transform_expression', 'a number is out of the range of arithmetic');
}

export function readDecimal(lexeme: string): Decimal {
  const { negative, integer, fraction, exponent } = partsOf(lexeme);
  const places = fraction.length - exponent;
  if (integer.length > MAX_PLACES || fraction.length > MAX_PLACES) throw outOfRange();
  if (Math.abs(exponent) > MAX_PLACES) throw outOfRange();
  const digits = BigInt(integer + fraction) * (places < 0 ? power(-places) : 1n);
  return { digits: negative ? -digits : digits, scale: Math.max(places, 0) };
}

/** Plain notation with as many places after the point as the scale says. */
export function printDecimal({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? '-' : '';
  const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
  if (scale === 0) return sign + text;
  return `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`;
}

export function add(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  return { digits: scaled(a, scale) + scaled(b, scale), scale };
}

export function subtract(a: Decimal, b: Decimal): Decimal {
  return add(a, { digits: -b.digits, scale: b.scale });
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, scale: a.scale + b.scale };
}

/**
 * Exact where the quotient ends within the places kept, else rounded half away from zero: 20 significant
 * digits, and no fewer places than the operands have. Needless zeros are cut down to the operands' places.
 */
export function divide(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new TransformFailure('transform_expression', 'division by zero');
  const least = Math.max(a.scale, b.scale);
  const magnitude = lengthOf(a.digits) - a.scale - (lengthOf(b.digits) - b.scale);
  const scale = Math.max(least, QUOTIENT_DIGITS - magnitude);
  const shift = scale + b.scale - a.scale;
  const over = a.digits * (shift > 0 ? power(shift) : 1n);
  const under = b.digits * (shift < 0 ? power(-shift) : 1n);
  return trimmed({ digits: roundedQuotient(over, under), scale }, least);
}

/** With the sign of the dividend, as SQL has it. */
export function remainder(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new TransformFailure('transform_expression', 'division by zero');
  const scale = Math.max(a.scale, b.scale);
  return { digits: scaled(a, scale) % scaled(b, scale), scale };
}

export type Rounding = 'half-away' | 'floor' | 'ceil';

/** To that many places after the point, fewer than zero rounds to tens, hundreds, ... */
export function roundTo(value: Decimal, places: number, rounding: Rounding): Decimal {
  if (Math.abs(places) > MAX_PLACES) throw outOfRange();
  if (places >= value.scale) return { digits: scaled(value, places), scale: places };
  const unit = power(value.scale - places);
  const quotient = quotientBy(value.digits, unit, rounding);
  if (places >= 0) return { digits: quotient, scale: places };
  return { digits: quotient * power(-places), scale: 0 };
}

/** The order of two numbers' values, exact whatever their size; nothing is expanded. */
export function compareLexemes(a: string, b: string): number {
  // Doubles tell apart and order all decimals of up to 15 digits.
  if (a.length < 16 && b.length < 16 && PLAIN.test(a) && PLAIN.test(b)) {
    const [x, y] = [Number(a), Number(b)];
    return x < y ? -1 : Number(x > y);
  }
  const left = normal(a);
  const right = normal(b);
  if (left.sign !== right.sign) return Math.sign(left.sign - right.sign);
  if (left.point !== right.point) return left.sign * Math.sign(left.point - right.point);
  if (left.digits === right.digits) return 0;
  return left.digits < right.digits ? -left.sign : left.sign;
}

/** Equal for equal values and for no others: no needless zeros, no sign of zero, `e` only where it is short. */
export function canonicalLexeme(lexeme: string): string {
  const { sign, digits, point } = normal(lexeme);
  if (sign === 0) return '0';
  const prefix = sign < 0 ? '-' : '';
  if (point > 40 || point < -20) return `${prefix}0.${digits}e${point}`;
  if (point <= 0) return `${prefix}0.${'0'.repeat(-point)}${digits}`;
  if (digits.length <= point) return prefix + digits.padEnd(point, '0');
  return `${prefix}${digits.slice(0, point)}.${digits.slice(point)}`;
}

const PLAIN = /^-?[0-9]+(?:\.[0-9]+)?$/;

/** sign * 0.digits * 10^point, digits without zeros at either end. */
function normal(lexeme: string): { sign: number; digits: string; point: number } {
  const { negative, integer, fraction, exponent } = partsOf(lexeme);
  const all = integer + fraction;
  let first = 0;
  while (first < all.length && all[first] === '0') first += 1;
  let last = all.length;
  while (last > first && all[last - 1] === '0') last -= 1;
  if (first === last) return { sign: 0, digits: '', point: 0 };
  return {
    sign: negative ? -1 : 1,
    digits: all.slice(first, last),
    point: integer.length - first + exponent,
  };
}

function trimmed({ digits, scale }: Decimal, least: number): Decimal {
  let rest = digits;
  let places = scale;
  while (places > least && rest % 10n === 0n) {
    rest /= 10n;
    places -= 1;
  }
  return { digits: rest, scale: places };
}

function roundedQuotient(over: bigint, under: bigint): bigint {
  const negative = over < 0n !== under < 0n;
  const top = over < 0n ? -over : over;
  const bottom = under < 0n ? -under : under;
  const quotient = (2n * top + bottom) / (2n * bottom);
  return negative ? -quotient : quotient;
}

function quotientBy(digits: bigint, unit: bigint, rounding: Rounding): bigint {
  if (rounding === 'half-away') return roundedQuotient(digits, unit);
  const cut = digits / unit;
  if (cut * unit === digits) return cut;
  if (rounding === 'floor') return digits < 0n ? cut - 1n : cut;
  return digits < 0n ? cut : cut + 1n;
}

function scaled({ digits, scale }: Decimal, to: number): bigint {
  return digits * power(to - scale);
}

function power(places: number): bigint {
  return 10n ** BigInt(places);
}

function lengthOf(digits: bigint): number {
  return String(digits < 0n ? -digits : digits).length;
}

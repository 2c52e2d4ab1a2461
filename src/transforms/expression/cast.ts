import { parseJson } from '../json/parse.ts';
import { JsonNumber } from '../json/value.ts';
import { printDecimal, readDecimal, roundTo } from './decimal.ts';
import { TransformFailure } from './failure.ts';
import { Moment, parseMoment, startOfDay } from './moment.ts';
import { type StaticType, textOf, typeOf, type Value } from './value.ts';

export const CAST_NAMES = [
  'integer',
  'bigint',
  'decimal',
  'double',
  'boolean',
  'text',
  'date',
  'timestamp',
  'json',
] as const;
export type CastName = (typeof CAST_NAMES)[number];

export interface CastType {
  readonly name: CastName;
  /** Only of decimals: `decimal(precision, scale)`. */
  readonly size: { readonly precision: number; readonly scale: number } | null;
}

const TYPE_TEXT = /^\s*([a-z]+)\s*(?:\(\s*([0-9]{1,4})\s*(?:,\s*([0-9]{1,4})\s*)?\))?\s*$/i;

/** Null: no such type. */
export function parseCastType(text: string): CastType | null {
  const match = TYPE_TEXT.exec(text);
  const name = CAST_NAMES.find((known) => known === match?.[1]?.toLowerCase());
  if (match === null || name === undefined) return null;
  if (match[2] === undefined) return { name, size: null };
  const size = { precision: Number(match[2]), scale: Number(match[3] ?? '0') };
  return name === 'decimal' && size.precision > 0 && size.scale <= size.precision
    ? { name, size }
    : null;
}

export function castResult(name: CastName): StaticType {
  switch (name) {
    case 'integer':
    case 'bigint':
    case 'decimal':
    case 'double':
      return 'number';
    case 'json':
      return 'any';
    default:
      return name;
  }
}

/**
 * Null stays null. What cannot be said in the other type without loss fails with `transform_cast`; rounded
 * are only doubles (to the nearest) and decimals of a given scale (half away from zero).
 */
export function castValue(value: Value, type: CastType, subject: string): Value {
  if (value === null) return null;
  const cast = attempt(value, type);
  if (cast !== undefined) return cast;
  throw new TransformFailure(
    'transform_cast',
    `${subject} holds a ${typeOf(value)} that is no ${printCastType(type)}`,
  );
}

function attempt(value: Exclude<Value, null>, type: CastType): Value | undefined {
  try {
    return CASTS[type.name](value, type);
  } catch (error) {
    // A number beyond the range of arithmetic has no such form either.
    if (error instanceof TransformFailure) return undefined;
    throw error;
  }
}

function printCastType({ name, size }: CastType): string {
  return size === null ? name : `${name}(${size.precision},${size.scale})`;
}

/** Undefined: the value has no such form. */
type Cast = (value: Exclude<Value, null>, type: CastType) => Value | undefined;

const CASTS: Readonly<Record<CastName, Cast>> = {
  integer: (value) => wholeNumber(value, 32),
  bigint: (value) => wholeNumber(value, 64),
  decimal: (value, { size }) => {
    const lexeme = lexemeOf(value);
    if (lexeme === null || size === null)
      return lexeme === null ? undefined : new JsonNumber(lexeme);
    const rounded = roundTo(readDecimal(lexeme), size.scale, 'half-away');
    const limit = 10n ** BigInt(size.precision);
    if (rounded.digits >= limit || rounded.digits <= -limit) return undefined;
    return new JsonNumber(printDecimal(rounded));
  },
  double: (value) => {
    const number = Number(lexemeOf(value) ?? 'none');
    if (!Number.isFinite(number)) return undefined;
    return new JsonNumber(Object.is(number, -0) ? '-0' : String(number));
  },
  boolean: (value) => {
    if (typeof value === 'boolean') return value;
    if (typeof value === 'string') return BOOLEANS.get(value.trim().toLowerCase());
    return value instanceof JsonNumber ? BOOLEANS.get(value.lexeme) : undefined;
  },
  text: (value) => textOf(value),
  date: (value) => {
    const moment = momentOf(value);
    return moment === null ? undefined : startOfDay(moment);
  },
  timestamp: (value) => {
    const moment = momentOf(value);
    if (moment === null) return undefined;
    return moment.kind === 'timestamp' ? moment : new Moment('timestamp', moment.micros, false);
  },
  json: (value) => {
    if (typeof value !== 'string') return value;
    const parsed = parseJson(value);
    return parsed.ok ? parsed.value : undefined;
  },
};

const BOOLEANS = new Map(
  ['true', 't', 'yes', 'y', 'on', '1']
    .map((text): [string, boolean] => [text, true])
    .concat(['false', 'f', 'no', 'n', 'off', '0'].map((text) => [text, false])),
);

const NUMBER_TEXT = /^([+-]?)0*([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)$/;

/** A number's text, or that of a text which is a number; booleans are 1 and 0. */
function lexemeOf(value: Exclude<Value, null>): string | null {
  if (value instanceof JsonNumber) return value.lexeme;
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value !== 'string') return null;
  const text = value
    .trim()
    .replace(/^([+-]?)\./, '$10.')
    .replace(/\.(?=$|[eE])/, '');
  const match = NUMBER_TEXT.exec(text);
  return match === null ? null : `${match[1] === '-' ? '-' : ''}${match[2] ?? ''}`;
}

function wholeNumber(value: Exclude<Value, null>, bits: number): JsonNumber | undefined {
  const lexeme = lexemeOf(value);
  if (lexeme === null) return undefined;
  const { digits, scale } = readDecimal(lexeme);
  const unit = 10n ** BigInt(scale);
  if (digits % unit !== 0n || BigInt.asIntN(bits, digits / unit) !== digits / unit)
    return undefined;
  return new JsonNumber(String(digits / unit));
}

function momentOf(value: Exclude<Value, null>): Moment | null {
  if (value instanceof Moment) return value;
  return typeof value === 'string' ? parseMoment(value) : null;
}

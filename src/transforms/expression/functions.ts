import type { RE2JS } from 're2js';
import { JsonNumber } from '../json/value.ts';
import { outOfRange, readDecimal, roundTo, type Rounding } from './decimal.ts';
import { TransformFailure } from './failure.ts';
import { MICROS_PER_SECOND, Moment, truncateMoment, TRUNCATIONS } from './moment.ts';
import { numberOf, type StaticType, textOf, type Value } from './value.ts';

export interface CallContext {
  readonly now: () => Moment;
  /** The compiled argument of functions with a pattern. */
  readonly pattern: RE2JS | null;
}

export interface FunctionRow {
  readonly params: readonly StaticType[];
  /** How many of the parameters, from the end, may be left out. */
  readonly optional?: number;
  /** The type of any number of further arguments. */
  readonly rest?: StaticType;
  readonly result: StaticType;
  /** Which argument is a regular expression; it has to be a literal. */
  readonly pattern?: number;
  /** Also called when an argument is null; other functions are null then. */
  readonly takesNull?: true;
  readonly run: (args: readonly Value[], context: CallContext) => Value;
}

// The caller has checked every argument against its row.
const text = (value: Value | undefined): string => value as string;
const decimal = (value: Value | undefined) => readDecimal((value as JsonNumber).lexeme);

/** For counts and places: a whole number that fits one. */
function count(value: Value | undefined): number {
  const number = Number((value as JsonNumber).lexeme);
  if (!Number.isSafeInteger(number)) throw outOfRange();
  return number;
}

const ofText = (run: (value: string) => string): FunctionRow => ({
  params: ['text'],
  result: 'text',
  run: ([value]) => run(text(value)),
});

const testOfText = (run: (value: string, part: string) => boolean): FunctionRow => ({
  params: ['text', 'text'],
  result: 'boolean',
  run: ([value, part]) => run(text(value), text(part)),
});

const rounded = (rounding: Rounding, params: readonly StaticType[]): FunctionRow => ({
  params,
  optional: params.length - 1,
  result: 'number',
  run: ([value, places]) =>
    numberOf(roundTo(decimal(value), places === undefined ? 0 : count(places), rounding)),
});

const fromEpoch = (microsPerUnit: bigint): FunctionRow => ({
  params: ['number'],
  result: 'timestamp',
  run: ([value]) => {
    const { digits, scale } = decimal(value);
    const micros = roundTo({ digits: digits * microsPerUnit, scale }, 0, 'half-away').digits;
    // The years 0 to 9999, which ISO texts have.
    if (micros < -62_167_219_200_000_000n || micros >= 253_402_300_800_000_000n) throw outOfRange();
    return new Moment('timestamp', micros, true);
  },
});

/** Positions count characters (code points) from 1; those before the text are empty, as in SQL. */
function substring(value: string, from: number, length: number): string {
  if (length < 0) throw new TransformFailure('transform_expression', 'a length below zero');
  const first = Math.max(from, 1);
  const end = Math.max(from + length, first);
  // Texts of one unit per character need no splitting.
  if (!SURROGATES.test(value)) return value.slice(first - 1, end - 1);
  return Array.from(value)
    .slice(first - 1, end - 1)
    .join('');
}

const SURROGATES = /[\ud800-\udfff]/;

function lengthOf(value: string): number {
  return SURROGATES.test(value) ? Array.from(value).length : value.length;
}

export const FUNCTIONS: Readonly<Record<string, FunctionRow>> = {
  lower: ofText((value) => value.toLowerCase()),
  upper: ofText((value) => value.toUpperCase()),
  trim: ofText((value) => value.trim()),
  ltrim: ofText((value) => value.trimStart()),
  rtrim: ofText((value) => value.trimEnd()),
  length: {
    params: ['text'],
    result: 'number',
    run: ([value]) => new JsonNumber(String(lengthOf(text(value)))),
  },
  substring: {
    params: ['text', 'number', 'number'],
    optional: 1,
    result: 'text',
    run: ([value, from, length]) =>
      substring(text(value), count(from), length === undefined ? Infinity : count(length)),
  },
  replace: {
    params: ['text', 'text', 'text'],
    result: 'text',
    run: ([value, part, by]) =>
      text(part) === '' ? text(value) : text(value).split(text(part)).join(text(by)),
  },
  split_part: {
    params: ['text', 'text', 'number'],
    result: 'text',
    run: ([value, separator, index]) => {
      const at = count(index);
      if (at < 1) throw new TransformFailure('transform_expression', 'parts count from 1');
      const parts = text(separator) === '' ? [text(value)] : text(value).split(text(separator));
      return parts[at - 1] ?? '';
    },
  },
  concat: {
    params: [],
    rest: 'any',
    result: 'text',
    takesNull: true,
    run: (args) => args.map((value) => (value === null ? '' : textOf(value))).join(''),
  },
  contains: testOfText((value, part) => value.includes(part)),
  starts_with: testOfText((value, part) => value.startsWith(part)),
  ends_with: testOfText((value, part) => value.endsWith(part)),
  matches: {
    params: ['text', 'text'],
    result: 'boolean',
    pattern: 1,
    run: ([value], { pattern }) => pattern?.test(text(value)) ?? null,
  },
  regexp_replace: {
    params: ['text', 'text', 'text'],
    result: 'text',
    pattern: 1,
    run: ([value, , by], { pattern }) => pattern?.matcher(text(value)).replaceAll(text(by)) ?? null,
  },
  abs: {
    params: ['number'],
    result: 'number',
    run: ([value]) => {
      const { digits, scale } = decimal(value);
      return numberOf({ digits: digits < 0n ? -digits : digits, scale });
    },
  },
  round: rounded('half-away', ['number', 'number']),
  floor: rounded('floor', ['number']),
  ceil: rounded('ceil', ['number']),
  now: { params: [], result: 'timestamp', run: (_, { now }) => now() },
  from_epoch_seconds: fromEpoch(MICROS_PER_SECOND),
  from_epoch_ms: fromEpoch(1000n),
  date_trunc: {
    params: ['text', 'timestamp'],
    result: 'timestamp',
    run: ([name, moment]) => {
      const unit = TRUNCATIONS.find((known) => known === name);
      if (unit !== undefined) return truncateMoment(moment as Moment, unit);
      throw new TransformFailure('transform_expression', `units are ${TRUNCATIONS.join(', ')}`);
    },
  },
  size: {
    params: ['json'],
    result: 'number',
    run: ([value]) =>
      new JsonNumber(
        String(Array.isArray(value) ? value.length : (value as Map<string, Value>).size),
      ),
  },
};

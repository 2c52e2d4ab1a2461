/** What a backfill reads, cut into ranges of days or of keys; a range is known by its number. Pure. */
import type { BackfillRange } from './activities.ts';
import type { Span } from './index-set.ts';

export type BackfillSpan =
  /** UTC days, both inclusive. */
  | { readonly kind: 'days'; readonly start: string; readonly end: string; readonly each: number }
  /** Integers of a column, both inclusive. */
  | {
      readonly kind: 'keys';
      readonly column: string;
      readonly start: number;
      readonly end: number;
      readonly each: number;
    };

const DAY_MS = 86_400_000;
/** What became of each of them must fit into a payload, whatever it was. */
export const MOST_RANGES = 5000;

const dayNumber = (day: string): number => Date.parse(`${day}T00:00:00Z`) / DAY_MS;
const dayOf = (number: number): string => new Date(number * DAY_MS).toISOString().slice(0, 10);

/** Keys may be further apart than a number is exact. */
function bounds(span: BackfillSpan): { readonly first: bigint; readonly last: bigint } {
  const [start, end] =
    span.kind === 'days' ? [dayNumber(span.start), dayNumber(span.end)] : [span.start, span.end];
  return { first: BigInt(start), last: BigInt(end) };
}

/** Days or keys in all. */
function lengthOf(span: BackfillSpan): bigint {
  const { first, last } = bounds(span);
  return last < first ? 0n : last - first + 1n;
}

const divideUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

export function rangeCount(span: BackfillSpan): number {
  return Number(divideUp(lengthOf(span), BigInt(span.each)));
}

/** The least length of a range with which there are not too many. */
export function leastEach(span: BackfillSpan): number {
  return Math.max(1, Number(divideUp(lengthOf(span), BigInt(MOST_RANGES))));
}

/** From the first of these ranges to the last of them, as one. */
export function rangesAt(span: BackfillSpan, [from, to]: Span): BackfillRange {
  const { first, last } = bounds(span);
  const each = BigInt(span.each);
  const start = first + BigInt(from) * each;
  const end = first + BigInt(to + 1) * each - 1n;
  const stop = end < last ? end : last;
  return span.kind === 'days'
    ? { kind: 'days', start: dayOf(Number(start)), end: dayOf(Number(stop)) }
    : { kind: 'keys', column: span.column, start: Number(start), end: Number(stop) };
}

export function rangeAt(span: BackfillSpan, index: number): BackfillRange {
  return rangesAt(span, [index, index]);
}

/**
 * Sets of numbers from 0 on, written as `0-3,7,9-12`: what thousands of ranges came to must fit into a payload, and
 * neighbours mostly come to the same. Pure.
 */

/** First and last, both in it. In order, and no two of them touch. */
export type Span = readonly [first: number, last: number];

const SPAN = /^(\d+)(?:-(\d+))?$/;

/** Null where the text is none of a set. */
export function readIndexes(text: string): readonly Span[] | null {
  if (text === '') return [];
  const spans: Span[] = [];
  for (const part of text.split(',')) {
    const [, first, last = first] = SPAN.exec(part) ?? [];
    if (first === undefined) return null;
    const span: Span = [Number(first), Number(last)];
    const before = spans.at(-1);
    if (span[1] < span[0] || (before !== undefined && span[0] <= before[1] + 1)) return null;
    spans.push(span);
  }
  return spans;
}

export function writeIndexes(spans: readonly Span[]): string {
  return spans.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

export function spansOf(indexes: Iterable<number>): readonly Span[] {
  const spans: [number, number][] = [];
  for (const index of [...indexes].toSorted((a, b) => a - b)) {
    const last = spans.at(-1);
    if (last !== undefined && index <= last[1] + 1) last[1] = index;
    else spans.push([index, index]);
  }
  return spans;
}

export function indexesIn(spans: readonly Span[]): readonly number[] {
  return spans.flatMap(([first, last]) =>
    Array.from({ length: last - first + 1 }, (_, offset) => first + offset),
  );
}

export function sizeOf(spans: readonly Span[]): number {
  return spans.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BackfillRange } from './activities.ts';
import {
  type BackfillSpan,
  leastEach,
  MOST_RANGES,
  rangeAt,
  rangeCount,
  rangesAt,
} from './backfill-ranges.ts';

const DAY_MS = 86_400_000;

const days = fc
  .tuple(fc.integer({ min: -20_000, max: 40_000 }), fc.nat(4000), fc.integer({ min: 1, max: 400 }))
  .map(([first, length, each]): BackfillSpan => {
    const day = (number: number): string => new Date(number * DAY_MS).toISOString().slice(0, 10);
    return { kind: 'days', start: day(first), end: day(first + length), each };
  });
const keys = fc
  .tuple(fc.maxSafeInteger(), fc.maxSafeInteger(), fc.integer({ min: 1, max: 2000 }))
  .map(([a, b, pieces]): BackfillSpan => {
    const [start, end] = a < b ? [a, b] : [b, a];
    const whole = { kind: 'keys', column: 'id', start, end, each: 1 } as const;
    return { ...whole, each: leastEach(whole) * (1 + (pieces % 7)) };
  });

const numberOf = (bound: string | number): bigint =>
  typeof bound === 'number' ? BigInt(bound) : BigInt(Date.parse(`${bound}T00:00:00Z`) / DAY_MS);

/** First and last of it, as numbers that follow each other. */
const endsOf = (range: BackfillRange | BackfillSpan): readonly [bigint, bigint] => [
  numberOf(range.start),
  numberOf(range.end),
];

describe.each([
  ['days', days],
  ['keys', keys],
] as const)('ranges of %s', (_, spans) => {
  it('follow each other without gap or overlap, from the first to the last', () => {
    fc.assert(
      fc.property(spans, (span) => {
        const count = rangeCount(span);
        const [first, last] = endsOf(span);
        let next = first;
        for (let index = 0; index < count; index += 1) {
          const [start, end] = endsOf(rangeAt(span, index));
          expect(start).toBe(next);
          expect(end).toBeGreaterThanOrEqual(start);
          expect(end - start + 1n).toBeLessThanOrEqual(BigInt(span.each));
          next = end + 1n;
        }
        expect(next).toBe(last + 1n);
      }),
      { numRuns: 40 },
    );
  });

  it('several that follow each other are one range from the first to the last of them', () => {
    fc.assert(
      fc.property(spans, fc.nat(), fc.nat(), (span, a, b) => {
        const count = rangeCount(span);
        const [from, to] = [a % count, b % count].toSorted((x, y) => x - y) as [number, number];
        const { start, end } = rangesAt(span, [from, to]);
        expect([start, end]).toEqual([rangeAt(span, from).start, rangeAt(span, to).end]);
      }),
    );
  });

  it('are not too many with the least length', () => {
    fc.assert(
      fc.property(spans, (span) => {
        const each = leastEach(span);
        expect(rangeCount({ ...span, each })).toBeLessThanOrEqual(MOST_RANGES);
        if (each > 1) expect(rangeCount({ ...span, each: each - 1 })).toBeGreaterThan(MOST_RANGES);
      }),
    );
  });
});

it('days end where the month does', () => {
  const span = { kind: 'days', start: '2024-02-27', end: '2024-03-03', each: 2 } as const;
  expect([0, 1, 2].map((index) => rangeAt(span, index))).toEqual([
    { kind: 'days', start: '2024-02-27', end: '2024-02-28' },
    { kind: 'days', start: '2024-02-29', end: '2024-03-01' },
    { kind: 'days', start: '2024-03-02', end: '2024-03-03' },
  ]);
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { toPayload } from '../payload.ts';
import { leftOf, MOST_MESSAGE, outputOf, type RangeFailure } from './backfill-outcome.ts';
import { MOST_RANGES } from './backfill-ranges.ts';
import { indexesIn, sizeOf, type Span } from './index-set.ts';

const span = { kind: 'days', start: '1990-01-01', end: '2003-09-09', each: 1 } as const;
const selected: readonly Span[] = [[0, MOST_RANGES - 1]];
const all = indexesIn(selected);

const failure = (index: number, message = 'because'): RangeFailure => ({
  index,
  code: 'privilege_missing',
  message,
});

it('says which ranges were read, which failed and why, and which are left', () => {
  const output = outputOf(span, {
    selected: [[0, 9]],
    done: new Set([0, 1, 2, 5]),
    failures: [failure(4), failure(3), failure(6, 'for another reason')],
    rows: 40,
    stoppedBy: 'max_rows',
  });
  expect(output).toEqual({
    ranges: { total: 10, done: 4, failed: 3, not_begun: 3 },
    rows: 40,
    stopped_by: 'max_rows',
    done: [
      { start: '1990-01-01', end: '1990-01-03' },
      { start: '1990-01-06', end: '1990-01-06' },
    ],
    failed: [
      {
        start: '1990-01-04',
        end: '1990-01-05',
        ranges: 2,
        code: 'privilege_missing',
        message: 'because',
      },
      {
        start: '1990-01-07',
        end: '1990-01-07',
        ranges: 1,
        code: 'privilege_missing',
        message: 'for another reason',
      },
    ],
    not_begun: [{ start: '1990-01-08', end: '1990-01-10' }],
    left: '3-4,6-9',
  });
});

it('what is left can be read of it again, and is all that was not read', () => {
  const states = fc.array(fc.constantFrom('done', 'failed', 'waiting'), { maxLength: 200 });
  fc.assert(
    fc.property(states, (given) => {
      const of = (state: string) => [...given.keys()].filter((index) => given[index] === state);
      const whole: readonly Span[] = given.length === 0 ? [] : [[0, given.length - 1]];
      const output = outputOf(span, {
        selected: whole,
        done: new Set(of('done')),
        failures: of('failed').map((index) => failure(index)),
        rows: 0,
        stoppedBy: null,
      });
      const left = [...of('failed'), ...of('waiting')].toSorted((a, b) => a - b);
      expect(indexesIn(leftOf(whole, structuredClone(output)))).toEqual(left);
      const { total, done, failed, not_begun } = output.ranges;
      expect(done + failed + not_begun).toBe(total);
    }),
  );
});

it.each([null, {}, { left: 7 }, { left: 'x' }, { layers: ['bronze'] }])(
  'where the execution could not say, all is left (%j)',
  (output) => {
    expect(sizeOf(leftOf(selected, output))).toBe(MOST_RANGES);
  },
);

it('fits into a payload, whatever became of the most ranges that there may be', () => {
  const message = (index: number): string => `${index}\u{1F4A5}"`.padEnd(MOST_MESSAGE, '日');
  const odd = all.filter((index) => index % 2 === 1);
  const output = outputOf(span, {
    selected,
    done: new Set(all.filter((index) => index % 2 === 0)),
    failures: odd.map((index) => failure(index, message(index))),
    rows: Number.MAX_SAFE_INTEGER,
    stoppedBy: 'cancel',
  });
  expect(toPayload(output, 'the output').length).toBeGreaterThan(10_000);
});

/** What became of the ranges of a backfill, as its execution tells it and as it can be tried again. Pure. */
import type { BackfillRange } from './activities.ts';
import { type BackfillSpan, rangesAt } from './backfill-ranges.ts';
import { indexesIn, readIndexes, type Span, spansOf, writeIndexes } from './index-set.ts';

export type RangeFailure = {
  readonly index: number;
  readonly code: string;
  readonly message: string;
};

export type ToldRange = {
  readonly start: string | number;
  readonly end: string | number;
};
export type ToldFailure = ToldRange & {
  /** How many of them, one after the other, failed in this way. */
  readonly ranges: number;
  readonly code: string;
  readonly message: string;
};

export type BackfillOutput = {
  readonly ranges: {
    readonly total: number;
    readonly done: number;
    readonly failed: number;
    readonly not_begun: number;
  };
  /** Read of the source. */
  readonly rows: number;
  readonly stopped_by: 'max_rows' | 'cancel' | null;
  /** Neighbours are told as one, and the first of each list only where they are many. */
  readonly done: readonly ToldRange[];
  readonly failed: readonly ToldFailure[];
  readonly not_begun: readonly ToldRange[];
  /** The numbers of the ranges that failed or were not begun. */
  readonly left: string;
};

/** Lists are for people; what is cut off stands in `left` all the same. */
const MOST_TOLD = 100;
const MOST_FAILURES = 30;
export const MOST_MESSAGE = 160;

export interface Outcome {
  readonly selected: readonly Span[];
  readonly done: ReadonlySet<number>;
  readonly failures: readonly RangeFailure[];
  readonly rows: number;
  readonly stoppedBy: BackfillOutput['stopped_by'];
}

const bare = (range: BackfillRange): ToldRange => ({ start: range.start, end: range.end });

/** Neighbours that failed for the same reason as one. */
function joined(failures: readonly RangeFailure[]): readonly (RangeFailure & { last: number })[] {
  const groups: (RangeFailure & { last: number })[] = [];
  for (const failure of failures.toSorted((a, b) => a.index - b.index)) {
    const before = groups.at(-1);
    const same =
      before !== undefined &&
      before.last + 1 === failure.index &&
      before.code === failure.code &&
      before.message === failure.message;
    if (same) before.last = failure.index;
    else groups.push({ ...failure, last: failure.index });
  }
  return groups;
}

export function outputOf(span: BackfillSpan, outcome: Outcome): BackfillOutput {
  const { selected, done, failures, rows, stoppedBy } = outcome;
  const all = indexesIn(selected);
  const failed = new Set(failures.map(({ index }) => index));
  const left = spansOf(all.filter((index) => !done.has(index)));
  const waiting = all.filter((index) => !done.has(index) && !failed.has(index));
  const told = (spans: readonly Span[]): readonly ToldRange[] =>
    spans.slice(0, MOST_TOLD).map((one) => bare(rangesAt(span, one)));
  return {
    ranges: {
      total: all.length,
      done: done.size,
      failed: failed.size,
      not_begun: waiting.length,
    },
    rows,
    stopped_by: stoppedBy,
    done: told(spansOf(done)),
    failed: joined(failures)
      .slice(0, MOST_FAILURES)
      .map(({ index, last, code, message }) => ({
        ...bare(rangesAt(span, [index, last])),
        ranges: last - index + 1,
        code,
        message,
      })),
    not_begun: told(spansOf(waiting)),
    left: writeIndexes(left),
  };
}

/** Of an execution that ended: what it did not do, which is all of it where it could not say. */
export function leftOf(selected: readonly Span[], output: unknown): readonly Span[] {
  const isOutput = typeof output === 'object' && output !== null && 'left' in output;
  const left = isOutput ? output.left : null;
  return (typeof left === 'string' ? readIndexes(left) : null) ?? selected;
}

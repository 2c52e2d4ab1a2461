/** Reads a part of the streams again, in ranges of days; those that failed can be tried again alone. */
import { ForebayError } from '../../core/errors.ts';
import type { Flow } from '../flow.ts';
import type { DateRange, ExecutionRef, FlowActivities } from './activities.ts';
import { dateRanges } from './date-ranges.ts';
import { endFailed, retried, summaryOf } from './execution-steps.ts';

export type BackfillInput = ExecutionRef & {
  readonly dateRange: DateRange;
  /** Days that one range covers. */
  readonly rangeDays: number;
  /** Ranges at once. */
  readonly limit: number;
  /** Those that are left of an earlier backfill; null: all of `dateRange`. */
  readonly ranges: readonly DateRange[] | null;
};
export type BackfillOutput = {
  readonly done: number;
  readonly failed: readonly (DateRange & { readonly message: string })[];
};

/** Failures that are kept word for word; the others are counted. */
const MOST_FAILURES = 100;

export const BackfillWorkflow: Flow<FlowActivities, BackfillInput, BackfillOutput> = async (
  ctx,
  input,
) => {
  const { dateRange, rangeDays, limit, ranges: given, ...ref } = input;
  const ranges = given ?? dateRanges(dateRange, rangeDays);
  let done = 0;
  ctx.query('progress', () => ({ done, total: ranges.length }));
  try {
    const begin = { ref, retry: null, layer: null } as const;
    const { layers, retry } = await retried(ctx, begin, 'beginExecution', ref);
    const bronze = { ref, retry, layer: 'bronze' } as const;
    const ends = await ctx.all(ranges, limit, async (range) => {
      await retried(ctx, bronze, 'backfillRange', { ...ref, range });
      done += 1;
    });
    const errors = ends.flatMap((end, index) => {
      const range = ranges[index];
      return end.status === 'fulfilled' || range === undefined ? [] : [{ range, error: end.error }];
    });
    for (const layer of ['silver', 'gold'] as const)
      if (done > 0 && layers.includes(layer)) await retried(ctx, { ref, retry, layer }, layer, ref);
    const failed = errors
      .slice(0, MOST_FAILURES)
      .map(({ range, error }) => ({ ...range, message: summaryOf(error).message.slice(0, 200) }));
    const [first] = errors;
    const output = { done, failed };
    await retried(ctx, begin, 'endExecution', {
      ...ref,
      status: first === undefined ? 'completed' : 'failed',
      layer: first === undefined ? null : 'bronze',
      error: first === undefined ? null : summaryOf(first.error),
      output,
    });
    return output;
  } catch (error) {
    await endFailed(ctx, { ref, layer: null }, error);
    throw error instanceof ForebayError
      ? error
      : new ForebayError('internal', { message: String(error) });
  }
};

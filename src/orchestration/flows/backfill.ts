/** Reads a part of a table again, in ranges; those that failed can be tried again alone. */
import { ForebayError } from '../../core/errors.ts';
import type { Flow } from '../flow.ts';
import type { BackfillRange, ExecutionRef, FlowActivities } from './activities.ts';
import { endFailed, retried, summaryOf } from './execution-steps.ts';

export type BackfillInput = ExecutionRef & {
  readonly request: BackfillRange & { readonly pieces: number };
  /** Ranges at once. */
  readonly limit: number;
  /** Left of an earlier backfill; null: the request is cut into pieces. */
  readonly ranges: readonly BackfillRange[] | null;
};
export type BackfillOutput = {
  readonly done: number;
  readonly failed: readonly { readonly range: BackfillRange; readonly message: string }[];
};

export const BackfillWorkflow: Flow<FlowActivities, BackfillInput, BackfillOutput> = async (
  ctx,
  input,
) => {
  const { request, limit, ranges: given, ...ref } = input;
  let done = 0;
  let total = 0;
  ctx.query('progress', () => ({ done, total }));
  try {
    const { layers, retry } = await retried(
      ctx,
      { ref, retry: null, layer: null },
      'beginExecution',
      ref,
    );
    const plan = { ref, retry, layer: null } as const;
    const ranges = given ?? (await retried(ctx, plan, 'planBackfill', { ...ref, request })).ranges;
    total = ranges.length;
    const ends = await ctx.all(ranges, limit, async (range) => {
      await retried(ctx, { ref, retry, layer: 'bronze' }, 'backfillRange', { ...ref, range });
      done += 1;
    });
    const failed = ends.flatMap((end, index) => {
      const range = ranges[index];
      if (end.status === 'fulfilled' || range === undefined) return [];
      return [{ range, message: summaryOf(end.error).message }];
    });
    if (done > 0 && layers.includes('silver'))
      await retried(ctx, { ref, retry, layer: 'silver' }, 'silver', ref);
    if (done > 0 && layers.includes('gold'))
      await retried(ctx, { ref, retry, layer: 'gold' }, 'gold', ref);
    const output = { done, failed };
    const first = ends.find((end) => end.status === 'rejected');
    await retried(ctx, plan, 'endExecution', {
      ...ref,
      status: failed.length === 0 ? 'completed' : 'failed',
      layer: failed.length === 0 ? null : 'bronze',
      error: first?.status === 'rejected' ? summaryOf(first.error) : null,
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

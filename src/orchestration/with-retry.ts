/** An activity that is done again as `decide` says. The waits are the flow's, so that they outlive every process. */
import { ForebayError } from '../core/errors.ts';
import { ActivityFailure, type FailureReport, toFailure } from './failure.ts';
import type { ActivityMap, FlowContext, Json, RunOptions } from './flow.ts';
import {
  decide,
  NO_RETRIES,
  type RetryBudget,
  type RetryCounts,
  type RetryRules,
} from './retry-decision.ts';

/** What people are shown while a step waits to be done again. */
export interface RetryNotice {
  readonly activity: string;
  /** The one that failed, from 1, over all progress. */
  readonly attempt: number;
  readonly budget: RetryBudget;
  readonly cause: Pick<FailureReport, 'code' | 'class' | 'message' | 'why' | 'stream'>;
  readonly delayMs: number;
  /** RFC 3339. */
  readonly nextTryAt: string;
}

export interface RetriedStep<A extends ActivityMap, N extends keyof A & string> {
  readonly name: N;
  readonly input: Parameters<A[N]>[0];
  readonly options?: RunOptions;
  /** Before each wait. Keep it for a query, or tell it by an activity. */
  readonly onRetry?: (notice: RetryNotice) => Promise<void> | void;
}

/**
 * All attempts have one `stepKey`, and each finds the last heartbeat of the one before. A heartbeat that differs from
 * that of the failure before is progress: the budgets begin anew.
 */
export async function withRetry<A extends ActivityMap, N extends keyof A & string>(
  ctx: FlowContext<A>,
  rules: RetryRules,
  step: RetriedStep<A, N>,
): Promise<Awaited<ReturnType<A[N]>>> {
  const stepKey = step.options?.stepKey ?? ctx.uuid();
  let counts: RetryCounts = NO_RETRIES;
  let progress: Json | null = step.options?.lastHeartbeat ?? null;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const hint = progress === null ? {} : { lastHeartbeat: progress };
      return await ctx.run(step.name, step.input, { ...step.options, stepKey, ...hint });
    } catch (error) {
      if (!(error instanceof ForebayError)) throw error;
      const reached = error instanceof ActivityFailure ? error.progress : null;
      if (reached !== null && JSON.stringify(reached) !== JSON.stringify(progress)) {
        counts = NO_RETRIES;
        progress = reached;
      }
      const decision = decide(error, counts, rules);
      if (decision.kind === 'fail') throw error;
      // A history in which this ended the execution at once goes on as it was.
      if (decision.budget === 'held' && ctx.version('wait-for-held') === 0) throw error;
      counts = decision.counts;
      const { delayMs, budget } = decision;
      const { code, class: errorClass, message, why, stream } = toFailure(error);
      await step.onRetry?.({
        activity: step.name,
        attempt,
        budget,
        cause: { code, class: errorClass, message, why, stream },
        delayMs,
        nextTryAt: new Date(ctx.now() + delayMs).toISOString(),
      });
      if (delayMs > 0) await ctx.sleep(delayMs);
    }
  }
}

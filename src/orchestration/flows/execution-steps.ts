/** Steps of an execution that are tried again as the table of retries says, each wait durable and shown. */
import { asForebayError, type ForebayError } from '../../core/errors.ts';
import type { FlowContext, Json, RunOptions } from '../flow.ts';
import { DEFAULT_RULES, type RetryRules } from '../retry-decision.ts';
import { withRetry } from '../with-retry.ts';
import type {
  ExecutionRef,
  FailureSummary,
  FlowActivities,
  LayerName,
  RetryPlan,
} from './activities.ts';

type Ctx = FlowContext<FlowActivities>;

/** How long a step may be silent before it counts as lost. */
const HEARTBEAT_TIMEOUT_MS = 60_000;

/** Steps that move data take as long as the data does; that they live is told by their heartbeats. */
const DATA_RUN: RunOptions = { timeoutMs: null, heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS };
/** One that follows its source must not hold a place of those that end. */
const REPLICATION_RUN: RunOptions = { ...DATA_RUN, queue: 'replication' };

/** What only writes down where an execution is: it must not wait for those that move data. */
const CONTROL_RUN: RunOptions = { queue: 'control' };
const CONTROL_STEPS: ReadonlySet<string> = new Set(['beginExecution', 'endExecution']);

const DATA_STEPS: ReadonlySet<string> = new Set(['bronze', 'silver', 'gold', 'backfillRange']);

function optionsOf(step: string): RunOptions {
  if (step === 'replicate') return REPLICATION_RUN;
  if (CONTROL_STEPS.has(step)) return CONTROL_RUN;
  return DATA_STEPS.has(step) ? DATA_RUN : {};
}

export function summaryOf(error: ForebayError): FailureSummary {
  const { code, class: errorClass, message, why, fix, stream } = error;
  return {
    code,
    class: errorClass,
    message: why === null ? message : `${message}: ${why}`,
    fix,
    stream,
  };
}

function rulesOf(retry: RetryPlan | null): RetryRules {
  if (retry === null) return DEFAULT_RULES;
  const { fallback, own } = retry;
  if (own === null) return { ...DEFAULT_RULES, fallback };
  const { permanentCodes, ...override } = own;
  return { fallback, override, permanentCodes };
}

export interface StepPlace {
  readonly ref: ExecutionRef;
  /** Null before it is known, and after it counts. */
  readonly retry: RetryPlan | null;
  readonly layer: LayerName | null;
}

export function retried<N extends keyof FlowActivities>(
  ctx: Ctx,
  place: StepPlace,
  name: N,
  input: Parameters<FlowActivities[N]>[0],
): Promise<Awaited<ReturnType<FlowActivities[N]>>> {
  const { ref, layer } = place;
  const options = optionsOf(name);
  return withRetry(ctx, rulesOf(place.retry), {
    name,
    input,
    options,
    onRetry: async ({ attempt, cause, nextTryAt }) => {
      const { code, class: errorClass, message, why, stream } = cause;
      const text = why === null ? message : `${message}: ${why}`;
      const error = { code, class: errorClass, message: text, fix: '', stream };
      try {
        const note = { ...ref, step: name, layer, attempt, error, nextTryAt };
        await ctx.run('noteRetry', note, CONTROL_RUN);
      } catch (fault) {
        // It is for people to see. Where the metadata are away it cannot be told, and the step is tried again still.
        if (asForebayError(fault).class !== 'transient') throw fault;
      }
    },
  });
}

/** What ends an execution other than its success is recorded, whether it failed or was cancelled. */
export function endFailed(
  ctx: Ctx,
  { ref, layer, output = null }: Pick<StepPlace, 'ref' | 'layer'> & { readonly output?: Json },
  error: unknown,
): Promise<unknown> {
  const failure = asForebayError(error);
  const cancelled = failure.code === 'flow_cancelled';
  const end = {
    ...ref,
    status: cancelled ? ('cancelled' as const) : ('failed' as const),
    layer,
    error: cancelled ? null : summaryOf(failure),
    output,
  };
  const place = { ref, retry: null, layer: null };
  return ctx.uncancelled(() => retried(ctx, place, 'endExecution', end));
}

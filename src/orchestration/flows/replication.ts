/** A pipeline that follows its source until it is stopped. Paused, resumed and reconfigured by the signal `control`. */
import { ForebayError } from '../../core/errors.ts';
import type { Flow, FlowContext, Json } from '../flow.ts';
import type { Control, ExecutionRef, FlowActivities } from './activities.ts';
import { endFailed, retried, type StepPlace } from './execution-steps.ts';

type Ctx = FlowContext<FlowActivities>;

const CONTROLS: ReadonlySet<string> = new Set(['pause', 'resume', 'stop', 'reconfigure']);

function controlOf(payload: Json | null): Control | null {
  return typeof payload === 'string' && CONTROLS.has(payload) ? (payload as Control) : null;
}

/** Signals one by one; one that was waited for and did not come is waited for still. */
class Controls {
  readonly #ctx: Ctx;
  #next: Promise<Control | null> | null = null;

  constructor(ctx: Ctx) {
    this.#ctx = ctx;
  }

  peek(): Promise<Control | null> {
    this.#next ??= this.#ctx.signal('control').then(controlOf);
    return this.#next;
  }

  async take(): Promise<Control | null> {
    const control = await this.peek();
    this.#next = null;
    return control;
  }
}

/** How the stream came to an end: what it was told, or null where the source had no more. */
async function follow(
  ctx: Ctx,
  { ref, retry }: Pick<StepPlace, 'ref' | 'retry'>,
  controls: Controls,
): Promise<Control | null> {
  const running = retried(ctx, { ref, retry, layer: null }, 'replicate', ref);
  for (;;) {
    const first = await Promise.race([
      running.then(() => 'ended' as const),
      controls.peek().then(() => 'told' as const),
    ]);
    if (first === 'ended') return null;
    const control = await controls.take();
    if (control === null || control === 'resume') continue;
    await ctx.run('tellReplication', { ...ref, control });
    await running;
    return control;
  }
}

export const ReplicationWorkflow: Flow<FlowActivities, ExecutionRef, null> = async (ctx, ref) => {
  const controls = new Controls(ctx);
  let state: 'running' | 'paused' = 'running';
  ctx.query('state', () => state);
  try {
    const plan = await retried(ctx, { ref, retry: null, layer: null }, 'beginExecution', ref);
    // The pipeline's own policy is kept inside of the step.
    const retry = { fallback: plan.retry.fallback, own: null };
    for (;;) {
      const told: Control | null =
        state === 'running' ? await follow(ctx, { ref, retry }, controls) : await controls.take();
      if (told === 'stop' || (told === null && state === 'running')) break;
      // What was changed is taken up by the next start.
      if (told === 'pause') state = 'paused';
      else if (told === 'resume') state = 'running';
    }
    const end = { ...ref, status: 'completed', layer: null, error: null, output: null } as const;
    await retried(ctx, { ref, retry: null, layer: null }, 'endExecution', end);
    return null;
  } catch (error) {
    await endFailed(ctx, { ref, layer: null }, error);
    throw error instanceof ForebayError
      ? error
      : new ForebayError('internal', { message: String(error) });
  }
};

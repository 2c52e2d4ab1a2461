/**
 * A pipeline that follows its source until it is stopped. Paused, resumed and reconfigured by the signal `control`, by
 * which streams are read again, too.
 */
import { ForebayError } from '../../core/errors.ts';
import type { Flow, FlowContext, Json } from '../flow.ts';
import type { Control, ExecutionRef, FlowActivities, Resync } from './activities.ts';
import { endFailed, retried, type StepPlace } from './execution-steps.ts';

type Ctx = FlowContext<FlowActivities>;

type Told = Control | Resync;

const CONTROLS: ReadonlySet<string> = new Set(['pause', 'resume', 'stop', 'reconfigure']);
/** What goes to the step beside the rest of its input; a letter has at most three bytes. */
const MOST_LETTERS = 16_000;

function toldBy(payload: Json | null): Told | null {
  if (typeof payload === 'string') return CONTROLS.has(payload) ? (payload as Control) : null;
  const isDemand = payload !== null && typeof payload === 'object' && 'demand' in payload;
  return isDemand ? (payload as Resync) : null;
}

/** Of several demands for a stream the last one counts. Where they are too many to be named, all is read again. */
export function withDemand(demands: readonly Resync[], added: Resync): readonly Resync[] {
  if (added.streams === null) return [added];
  const again = new Set(added.streams);
  const others = demands.flatMap(({ demand, streams }): readonly Resync[] => {
    if (streams === null) return [{ demand, streams }];
    const left = streams.filter((stream) => !again.has(stream));
    return left.length === 0 ? [] : [{ demand, streams: left }];
  });
  const all = [...others, added];
  return JSON.stringify(all).length > MOST_LETTERS
    ? [{ demand: added.demand, streams: null }]
    : all;
}

/** Signals one by one; one that was waited for and did not come is waited for still. */
class Controls {
  readonly #ctx: Ctx;
  #next: Promise<Told | null> | null = null;

  constructor(ctx: Ctx) {
    this.#ctx = ctx;
  }

  peek(): Promise<Told | null> {
    this.#next ??= this.#ctx.signal('control').then(toldBy);
    return this.#next;
  }

  async take(): Promise<Told | null> {
    const told = await this.peek();
    this.#next = null;
    return told;
  }
}

interface Followed {
  /** What it was told, or null where the source had no more. */
  readonly told: Told | null;
  /** The demands that it was given are taken up. */
  readonly begun: boolean;
}

async function follow(
  ctx: Ctx,
  place: Pick<StepPlace, 'ref' | 'retry'>,
  on: { readonly controls: Controls; readonly demands: readonly Resync[] },
): Promise<Followed> {
  const { ref, retry } = place;
  const { controls, demands } = on;
  const input = demands.length === 0 ? ref : { ...ref, resync: demands };
  const running = retried(ctx, { ref, retry, layer: null }, 'replicate', input);
  for (;;) {
    const first = await Promise.race([
      running.then(() => 'ended' as const),
      controls.peek().then(() => 'told' as const),
    ]);
    if (first === 'ended') return { told: null, begun: true };
    const told = await controls.take();
    if (told === null || told === 'resume') continue;
    // What it is to do differently it takes up when it begins anew.
    const control = typeof told === 'string' ? told : 'reconfigure';
    await ctx.run('tellReplication', { ...ref, control });
    const { begun = false } = await running;
    return { told, begun };
  }
}

export const ReplicationWorkflow: Flow<FlowActivities, ExecutionRef, null> = async (ctx, ref) => {
  const controls = new Controls(ctx);
  let state: 'running' | 'paused' = 'running';
  let demands: readonly Resync[] = [];
  ctx.query('state', () => state);
  try {
    const plan = await retried(ctx, { ref, retry: null, layer: null }, 'beginExecution', ref);
    // The pipeline's own policy is kept inside of the step.
    const retry = { fallback: plan.retry.fallback, own: null };
    for (;;) {
      let told: Told | null;
      if (state === 'running') {
        const followed = await follow(ctx, { ref, retry }, { controls, demands });
        if (followed.begun) demands = [];
        told = followed.told;
        if (told === null) break;
      } else told = await controls.take();
      if (told === 'stop') break;
      // What was changed is taken up by the next start.
      if (told === 'pause') state = 'paused';
      else if (told === 'resume') state = 'running';
      else if (told !== null && typeof told !== 'string') demands = withDemand(demands, told);
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

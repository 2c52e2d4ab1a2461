/** What becomes of a schedule that is due. Pure. */
import type { OverlapPolicy } from '../../metadata/tables.ts';
import { nextFire, type ScheduleTiming } from './next-fire.ts';

export type OverlapDecision =
  | { readonly kind: 'start' }
  | { readonly kind: 'skip' }
  /** Starts once the one that runs has ended. */
  | { readonly kind: 'buffer' }
  /** The one that runs is cancelled, and this one starts once it has ended. */
  | { readonly kind: 'cancel-then-start' };

export function decideOverlap(
  policy: OverlapPolicy,
  { running, buffered }: { readonly running: boolean; readonly buffered: boolean },
): OverlapDecision {
  if (!running && !buffered) return { kind: 'start' };
  switch (policy) {
    case 'allow':
      return { kind: 'start' };
    case 'skip':
      return { kind: 'skip' };
    case 'buffer_one':
      return { kind: buffered ? 'skip' : 'buffer' };
    case 'cancel_other':
      return { kind: 'cancel-then-start' };
  }
}

export interface DueFires {
  /** What is to be started, oldest first. */
  readonly fires: readonly number[];
  /** Times that came and are not made up for. */
  readonly missed: number;
  readonly nextMs: number | null;
}

/** Times that are looked at one by one; of more only the last ones count. */
const MOST_FIRES = 100;

/**
 * What was missed while nobody looked is made up for as far back as the catch-up window goes: once, or each time where
 * executions may overlap. A clock that was set back brings nothing twice: the next time stays the one that it was.
 */
export function dueFires(
  timing: ScheduleTiming,
  due: {
    readonly nextFireMs: number;
    readonly nowMs: number;
    readonly catchupMs: number;
    readonly policy: OverlapPolicy;
  },
): DueFires {
  const { nextFireMs, nowMs, catchupMs, policy } = due;
  if (nextFireMs > nowMs) return { fires: [], missed: 0, nextMs: nextFireMs };
  const from = nowMs - catchupMs;
  const times: number[] = [];
  let missed = 0;
  let at: number | null = nextFireMs;
  if (nextFireMs < from) {
    missed = 1;
    at = nextFire(timing, from - 1);
  }
  while (at !== null && at <= nowMs) {
    times.push(at);
    if (times.length > MOST_FIRES) {
      times.shift();
      missed += 1;
    }
    at = nextFire(timing, at);
  }
  const fires = policy === 'allow' ? times : times.slice(-1);
  return { fires, missed: missed + times.length - fires.length, nextMs: at };
}

/** One attempt of an activity: its deadline, its heartbeats, and how it ended. */
import { asForebayError, ForebayError } from '../core/errors.ts';
import type { Activity, Json, RunOptions } from './flow.ts';
import { fromPayload, toPayload } from './payload.ts';

export interface AttemptSetup {
  readonly name: string;
  readonly activity: Activity | undefined;
  readonly input: string;
  readonly options: RunOptions;
  readonly defaultTimeoutMs: number;
  /** How long one that was told to end may take; after that nobody waits for it. */
  readonly graceMs: number;
  readonly attempt: number;
  readonly epoch: number;
  readonly stepKey: string;
  readonly lastHeartbeat: string | null;
  readonly controller: AbortController;
  /** JSON text. */
  readonly onHeartbeat: (details: string) => void;
}

export type AttemptEnd =
  | { readonly kind: 'completed'; readonly result: string }
  | { readonly kind: 'failed'; readonly error: ForebayError }
  /** The worker's fault, not the activity's: it is done again. */
  | { readonly kind: 'again'; readonly cause: 'stopping' | 'lost' };

export interface RunningAttempt {
  /** After its grace it is told although the activity still runs. */
  readonly end: Promise<AttemptEnd>;
  /** When the activity is really over. */
  readonly over: Promise<unknown>;
}

function lateness(name: string, afterMs: number): ForebayError {
  return new ForebayError('activity_timeout', {
    message: `${name} did not end within ${afterMs} ms`,
  });
}

function silence(name: string, afterMs: number): ForebayError {
  return new ForebayError('worker_lost', {
    message: `${name} gave no sign of life for ${afterMs} ms`,
  });
}

/** A timer that can be wound up again; null never rings. */
function alarm(afterMs: number | null, ring: () => void): { wind(): void; stop(): void } {
  if (afterMs === null) return { wind: () => {}, stop: () => {} };
  // Node's timers hold 31 bits of milliseconds, 24 days.
  const timer = setTimeout(ring, Math.min(afterMs, 2 ** 31 - 1));
  return { wind: () => void timer.refresh(), stop: () => clearTimeout(timer) };
}

export function runAttempt(setup: AttemptSetup): RunningAttempt {
  const { name, options, controller } = setup;
  const timeoutMs = options.timeoutMs === undefined ? setup.defaultTimeoutMs : options.timeoutMs;
  const heartbeatMs = options.heartbeatTimeoutMs ?? null;
  const deadline = alarm(timeoutMs, () => controller.abort(lateness(name, timeoutMs ?? 0)));
  const pulse = alarm(heartbeatMs, () => controller.abort(silence(name, heartbeatMs ?? 0)));
  const { promise: graceOver, resolve: endGrace } = Promise.withResolvers<AttemptEnd>();
  let grace: NodeJS.Timeout | undefined;
  controller.signal.addEventListener('abort', () => {
    grace = setTimeout(() => endGrace(endOf(controller.signal.reason)), setup.graceMs);
  });
  const over = perform(setup, pulse.wind);
  void over.then(() => {
    deadline.stop();
    pulse.stop();
    clearTimeout(grace);
  });
  return { end: Promise.race([over, graceOver]), over };
}

async function perform(setup: AttemptSetup, pulse: () => void): Promise<AttemptEnd> {
  const { name, activity, controller } = setup;
  try {
    if (activity === undefined)
      throw new ForebayError('internal', { message: `there is no activity ${name}` });
    const result = await activity(fromPayload(setup.input), {
      signal: controller.signal,
      attempt: setup.attempt,
      epoch: setup.epoch,
      stepKey: setup.stepKey,
      lastHeartbeat: setup.lastHeartbeat === null ? null : fromPayload(setup.lastHeartbeat),
      heartbeat: (details: Json) => {
        pulse();
        setup.onHeartbeat(toPayload(details, `a heartbeat of ${name}`));
      },
    });
    return { kind: 'completed', result: toPayload(result, `the result of ${name}`) };
  } catch (error) {
    // Whatever one throws that was told to end, it ended because of that.
    return controller.signal.aborted
      ? endOf(controller.signal.reason)
      : { kind: 'failed', error: asForebayError(error) };
  }
}

function endOf(reason: unknown): AttemptEnd {
  const error = asForebayError(reason);
  if (error.code === 'worker_stopping') return { kind: 'again', cause: 'stopping' };
  if (error.code === 'worker_lost') return { kind: 'again', cause: 'lost' };
  return { kind: 'failed', error };
}

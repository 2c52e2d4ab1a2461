/** An activity from the wait for its place to its end, over the attempts that a lost worker or silence costs. */
import { setTimeout as delay } from 'node:timers/promises';
import { asForebayError } from '../../core/errors.ts';
import type { JournalEntriesTable } from '../../metadata/journal-tables.ts';
import { fromPayload } from '../payload.ts';
import { workerDelayMs } from '../retry-decision.ts';
import { type AttemptEnd, runAttempt } from '../attempt.ts';
import type { Answer } from './machine.ts';
import type { RunHost } from './run-host.ts';
import { failed, type Step } from './step.ts';

export interface StepOwner {
  readonly runId: string;
  readonly epoch: number;
  /** False where the run is no longer ours. */
  readonly save: (entry: JournalEntriesTable) => Promise<boolean>;
}

const DEFAULT_QUEUE = 'default';

type Host = Pick<
  RunHost,
  'activities' | 'slots' | 'activityTimeoutMs' | 'graceMs' | 'heartbeatWriteMs' | 'journal'
>;

/** Null where it is not for us to tell how it ended: the worker stops, or lost the run. */
export async function performStep(
  host: Host,
  step: Step,
  owner: StepOwner,
): Promise<Answer | null> {
  const { signal } = step.controller;
  for (;;) {
    await pause(workerDelayMs(step.entry.attempt), signal);
    const giveBack = await host.slots.take(step.command.options.queue ?? DEFAULT_QUEUE, signal);
    if (giveBack === null) return endWithoutStart(step);
    const end = await attempt(host, step, { ...owner, giveBack });
    if (end === null) return null;
    switch (end.kind) {
      case 'completed':
        return { ok: true, result: fromPayload(end.result) };
      case 'failed':
        return failed(end.error, step.entry);
      case 'again':
        if (end.cause === 'stopping') {
          // It was not its fault, so that the attempt does not count.
          await owner.save({ ...step.entry, attempt: step.entry.attempt - 1 });
          return null;
        }
    }
    if (signal.aborted) return null;
  }
}

/** Wakes early when the step is told to end. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0 || signal.aborted) return;
  await delay(ms, undefined, { signal }).catch(() => {});
}

function endWithoutStart({ controller, entry }: Step): Answer | null {
  const reason = asForebayError(controller.signal.reason);
  return reason.code === 'flow_cancelled' ? failed(reason, entry) : null;
}

async function attempt(
  host: Host,
  step: Step,
  owner: StepOwner & { readonly giveBack: () => void },
): Promise<AttemptEnd | null> {
  const { command, controller } = step;
  const nowMs = host.journal().now();
  const started = { ...step.entry, attempt: step.entry.attempt + 1 };
  if (!(await owner.save({ ...started, updated_at: new Date(nowMs).toISOString() }))) {
    owner.giveBack();
    return null;
  }
  // Silence ends the attempt, not the step, hence a controller of its own.
  const own = new AbortController();
  const passOn = (): void => own.abort(controller.signal.reason);
  controller.signal.addEventListener('abort', passOn, { once: true });
  if (controller.signal.aborted) passOn();
  let writtenMs = performance.now();
  let over = false;
  const running = runAttempt({
    name: command.name,
    activity: Object.hasOwn(host.activities, command.name)
      ? host.activities[command.name]
      : undefined,
    input: command.input,
    options: command.options,
    defaultTimeoutMs: host.activityTimeoutMs,
    graceMs: host.graceMs,
    attempt: started.attempt,
    epoch: owner.epoch,
    stepKey: command.options.stepKey ?? `${owner.runId}/${command.seq}`,
    lastHeartbeat: started.heartbeat,
    controller: own,
    onHeartbeat: (heartbeat) => {
      if (over) return;
      step.entry = { ...step.entry, heartbeat };
      if (performance.now() - writtenMs < host.heartbeatWriteMs) return;
      writtenMs = performance.now();
      // Told or not, the activity goes on; a run that is lost is told by its signal.
      void owner.save(step.entry);
    },
  });
  void running.over.finally(owner.giveBack);
  const ended = await running.end;
  over = true;
  controller.signal.removeEventListener('abort', passOn);
  return ended;
}

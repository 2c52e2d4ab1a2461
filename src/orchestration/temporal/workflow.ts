/** Runs a flow inside Temporal's sandbox. Everything that is imported here is bundled into it. */
import {
  ActivityCancellationType,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ChildWorkflowCancellationType,
  condition,
  continueAsNew,
  defineQuery,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  patched,
  proxyActivities,
  setDefaultSignalHandler,
  setHandler,
  sleep,
  uuid4,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { cancelled, failureSchema, fromFailure, toFailure } from '../failure.ts';
import { fanOut } from '../fan-out.ts';
import type { ActivityMap, FlowContext, FlowMap, Json, RunOptions } from '../flow.ts';
import type { PendingStep } from '../orchestrator.ts';
import { toPayload } from '../payload.ts';
import { workerDelayMs } from '../retry-decision.ts';
import {
  type ActivityEnvelope,
  type ActivityReply,
  type FlowEnvelope,
  type Letter,
  MOST_SEEN,
  PENDING_QUERY,
  queueName,
} from './envelope.ts';

/** Temporal wants a limit; nothing runs for ten years. */
const NO_LIMIT_MS = 10 * 365 * 24 * 3_600_000;
/** The worker beats as long as it lives. */
const WORKER_SILENCE_MS = 30_000;
/** The worker ends activities itself; the server's limit is for one that does not. */
const SPARE_MS = 120_000;

class Continued extends Error {
  readonly input: Json;
  constructor(input: Json) {
    super('continued');
    this.input = input;
  }
}

/** What was sent to the flow and not taken. */
class Inbox {
  readonly letters: Letter[];
  readonly #seen: Set<string>;

  constructor({ inbox, seen }: FlowEnvelope) {
    this.letters = [...inbox];
    this.#seen = new Set(seen);
    setDefaultSignalHandler((name, ...args) => {
      const [{ id, payload }] = args as [Omit<Letter, 'name'>];
      if (this.#seen.has(id)) return;
      this.#seen.add(id);
      this.letters.push({ name, id, payload });
    });
  }

  take(name: string): Letter | null {
    const index = this.letters.findIndex((letter) => letter.name === name);
    return index < 0 ? null : (this.letters.splice(index, 1)[0] ?? null);
  }

  envelope(input: Json): FlowEnvelope {
    return { input, inbox: this.letters, seen: [...this.#seen].slice(-MOST_SEEN) };
  }
}

export async function runFlow(flows: FlowMap, envelope: FlowEnvelope): Promise<Json> {
  const { workflowId, workflowType } = workflowInfo();
  const inbox = new Inbox(envelope);
  const continued = Promise.withResolvers<never>();
  continued.promise.catch(() => {});
  try {
    const flow = Object.hasOwn(flows, workflowType) ? flows[workflowType] : undefined;
    if (flow === undefined)
      throw new ForebayError('not_found', { message: `there is no flow ${workflowType}` });
    const context = createContext(inbox, (input) => continued.reject(new Continued(input)));
    const result = await Promise.race([flow(context, envelope.input), continued.promise]);
    return JSON.parse(toPayload(result, 'the result of the flow')) as Json;
  } catch (error) {
    if (error instanceof Continued) return continueAsNew(inbox.envelope(error.input));
    const known = translated(error, workflowId);
    if (known.code === 'flow_cancelled') throw new CancelledFailure(known.code);
    throw ApplicationFailure.create({
      type: known.code,
      // Details are sealed, messages are not.
      message: known.code,
      nonRetryable: true,
      details: [toFailure(known)],
    });
  }
}

/** A failure of Temporal's as one of ours. */
function translated(error: unknown, workflowId: string): ForebayError {
  if (error instanceof ForebayError) return error;
  if (isCancellation(error)) return cancelled(workflowId);
  let cause = error;
  while (cause instanceof Error) {
    if (cause instanceof ApplicationFailure) {
      const report = failureSchema.safeParse(cause.details?.[0]);
      if (report.success) return fromFailure(report.data);
    }
    cause = cause.cause;
  }
  return asForebayError(error);
}

function createContext(inbox: Inbox, onContinue: (input: Json) => void): FlowContext<ActivityMap> {
  const { workflowId, runId } = workflowInfo();
  const pending = new Map<number, PendingStep>();
  let steps = 0;
  setHandler(defineQuery(PENDING_QUERY), () => [...pending.values()]);
  /** Shows the step as open, and tells its failure in our words. */
  const step = async <T>(kind: string, name: string, act: (seq: number) => Promise<T>) => {
    const seq = (steps += 1);
    pending.set(seq, { kind, name, attempt: 1, dueAt: null });
    try {
      return await act(seq);
    } catch (error) {
      throw translated(error, workflowId);
    } finally {
      pending.delete(seq);
    }
  };
  return {
    workflowId,
    runId,
    run: (name, input, options = {}) => {
      toPayload(input, `the input of ${name}`);
      return step('activity', name, (seq) =>
        runActivity(name, { input, options, stepKey: options.stepKey ?? `${runId}/${seq}` }),
      );
    },
    sleep: (ms) => step('timer', String(ms), () => sleep(ms)),
    signal: (name, { timeoutMs } = {}) =>
      step('signal', name, async () => {
        const there = (): boolean => inbox.letters.some((letter) => letter.name === name);
        if (timeoutMs === undefined) await condition(there);
        else await condition(there, timeoutMs);
        return inbox.take(name)?.payload ?? null;
      }),
    query: (name, answer) => setHandler(defineQuery(name), answer),
    child: (flow, input, options) => {
      toPayload(input, `the input of ${flow}`);
      return step('child', flow, () => runChild(flow, input, options.workflowId));
    },
    all: fanOut,
    continueAsNew: async (input) => {
      toPayload(input, 'the input of continueAsNew');
      if (CancellationScope.current().consideredCancelled) throw cancelled(workflowId);
      onContinue(input);
      return new Promise(() => {});
    },
    now: () => Date.now(),
    uuid: () => {
      const hex = Date.now().toString(16).padStart(12, '0');
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7${uuid4().slice(15)}`;
    },
    version: (id) => (patched(id) ? 1 : 0),
    uncancelled: (act) => CancellationScope.nonCancellable(act),
  };
}

async function runActivity(
  name: string,
  step: { readonly input: Json; readonly options: RunOptions; readonly stepKey: string },
): Promise<Json> {
  const { options } = step;
  const { timeoutMs } = options;
  const activities = proxyActivities<
    Record<string, (envelope: ActivityEnvelope) => Promise<ActivityReply>>
  >({
    taskQueue: queueName(workflowInfo().taskQueue, options.queue),
    startToCloseTimeout: timeoutMs == null ? NO_LIMIT_MS : timeoutMs + SPARE_MS,
    heartbeatTimeout: WORKER_SILENCE_MS,
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  });
  const act = activities[name];
  if (act === undefined) throw new ForebayError('internal', { message: `no activity ${name}` });
  let lastHeartbeat = options.lastHeartbeat ?? null;
  let attempt = 1;
  for (;;) {
    const reply = await lostAsReply(
      act({
        input: step.input,
        attempt,
        stepKey: step.stepKey,
        lastHeartbeat,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        heartbeatTimeoutMs: options.heartbeatTimeoutMs ?? null,
      }),
    );
    if (reply.kind === 'completed') return reply.result;
    if (reply.kind === 'failed') throw fromFailure(failureSchema.parse(reply.failure));
    lastHeartbeat = reply.lastHeartbeat ?? lastHeartbeat;
    // A worker that stops in good order costs no attempt.
    if (reply.cause === 'stopping') continue;
    const delayMs = workerDelayMs(attempt);
    attempt += 1;
    if (delayMs > 0) await sleep(delayMs);
  }
}

/** A worker that was killed leaves a heartbeat that does not come. */
async function lostAsReply(reply: Promise<ActivityReply>): Promise<ActivityReply> {
  try {
    return await reply;
  } catch (error) {
    const cause: unknown = error instanceof Error ? error.cause : null;
    if (!(cause instanceof TimeoutFailure)) throw error;
    const told = cause.lastHeartbeatDetails as Json | undefined;
    return { kind: 'again', cause: 'lost', lastHeartbeat: told ?? null };
  }
}

async function runChild(flow: string, input: Json, workflowId: string): Promise<Json> {
  try {
    return (await executeChild(flow, {
      workflowId,
      args: [{ input, inbox: [], seen: [] } satisfies FlowEnvelope],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    })) as Json;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      throw new ForebayError('workflow_exists', { message: `workflow ${workflowId} is open` });
    throw error;
  }
}

/** Starts and asks workflows on a Temporal cluster. Load it only where one is configured. */
import {
  Client,
  Connection,
  QueryNotRegisteredError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { CancelledFailure } from '@temporalio/common';
import { ForebayError } from '../../core/errors.ts';
import { cancelled, type FailureReport, failureSchema, toFailure } from '../failure.ts';
import type { Json } from '../flow.ts';
import type { FlowOutcome, Orchestrator, RunDescription } from '../orchestrator.ts';
import { toPayload } from '../payload.ts';
import { createCodec } from './codec.ts';
import { type FlowEnvelope, type Letter, type Pending, PENDING_QUERY } from './envelope.ts';
import { Reach } from './reach.ts';
import { type TemporalSettings, connectionOptions } from './settings.ts';

const UNREACHABLE = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', '14', '4']);

export async function connectTemporal(settings: TemporalSettings): Promise<Orchestrator> {
  const { address, namespace, taskQueue, payloadKeys } = settings;
  const connection = await guarded(address, '', () =>
    Connection.connect({ ...connectionOptions(settings), connectTimeout: '10s' }),
  );
  const reach = new Reach(connection);
  const [key, ...others] = payloadKeys;
  const { workflow } = new Client({
    connection,
    namespace,
    ...(key === undefined
      ? {}
      : { dataConverter: { payloadCodecs: [createCodec([key, ...others])] } }),
  });
  const ask = <T>(workflowId: string, act: () => Promise<T>): Promise<T> =>
    guarded(address, workflowId, act);
  const describe = (workflowId: string): Promise<RunDescription | null> =>
    ask(workflowId, () => describeWorkflow(workflow, workflowId)).catch(unlessMissing);
  return {
    async start(flow, { workflowId, input }) {
      toPayload(input, `the input of ${flow}`);
      const envelope: FlowEnvelope = { input, inbox: [], seen: [] };
      const started = await ask(workflowId, () =>
        workflow.start(flow, { workflowId, taskQueue, args: [envelope] }),
      );
      return { runId: started.firstExecutionRunId };
    },
    async signal(workflowId, { name, id, payload }) {
      toPayload(payload, `signal ${name}`);
      const letter: Omit<Letter, 'name'> = { id, payload };
      await ask(workflowId, () => workflow.getHandle(workflowId).signal(name, letter));
    },
    query: (workflowId, name) =>
      ask(workflowId, () => workflow.getHandle(workflowId).query<Json>(name)),
    async cancel(workflowId) {
      await ask(workflowId, () => workflow.getHandle(workflowId).cancel()).catch(unlessMissing);
    },
    describe,
    async result(workflowId, { signal } = {}) {
      const ended = ask(workflowId, () => workflow.getHandle(workflowId).result());
      return outcomeOf(workflowId, signal === undefined ? ended : untilAborted(ended, signal));
    },
    reachable: () => reach.look(),
    [Symbol.asyncDispose]: async () => {
      await reach.settled();
      await connection.close();
    },
  };
}

function unlessMissing(error: unknown): null {
  if (error instanceof ForebayError && error.code === 'not_found') return null;
  throw error;
}

async function guarded<T>(address: string, workflowId: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      throw new ForebayError('workflow_exists', { message: `workflow ${workflowId} is open` });
    if (error instanceof WorkflowNotFoundError)
      throw new ForebayError('not_found', { message: `there is no workflow ${workflowId}` });
    if (error instanceof QueryNotRegisteredError)
      throw new ForebayError('not_found', { message: `workflow ${workflowId} has no such query` });
    if (!isUnreachable(error)) throw error;
    throw new ForebayError('orchestrator_unreachable', {
      message: `the Temporal cluster at ${address} does not answer`,
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

function isUnreachable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause.message.includes('Failed to connect')) return true;
    if ('code' in cause && UNREACHABLE.has(String(cause.code))) return true;
  }
  return false;
}

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  if (signal.aborted) abort();
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', abort));
}

async function outcomeOf(workflowId: string, ended: Promise<unknown>): Promise<FlowOutcome> {
  try {
    return { status: 'completed', result: ((await ended) ?? null) as Json };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    if (error.cause instanceof CancelledFailure)
      return { status: 'cancelled', error: toFailure(cancelled(workflowId)) };
    return { status: 'failed', error: reportOf(error.cause) };
  }
}

function reportOf(cause: unknown): FailureReport {
  const details: unknown = cause instanceof Error && 'details' in cause ? cause.details : null;
  const report = failureSchema.safeParse(Array.isArray(details) ? details[0] : null);
  return report.success ? report.data : toFailure(cause);
}

const STATUS: Readonly<Record<string, RunDescription['status']>> = {
  RUNNING: 'running',
  COMPLETED: 'completed',
  CANCELLED: 'cancelled',
  TERMINATED: 'cancelled',
};

async function describeWorkflow(
  workflow: Client['workflow'],
  workflowId: string,
): Promise<RunDescription> {
  const handle = workflow.getHandle(workflowId);
  const found = await handle.describe();
  const status = STATUS[found.status.name] ?? 'failed';
  const outcome = status === 'running' ? null : await outcomeOf(workflowId, handle.result());
  return {
    workflowId,
    runId: found.runId,
    flow: found.type,
    status,
    error: outcome === null || outcome.status === 'completed' ? null : outcome.error,
    startedAt: found.startTime.toISOString(),
    completedAt: found.closeTime?.toISOString() ?? null,
    pending: status === 'running' ? await handle.query<Pending>(PENDING_QUERY) : [],
  };
}

/** The engine's face: what is asked by the id of a workflow, from any process that has the database. */
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { ForebayError } from '../../core/errors.ts';
import type { JournalRunsTable } from '../../metadata/journal-tables.ts';
import { type FailureReport, failureSchema } from '../failure.ts';
import type { Json } from '../flow.ts';
import type { FlowOutcome, Orchestrator, RunDescription } from '../orchestrator.ts';
import { fromPayload, toPayload } from '../payload.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { latestRun, readEntries, requestCancel, sendSignal, startRun } from './journal-read.ts';
import { replay } from './replay.ts';
import { newRun } from './run-row.ts';

export interface EmbeddedOrchestrator extends Orchestrator {
  /** Runs that are in memory. */
  loaded(): number;
}

export async function startEmbedded(options: EngineOptions): Promise<EmbeddedOrchestrator> {
  const engine = await Engine.start(options);
  const { db } = options.metadata;
  const { now } = engine.options;
  return {
    async start(flow, { workflowId, input }) {
      if (!Object.hasOwn(options.flows, flow))
        throw new ForebayError('not_found', { message: `there is no flow ${flow}` });
      const run = newRun(flow, workflowId, toPayload(input, `the input of ${flow}`), now());
      await startRun(db, run);
      engine.wake();
      // A caller that starts many in a row lets them begin, too: SQLite alone gives no turn of the event loop.
      await nextTurn();
      return { runId: run.id };
    },
    async signal(workflowId, { name, id, payload }) {
      const sent = await sendSignal(db, {
        workflow_id: workflowId,
        signal_id: id,
        name,
        payload: toPayload(payload, `signal ${name}`),
        run_id: null,
        seq: null,
        created_at: new Date(now()).toISOString(),
      });
      if (!sent) throw unknownWorkflow(workflowId);
      engine.wake();
      await nextTurn();
    },
    query: (workflowId, name) => query(engine, workflowId, name),
    async cancel(workflowId) {
      await requestCancel(db, workflowId);
      engine.wake();
    },
    describe: (workflowId) => describe(engine, workflowId),
    result: (workflowId, { signal } = {}) => result(engine, workflowId, signal ?? null),
    reachable: null,
    loaded: () => engine.loaded,
    [Symbol.asyncDispose]: () => engine.stop(),
  };
}

function unknownWorkflow(workflowId: string): ForebayError {
  return new ForebayError('not_found', { message: `there is no workflow ${workflowId}` });
}

/** Where the run is not in this process its journal tells as much: the flow is replayed, and nothing is done. */
async function query(engine: Engine, workflowId: string, name: string): Promise<Json> {
  const row = await latestRun(engine.journal.db, workflowId);
  const flow = row === null ? undefined : engine.options.flows[row.flow];
  if (row === null || flow === undefined) throw unknownWorkflow(workflowId);
  const answer = engine.find(row.id)?.query(name) ?? null;
  if (answer !== null) return answer.value;
  const { machine } = await replay(flow, row, await readEntries(engine.journal.db, row.id));
  return machine.query(name);
}

function failureOf(row: JournalRunsTable): FailureReport {
  return failureSchema.parse(fromPayload(row.error ?? '{}'));
}

async function describe(engine: Engine, workflowId: string): Promise<RunDescription | null> {
  const row = await latestRun(engine.journal.db, workflowId);
  if (row === null) return null;
  const entries = row.status === 'running' ? await readEntries(engine.journal.db, row.id) : [];
  return {
    workflowId,
    runId: row.id,
    flow: row.flow,
    status: row.status,
    error: row.error === null ? null : failureOf(row),
    startedAt: row.created_at,
    completedAt: row.completed_at,
    pending: entries
      .filter(({ seq, delivered }) => seq > 0 && delivered === null)
      .map(({ kind, name, attempt, due_at }) => ({ kind, name, attempt, dueAt: due_at })),
  };
}

async function result(
  engine: Engine,
  workflowId: string,
  signal: AbortSignal | null,
): Promise<FlowOutcome> {
  for (;;) {
    signal?.throwIfAborted();
    const ended = Promise.withResolvers<void>();
    using _watch = engine.watch((id) => {
      if (id === workflowId) ended.resolve();
    });
    const row = await latestRun(engine.journal.db, workflowId);
    if (row === null) throw unknownWorkflow(workflowId);
    const outcome = outcomeOf(row);
    if (outcome !== null) return outcome;
    const waiting = new AbortController();
    await Promise.race([
      ended.promise,
      delay(engine.options.pollMs, undefined, { signal: waiting.signal }).catch(() => {}),
    ]);
    waiting.abort();
  }
}

function outcomeOf(row: JournalRunsTable): FlowOutcome | null {
  switch (row.status) {
    case 'running':
      return null;
    case 'completed':
      return { status: 'completed', result: fromPayload(row.result ?? 'null') };
    case 'failed':
    case 'parked':
      return { status: 'failed', error: failureOf(row) };
    case 'cancelled':
      return { status: 'cancelled', error: failureOf(row) };
  }
}

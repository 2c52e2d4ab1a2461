/**
 * Brings executions that were written down to their workflows, and tells of those whose workflow is gone. What one
 * look misses the next one finds, so that a crash at any place loses no execution.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { asForebayError, ForebayError } from '../core/errors.ts';
import type { MetadataDb } from '../metadata/database.ts';
import {
  allOpenExecutions,
  isRunOfAnother,
  type ExecutionHead,
  findExecution,
  noteRunId,
  updateRunningExecution,
} from '../metadata/executions.ts';
import { scopeOf } from '../metadata/scope.ts';
import type { ExecutionsTable } from '../metadata/tables.ts';
import { endAndTell } from './end-execution.ts';
import type { Json } from './flow.ts';
import { summaryOf } from './flows/execution-steps.ts';
import type { Orchestrator, RunDescription } from './orchestrator.ts';
import { CANCEL } from './schedule-execution.ts';

export interface DispatcherOptions {
  readonly db: MetadataDb;
  readonly orchestrator: Orchestrator;
  readonly onFault: (error: unknown) => void;
}

const LOOK_MS = 1000;
/** Executions that are brought to their workflows at a time: what they write shares commits. */
const AT_A_TIME = 50;
/** An execution that was looked at has a while until it is again: there may be thousands that only wait. */
const LOOK_AGAIN_MS = 15_000;
/** A workflow that has ended says so in its execution before; this much later nobody will. */
const SETTLED_MS = 15_000;

/** What a flow is started with. */
export function workflowInput(execution: ExecutionsTable): Json {
  const { organization_id, pipeline_id, id, parameters } = execution;
  const ref = { organizationId: organization_id, pipelineId: pipeline_id, executionId: id };
  return { ...ref, ...(JSON.parse(parameters) as { readonly [key: string]: Json }) };
}

export class Dispatcher implements AsyncDisposable {
  readonly #options: DispatcherOptions;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #wake = new AbortController();
  /** By execution, of the steady clock. */
  #nextLooks = new Map<string, number>();

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Something was scheduled. */
  hint(): void {
    this.#wake.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    this.#wake.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      this.#wake = new AbortController();
      try {
        await this.#look();
      } catch (error) {
        this.#options.onFault(error);
      }
      if (this.#stopping.signal.aborted) return;
      await delay(LOOK_MS, undefined, { signal: this.#wake.signal }).catch(() => {});
    }
  }

  async #look(): Promise<void> {
    const open = await allOpenExecutions(this.#options.db);
    const faults = new Map<string, unknown>();
    const left = this.#due(open).values();
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for (const execution of left) {
          try {
            await this.#attend(execution);
          } catch (error) {
            faults.set(asForebayError(error).code, error);
          }
        }
      }),
    );
    // One of a kind: a cluster that is away would be told of for each.
    for (const fault of faults.values()) this.#options.onFault(fault);
  }

  /** Those that may begin, are to be cancelled, or were not looked at for a while. */
  #due(open: readonly ExecutionHead[]): readonly ExecutionHead[] {
    const nowMs = performance.now();
    const before = this.#nextLooks;
    this.#nextLooks = new Map(open.map(({ id }) => [id, before.get(id) ?? nowMs]));
    const taken = new Set<string>();
    for (const { status, pipeline_id } of open) if (status === 'running') taken.add(pipeline_id);
    return open.filter((execution) => {
      const { id, status, pipeline_id, control } = execution;
      if (status === 'running' && control === CANCEL) return true;
      if (status !== 'running' && taken.has(pipeline_id)) return false;
      taken.add(pipeline_id);
      return (this.#nextLooks.get(id) ?? 0) <= nowMs;
    });
  }

  async #attend(execution: ExecutionHead): Promise<void> {
    const { id, status, control, workflow_id } = execution;
    const { orchestrator } = this.#options;
    if (status === 'scheduled') {
      // Where another workflow of its id is about to end it begins as soon as that has.
      if (!(await this.#start(execution))) return;
    } else {
      if (control === CANCEL) await orchestrator.cancel(workflow_id);
      const run = await orchestrator.describe(workflow_id);
      await this.#noteRun(execution, run);
      await this.#settle(execution, run);
    }
    if (this.#nextLooks.has(id)) this.#nextLooks.set(id, performance.now() + LOOK_AGAIN_MS);
  }

  /** Whether its workflow is begun. */
  async #start(head: ExecutionHead): Promise<boolean> {
    const { db, orchestrator } = this.#options;
    const known = await orchestrator.describe(head.workflow_id);
    if (known !== null && (await this.#belongs(known, head))) {
      await this.#settle(head, known);
      // Its own has a while to say that it has begun; one from before is about to end.
      return known.startedAt >= head.scheduled_at;
    }
    const execution = await findExecution(db, scopeOf(head.organization_id), head.id);
    if (execution?.status !== 'scheduled') return false;
    const scope = scopeOf(execution.organization_id);
    try {
      const { runId } = await orchestrator.start(execution.workflow, {
        workflowId: execution.workflow_id,
        input: workflowInput(execution),
      });
      await noteRunId(db, scope, { id: execution.id, run_id: runId });
      return true;
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.code === 'workflow_exists') return false;
      if (failure.class !== 'config') throw failure;
      await this.#fail(execution, failure);
      return false;
    }
  }

  /** A workflow may have been there before under the same id, also after this execution was entered. */
  async #belongs(run: RunDescription, execution: ExecutionHead): Promise<boolean> {
    if (run.status === 'running') return true;
    if (run.startedAt < execution.scheduled_at) return false;
    const { id, organization_id, pipeline_id: pipelineId } = execution;
    const other = { id, pipelineId, runId: run.runId };
    return !(await isRunOfAnother(this.#options.db, scopeOf(organization_id), other));
  }

  /**
   * Of one that has begun, whose start was not written down or whose flow goes on in another run. Before that the run
   * may be that of the execution before it: all of a replication have one workflow id.
   */
  async #noteRun(execution: ExecutionHead, run: RunDescription | null): Promise<void> {
    if (run === null || run.runId === execution.run_id) return;
    const { id, organization_id } = execution;
    const changes = { run_id: run.runId };
    await updateRunningExecution(this.#options.db, scopeOf(organization_id), { id, changes });
  }

  /** An execution whose workflow has ended without telling, or cannot go on. */
  async #settle(execution: ExecutionHead, run: RunDescription | null): Promise<void> {
    if (run === null || run.status === 'running') return;
    const endedAt = run.completedAt ?? execution.scheduled_at;
    if (Date.now() - Date.parse(endedAt) < SETTLED_MS) return;
    const report = run.error;
    const why = {
      message: `the workflow ended as ${run.status}, and the execution was open still`,
    };
    await this.#fail(
      execution,
      report === null
        ? new ForebayError('internal', why)
        : new ForebayError(report.code, { message: report.message, fix: report.fix }),
    );
  }

  async #fail(execution: ExecutionHead, failure: ForebayError): Promise<void> {
    await endAndTell(this.#options.db, scopeOf(execution.organization_id), {
      id: execution.id,
      status: 'failed',
      error: summaryOf(failure),
      output: null,
    });
  }
}

/**
 * Brings executions that were written down to their workflows, and tells of those whose workflow is gone. What one
 * look misses the next one finds, so that a crash at any place loses no execution.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { asForebayError, ForebayError } from '../core/errors.ts';
import type { MetadataDb } from '../metadata/database.ts';
import { allOpenExecutions } from '../metadata/executions.ts';
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
    const taken = new Set<string>();
    for (const execution of open) {
      if (execution.status === 'running') taken.add(execution.pipeline_id);
    }
    const next = open.filter(({ status, pipeline_id }) => {
      if (status !== 'running' && taken.has(pipeline_id)) return false;
      taken.add(pipeline_id);
      return true;
    });
    const faults = new Map<string, unknown>();
    const left = next.values();
    await Promise.all(
      Array.from({ length: AT_A_TIME }, async () => {
        for (const execution of left) {
          try {
            await (execution.status === 'running'
              ? this.#watch(execution)
              : this.#start(execution));
          } catch (error) {
            faults.set(asForebayError(error).code, error);
          }
        }
      }),
    );
    // One of a kind: a cluster that is away would be told of for each.
    for (const fault of faults.values()) this.#options.onFault(fault);
  }

  async #watch(execution: ExecutionsTable): Promise<void> {
    if (execution.control === CANCEL)
      await this.#options.orchestrator.cancel(execution.workflow_id);
    await this.#settle(execution);
  }

  async #start(execution: ExecutionsTable): Promise<void> {
    const { orchestrator } = this.#options;
    const known = await orchestrator.describe(execution.workflow_id);
    if (known !== null && belongs(known, execution)) {
      await this.#settle(execution, known);
      return;
    }
    try {
      await orchestrator.start(execution.workflow, {
        workflowId: execution.workflow_id,
        input: workflowInput(execution),
      });
    } catch (error) {
      const failure = asForebayError(error);
      if (failure.code === 'workflow_exists') return;
      if (failure.class !== 'config') throw failure;
      await this.#fail(execution, failure);
    }
  }

  /** An execution whose workflow has ended without telling, or cannot go on. */
  async #settle(execution: ExecutionsTable, given?: RunDescription): Promise<void> {
    const { orchestrator } = this.#options;
    const run = given ?? (await orchestrator.describe(execution.workflow_id));
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

  async #fail(execution: ExecutionsTable, failure: ForebayError): Promise<void> {
    await endAndTell(this.#options.db, scopeOf(execution.organization_id), {
      id: execution.id,
      status: 'failed',
      error: summaryOf(failure),
      output: null,
    });
  }
}

/** A workflow may have been there before under the same id. */
function belongs(run: RunDescription, execution: ExecutionsTable): boolean {
  return run.status === 'running' || run.startedAt >= execution.scheduled_at;
}

/** Pipelines that follow their source: one workflow each, under the pipeline's id. */
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { streamId } from '../../core/stream-schema.ts';
import { uuidv7 } from '../../core/uuid.ts';
import { matches } from '../../engine/selection.ts';
import { openExecutions } from '../../metadata/executions.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { ExecutionsTable, PipelinesTable } from '../../metadata/tables.ts';
import { inTransaction } from '../../metadata/transaction.ts';
import { type ActivityDeps, loadPipeline } from '../../orchestration/activities/deps.ts';
import { selectionOf } from '../../orchestration/activities/pipeline-config.ts';
import type { Dispatcher } from '../../orchestration/dispatcher.ts';
import type { Control } from '../../orchestration/flows/activities.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import { scheduleExecution, workflowOf } from '../../orchestration/schedule-execution.ts';
import { RequestError } from '../problem.ts';
import type { PipelineState, Resynced } from '../schemas/pipelines.ts';
import type { ResyncRequest } from '../services.ts';
import { discoverSource } from './look.ts';

const LOOK_MS = 200;

interface ReplicationParts {
  readonly deps: ActivityDeps;
  readonly orchestrator: Orchestrator;
  readonly dispatcher: Dispatcher;
}

/** For pipelines that do not follow their source. */
const INSTEAD = {
  start: 'Execute it.',
  stop: 'Cancel its executions.',
  pause: 'Pause its schedule or disable it, so that nothing begins; stop it to cancel what runs.',
  resume: 'Resume its schedule or enable it; start it to execute it now.',
  compare:
    'Ask for the data quality of its executions, or compare by a pipeline of kind replication.',
  resync: 'Execute it with force, or backfill it.',
} as const;

export const follows = (pipeline: PipelinesTable): boolean =>
  workflowOf(pipeline) === 'ReplicationWorkflow';

export function assertFollows(pipeline: PipelinesTable, action: keyof typeof INSTEAD): void {
  if (follows(pipeline)) return;
  throw new ForebayError('request_unprocessable', {
    message: `pipeline ${pipeline.name} is of kind ${pipeline.kind}, which runs in executions and does not follow its source: there is nothing to ${action}`,
    fix: INSTEAD[action],
  });
}

export class Replications {
  readonly #parts: ReplicationParts;

  constructor(parts: ReplicationParts) {
    this.#parts = parts;
  }

  async start(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState> {
    assertFollows(pipeline, 'start');
    const { state, execution } = await this.#look(scope, pipeline);
    if (state === 'paused') return this.tell(scope, pipeline, 'resume');
    if (state !== 'stopped') return this.#answer(pipeline, state, execution?.id);
    const { deps, dispatcher } = this.#parts;
    const { executionId } = await inTransaction(deps.metadata.db, (transaction) =>
      scheduleExecution(transaction, scope, { pipeline, trigger: 'manual', parameters: {} }),
    );
    dispatcher.hint();
    return this.#answer(pipeline, 'starting', executionId);
  }

  async tell(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    control: Exclude<Control, 'reconfigure'>,
  ): Promise<PipelineState> {
    assertFollows(pipeline, control);
    const { state, execution } = await this.#look(scope, pipeline);
    const after = { stop: 'stopping', pause: 'paused', resume: 'running' } as const;
    if (state === 'stopped') return this.#answer(pipeline, state);
    // Also where it seems to be so already: what was asked before may be on its way still.
    const signal = { name: 'control', id: uuidv7(), payload: control };
    await this.#parts.orchestrator.signal(pipeline.id, signal);
    return this.#answer(pipeline, after[control], execution?.id);
  }

  /** One that runs takes up what was changed; where none is open there is nobody to tell. */
  async reconfigure(pipelineId: string): Promise<void> {
    const signal = { name: 'control', id: uuidv7(), payload: 'reconfigure' };
    try {
      await this.#parts.orchestrator.signal(pipelineId, signal);
    } catch (error) {
      if (asForebayError(error).code !== 'not_found') throw error;
    }
  }

  /** Asked again under the same key, it is the same demand. */
  async resync(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    { streams, key, signal }: ResyncRequest,
  ): Promise<Resynced> {
    assertFollows(pipeline, 'resync');
    await this.#assertResyncable(scope, pipeline, streams, signal);
    const { state, execution } = await this.#begun(scope, pipeline, signal);
    const demand = key === null ? uuidv7() : demandOf(scope, pipeline, key);
    const payload = { demand, streams: [...streams] };
    const letter = { name: 'control', id: demand, payload };
    await this.#parts.orchestrator.signal(pipeline.id, letter);
    return {
      pipeline_id: pipeline.id,
      execution_id: execution.id,
      state,
      streams: [...streams],
    };
  }

  async #assertResyncable(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    streams: readonly string[],
    signal: AbortSignal,
  ): Promise<void> {
    const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
    const { config, source } = await loadPipeline(this.#parts.deps, ref);
    if (config.load === 'append') {
      throw new ForebayError('request_unprocessable', {
        message: `pipeline ${pipeline.name} appends every change: reading a stream again would take the rows that were read before out of its history`,
        fix: 'Make another pipeline for the rows as they are now.',
      });
    }
    const found = await discoverSource(source, signal);
    const known = new Set(found.map(({ schema }) => streamId(schema.stream)));
    const unknown = streams.flatMap((stream, index) =>
      known.has(stream) && matches(selectionOf(config), stream)
        ? []
        : [
            {
              in: 'body' as const,
              pointer: `/streams/${index}`,
              code: 'stream_not_found',
              message: known.has(stream)
                ? 'is no stream of the pipeline'
                : 'is not there at the source',
            },
          ],
    );
    const [first] = unknown;
    if (first === undefined) return;
    const name = streams[Number(first.pointer.slice('/streams/'.length))] ?? '';
    throw new RequestError('stream_not_found', {
      message: `${name} ${first.message}`,
      fields: unknown,
      status: 422,
    });
  }

  /** One that was just started is waited for: whether it reads the stream anyway is not known. */
  async #begun(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    signal: AbortSignal,
  ): Promise<{ readonly state: 'running' | 'paused'; readonly execution: ExecutionsTable }> {
    for (;;) {
      const { state, execution } = await this.#look(scope, pipeline);
      if (execution === null) {
        throw new ForebayError('request_unprocessable', {
          message: `the replication of pipeline ${pipeline.name} is not running`,
          fix: `Start it, and ask again.`,
        });
      }
      if (state === 'running' || state === 'paused') return { state, execution };
      await delay(LOOK_MS, undefined, { signal });
    }
  }

  async #look(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
  ): Promise<{
    readonly state: PipelineState['state'];
    readonly execution: ExecutionsTable | null;
  }> {
    const { deps, orchestrator } = this.#parts;
    const [execution] = await openExecutions(deps.metadata.db, scope, pipeline.id);
    if (execution === undefined) return { state: 'stopped', execution: null };
    if (execution.status === 'scheduled') return { state: 'starting', execution };
    const state = await orchestrator.query(pipeline.id, 'state');
    return { state: state === 'paused' ? 'paused' : 'running', execution };
  }

  #answer(
    { id }: PipelinesTable,
    state: PipelineState['state'],
    executionId: string | null = null,
  ): PipelineState {
    return { pipeline_id: id, state, workflow_id: id, execution_id: executionId };
  }
}

function demandOf(scope: OrganizationScope, pipeline: PipelinesTable, key: string): string {
  const text = JSON.stringify([scope.organizationId, pipeline.id, key]);
  return `resync-${createHash('sha256').update(text).digest('hex').slice(0, 32)}`;
}

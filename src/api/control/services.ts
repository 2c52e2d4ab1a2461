/** What the routes ask of the running system, done by the engine, the flows and the connectors. */
import { CONNECTORS } from '../../connectors/registry.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import { uuidv7 } from '../../core/uuid.ts';
import { findExecution, openExecutions } from '../../metadata/executions.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import { inTransaction } from '../../metadata/transaction.ts';
import {
  type ActivityDeps,
  connectionSystem,
  storedSystem,
  loadPipeline,
} from '../../orchestration/activities/deps.ts';
import type { Dispatcher } from '../../orchestration/dispatcher.ts';
import type { Control, TriggerParameters } from '../../orchestration/flows/activities.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import { scheduleExecution, workflowOf } from '../../orchestration/schedule-execution.ts';
import type { ConnectorType } from '../schemas/connectors.ts';
import type { PipelineState } from '../schemas/pipelines.ts';
import type { ConnectorCapabilities, ControlServices } from '../services.ts';
import { comparePipeline } from './compare.ts';
import { dropLetters, readLetter, replayLetters } from './letters.ts';
import { readCatalog, testSystem } from './look.ts';
import { metricsText } from './metrics.ts';
import { Onboardings } from './onboarding.ts';

export interface ServiceParts {
  readonly deps: ActivityDeps;
  readonly orchestrator: Orchestrator;
  readonly dispatcher: Dispatcher;
  /** Looks again at what is due. */
  readonly scheduleChanged: () => void;
  readonly models: ControlServices['models'];
  readonly onFault: (error: unknown) => void;
}

function capabilities(): Readonly<Partial<Record<ConnectorType, ConnectorCapabilities>>> {
  return Object.fromEntries(
    Object.entries(CONNECTORS).map(([type, { source, destination }]) => [
      type,
      { source: [...source], destination: [...destination] },
    ]),
  );
}

/** What this release has nothing for. */
const NOT_THERE: Pick<ControlServices, 'lintBenthos'> = {
  lintBenthos: () =>
    Promise.reject(
      new ForebayError('capability_missing', {
        message: 'there is no Bento on this server to lint with',
      }),
    ),
};

async function readiness(db: MetadataDb): ReturnType<ControlServices['readiness']> {
  const metadata = await db
    .selectFrom('organizations')
    .select('id')
    .limit(1)
    .execute()
    .then(
      () => true,
      () => false,
    );
  return { checks: { metadata } };
}

export function createServices(parts: ServiceParts): ControlServices {
  const { deps, orchestrator, dispatcher } = parts;
  const { db } = deps.metadata;
  const replication = new Replications(parts);
  const onboardings = new Onboardings(deps, orchestrator);
  return {
    ...NOT_THERE,
    connectors: capabilities,
    testConnection: async (scope, connection, signal) =>
      testSystem(await storedSystem(deps, scope, connection), deps.guard, signal),
    catalog: async (scope, connection, signal) =>
      readCatalog(await connectionSystem(deps, scope, connection), signal),
    triggerExecution: (transaction, scope, { pipeline, parameters }) => {
      const range: TriggerParameters['dateRange'] = parameters.date_range ?? null;
      return scheduleExecution(transaction, scope, {
        pipeline,
        trigger: 'manual',
        parameters: { parameters: { dateRange: range, force: parameters.force } },
      });
    },
    triggerBackfill: (transaction, scope, { pipeline, backfill }) =>
      scheduleExecution(transaction, scope, {
        pipeline,
        trigger: 'backfill',
        workflow: 'BackfillWorkflow',
        parameters: {
          dateRange: backfill.date_range,
          rangeDays: backfill.range_days,
          limit: backfill.parallel,
          ranges: null,
        },
      }),
    executionScheduled: () => dispatcher.hint(),
    cancelExecution: async (scope, executionId) => {
      const execution = await findExecution(db, scope, executionId);
      if (execution !== null) await orchestrator.cancel(execution.workflow_id);
    },
    startPipeline: (scope, pipeline) => replication.start(scope, pipeline),
    stopPipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'stop'),
    pausePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'pause'),
    resumePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'resume'),
    comparePipeline: async (scope, pipeline, request) => {
      assertFollows(pipeline);
      const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
      return comparePipeline(await loadPipeline(deps, ref), request);
    },
    readDeadLetter: (scope, letter, signal) => readLetter(deps, scope, letter, signal),
    replayDeadLetters: (scope, pipeline, choice) => replayLetters(deps, scope, pipeline, choice),
    dropDeadLetters: (scope, pipeline, choice) => dropLetters(deps, scope, pipeline, choice),
    pipelineChanged: (id) => {
      parts.scheduleChanged();
      void replication.reconfigure(id).catch(parts.onFault);
    },
    startOnboarding: (scope, input) => onboardings.start(scope, input),
    onboarding: (scope, workflowId) => onboardings.find(scope, workflowId),
    models: parts.models,
    readiness: () => readiness(db),
    metrics: (scope) => metricsText(db, scope),
  };
}

function assertFollows(pipeline: PipelinesTable): void {
  if (workflowOf(pipeline) === 'ReplicationWorkflow') return;
  throw new ForebayError('request_unprocessable', {
    message: `pipeline ${pipeline.name} is of kind ${pipeline.kind}, which runs in executions and does not follow its source`,
    fix: 'Execute it, or make a pipeline of kind replication.',
  });
}

/** A pipeline that follows its source: one workflow, under the pipeline's id. */
class Replications {
  readonly #parts: ServiceParts;

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  async start(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState> {
    const state = await this.#state(scope, pipeline);
    if (state === 'paused') return this.tell(scope, pipeline, 'resume');
    if (state !== 'stopped') return this.#answer(pipeline, state);
    const { deps, dispatcher } = this.#parts;
    await inTransaction(deps.metadata.db, (transaction) =>
      scheduleExecution(transaction, scope, { pipeline, trigger: 'manual', parameters: {} }),
    );
    dispatcher.hint();
    return this.#answer(pipeline, 'starting');
  }

  async tell(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    control: Exclude<Control, 'reconfigure'>,
  ): Promise<PipelineState> {
    const state = await this.#state(scope, pipeline);
    const after = { stop: 'stopping', pause: 'paused', resume: 'running' } as const;
    if (state === 'stopped') return this.#answer(pipeline, state);
    // Also where it seems to be so already: what was asked before may be on its way still.
    const signal = { name: 'control', id: uuidv7(), payload: control };
    await this.#parts.orchestrator.signal(pipeline.id, signal);
    return this.#answer(pipeline, after[control]);
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

  async #state(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
  ): Promise<PipelineState['state']> {
    assertFollows(pipeline);
    const { deps, orchestrator } = this.#parts;
    const [open] = await openExecutions(deps.metadata.db, scope, pipeline.id);
    if (open === undefined) return 'stopped';
    if (open.status === 'scheduled') return 'starting';
    const state = await orchestrator.query(pipeline.id, 'state');
    return state === 'paused' ? 'paused' : 'running';
  }

  #answer(pipeline: PipelinesTable, state: PipelineState['state']): PipelineState {
    return { pipeline_id: pipeline.id, state, workflow_id: pipeline.id };
  }
}

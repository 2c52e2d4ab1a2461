/** What the routes ask of the running system, done by the engine, the flows and the connectors. */
import { CONNECTORS } from '../../connectors/registry.ts';
import { ForebayError } from '../../core/errors.ts';
import { endAndTell } from '../../orchestration/end-execution.ts';
import { findExecution, openExecutions } from '../../metadata/executions.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import {
  type ActivityDeps,
  connectionSystem,
  storedSystem,
  loadPipeline,
} from '../../orchestration/activities/deps.ts';
import type { Dispatcher } from '../../orchestration/dispatcher.ts';
import { testSystem } from '../../orchestration/activities/connection-test.ts';
import type { TriggerParameters } from '../../orchestration/flows/activities.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import { scheduleExecution } from '../../orchestration/schedule-execution.ts';
import type { ConnectorType } from '../schemas/connectors.ts';
import type { PipelineState } from '../schemas/pipelines.ts';
import type { ConnectorCapabilities, ControlServices } from '../services.ts';
import { joinedRanges } from '../backfill-request.ts';
import { comparePipeline } from './compare.ts';
import { dropPipeline, keptParts } from './drop-pipeline.ts';
import { dropLetters, readLetter, replayLetters } from './letters.ts';
import { readCatalog } from './look.ts';
import { quarantinedRows } from './quarantine.ts';
import { metricsText } from './metrics.ts';
import { Onboardings } from './onboarding.ts';
import { countRows } from './preview-backfill.ts';
import { assertFollows, follows, Replications } from './replications.ts';

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

async function canRead(db: MetadataDb): Promise<boolean> {
  return db
    .selectFrom('organizations')
    .select('id')
    .limit(1)
    .execute()
    .then(
      () => true,
      () => false,
    );
}

/** Of a cluster only where one is configured: nothing can be started or stopped while it is away. */
async function readiness(
  db: MetadataDb,
  { reachable }: Pick<Orchestrator, 'reachable'>,
): ReturnType<ControlServices['readiness']> {
  if (reachable === null) return { checks: { metadata: await canRead(db) } };
  const [metadata, temporal] = await Promise.all([canRead(db), reachable()]);
  return { checks: { metadata, temporal } };
}

type ExecutionServices = Pick<
  ControlServices,
  | 'triggerExecution'
  | 'triggerBackfill'
  | 'previewBackfill'
  | 'executionScheduled'
  | 'cancelExecution'
>;

function executionServices({ deps, orchestrator, dispatcher }: ServiceParts): ExecutionServices {
  const { db } = deps.metadata;
  return {
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
        parameters: backfill,
      }),
    previewBackfill: async (scope, pipeline, { backfill, signal }) => {
      const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
      return countRows(await loadPipeline(deps, ref), joinedRanges(backfill), signal);
    },
    executionScheduled: () => dispatcher.hint(),
    cancelExecution: async (scope, executionId) => {
      const execution = await findExecution(db, scope, executionId);
      if (execution === null) return;
      // One that waits has no workflow that could end it, or one that sees at its first step that it is over.
      if (execution.status === 'scheduled')
        await endAndTell(db, scope, {
          id: executionId,
          status: 'cancelled',
          error: null,
          output: null,
        });
      // Of one that waits behind a replication the workflow is that of the other one.
      else await orchestrator.cancel(execution.workflow_id);
    },
  };
}

/** Those that wait go first, so that none of them begins because the one before it has ended. */
async function stopExecutions(
  db: MetadataDb,
  { cancelExecution }: Pick<ControlServices, 'cancelExecution'>,
  { scope, pipeline }: { readonly scope: OrganizationScope; readonly pipeline: PipelinesTable },
): Promise<PipelineState> {
  const open = await openExecutions(db, scope, pipeline.id);
  for (const { id } of open.toReversed()) await cancelExecution(scope, id);
  const running = open.find(({ status }) => status === 'running');
  return {
    pipeline_id: pipeline.id,
    state: running === undefined ? 'stopped' : 'stopping',
    workflow_id: running?.workflow_id ?? pipeline.id,
    execution_id: running?.id ?? null,
  };
}

export function createServices(parts: ServiceParts): ControlServices {
  const { deps, orchestrator } = parts;
  const { db } = deps.metadata;
  const replication = new Replications(parts);
  const executions = executionServices(parts);
  const onboardings = new Onboardings(deps, orchestrator);
  return {
    ...NOT_THERE,
    connectors: capabilities,
    testConnection: async (scope, connection, signal) => {
      const system = await storedSystem(deps, scope, connection);
      const request = { guard: deps.guard, purpose: 'changes', signal } as const;
      return (await testSystem(system, request)).test;
    },
    catalog: async (scope, connection, signal) =>
      readCatalog(await connectionSystem(deps, scope, connection), signal),
    ...executions,
    startPipeline: (scope, pipeline) => replication.start(scope, pipeline),
    stopPipeline: (scope, pipeline) =>
      follows(pipeline)
        ? replication.tell(scope, pipeline, 'stop')
        : stopExecutions(db, executions, { scope, pipeline }),
    pausePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'pause'),
    resumePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'resume'),
    resyncPipeline: (scope, pipeline, request) => replication.resync(scope, pipeline, request),
    comparePipeline: async (scope, pipeline, request) => {
      assertFollows(pipeline, 'compare');
      const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
      return comparePipeline(await loadPipeline(deps, ref), request);
    },
    keptParts: (scope, pipeline) => keptParts(deps, scope, pipeline),
    dropPipeline: (scope, request) => dropPipeline(deps, scope, request),
    readDeadLetter: (scope, letter, signal) => readLetter(deps, scope, letter, signal),
    replayDeadLetters: (scope, pipeline, choice) => replayLetters(deps, scope, pipeline, choice),
    dropDeadLetters: (scope, pipeline, choice) => dropLetters(deps, scope, pipeline, choice),
    pipelineChanged: (id) => {
      parts.scheduleChanged();
      void replication.reconfigure(id).catch(parts.onFault);
    },
    quarantinedRows: (scope, pipeline, choice) => quarantinedRows(deps, scope, pipeline, choice),
    startOnboarding: (scope, input, key) => onboardings.start(scope, input, key),
    onboarding: (scope, workflowId) => onboardings.find(scope, workflowId),
    models: parts.models,
    readiness: () => readiness(db, orchestrator),
    metrics: (scope) => metricsText(db, scope),
  };
}

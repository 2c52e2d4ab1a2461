/** What the routes ask of the running system, done by the engine, the flows and the connectors. */
import { CONNECTORS } from '../../connectors/registry.ts';
import { ForebayError } from '../../core/errors.ts';
import { endAndTell } from '../../orchestration/end-execution.ts';
import { findExecution } from '../../metadata/executions.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import {
  type ActivityDeps,
  connectionSystem,
  storedSystem,
  loadPipeline,
} from '../../orchestration/activities/deps.ts';
import type { Dispatcher } from '../../orchestration/dispatcher.ts';
import type { TriggerParameters } from '../../orchestration/flows/activities.ts';
import type { Orchestrator } from '../../orchestration/orchestrator.ts';
import { scheduleExecution } from '../../orchestration/schedule-execution.ts';
import type { ConnectorType } from '../schemas/connectors.ts';
import type { ConnectorCapabilities, ControlServices } from '../services.ts';
import { joinedRanges } from '../backfill-request.ts';
import { comparePipeline } from './compare.ts';
import { dropPipeline, keptParts } from './drop-pipeline.ts';
import { dropLetters, readLetter, replayLetters } from './letters.ts';
import { readCatalog, testSystem } from './look.ts';
import { metricsText } from './metrics.ts';
import { Onboardings } from './onboarding.ts';
import { countRows } from './preview-backfill.ts';
import { assertFollows, Replications } from './replications.ts';

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

export function createServices(parts: ServiceParts): ControlServices {
  const { deps, orchestrator } = parts;
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
    ...executionServices(parts),
    startPipeline: (scope, pipeline) => replication.start(scope, pipeline),
    stopPipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'stop'),
    pausePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'pause'),
    resumePipeline: (scope, pipeline) => replication.tell(scope, pipeline, 'resume'),
    resyncPipeline: (scope, pipeline, request) => replication.resync(scope, pipeline, request),
    comparePipeline: async (scope, pipeline, request) => {
      assertFollows(pipeline);
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
    startOnboarding: (scope, input) => onboardings.start(scope, input),
    onboarding: (scope, workflowId) => onboardings.find(scope, workflowId),
    models: parts.models,
    readiness: () => readiness(db),
    metrics: (scope) => metricsText(db, scope),
  };
}

/** Begin, retries and end of an execution. Each may be done again and changes nothing then. */
import { appendEvents } from '../../metadata/events-outbox.ts';
import { listExecutionLayers, putExecutionLayer } from '../../metadata/execution-layers.ts';
import {
  endExecution,
  findExecution,
  startExecution,
  updateRunningExecution,
} from '../../metadata/executions.ts';
import { listPipelineStreams } from '../../metadata/pipeline-streams.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import { type OrganizationScope, scopeOf } from '../../metadata/scope.ts';
import type { ExecutionLayersTable, ExecutionsTable } from '../../metadata/tables.ts';
import { inTransaction, type MetadataTransaction } from '../../metadata/transaction.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ActivityContext } from '../flow.ts';
import type {
  ExecutionPlan,
  ExecutionRef,
  FlowActivities,
  LayerName,
} from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline } from './deps.ts';
import { ExecutionLog } from './execution-log.ts';
import { beginLetters } from './letter-watch.ts';
import { layersOf, readPipelineConfig, retryOf } from './pipeline-config.ts';

const LAYERS: readonly LayerName[] = ['bronze', 'silver', 'gold'];
/** Pipelines that follow their source, or only land rows, have no layers beyond what they write. */
const LAYERS_OF_KIND: Readonly<Record<string, readonly LayerName[]>> = {
  etl: LAYERS,
  sync: ['bronze', 'silver'],
  ingestion: ['bronze'],
  replication: [],
};

function eventData(execution: ExecutionsTable, more: object = {}): string {
  return JSON.stringify({
    execution_id: execution.id,
    pipeline_id: execution.pipeline_id,
    pipeline_name: execution.pipeline_name,
    status: execution.status,
    ...more,
  });
}

export async function beginExecution(
  deps: ActivityDeps,
  ref: ExecutionRef,
  context: ActivityContext,
): Promise<ExecutionPlan> {
  const { db } = deps.metadata;
  const scope = scopeOf(ref.organizationId);
  const pipeline = await findPipeline(db, scope, ref.pipelineId);
  if (pipeline === null)
    throw new ForebayError('not_found', { message: `the pipeline ${ref.pipelineId} was removed` });
  const streams = await listPipelineStreams(db, scope, pipeline.id);
  const config = readPipelineConfig(pipeline.config, streams);
  const possible = LAYERS_OF_KIND[pipeline.kind] ?? LAYERS;
  const layers = layersOf(config).filter((layer) => possible.includes(layer));
  await inTransaction(db, async (transaction) => {
    const { changed, execution } = await startExecution(transaction, scope, {
      id: ref.executionId,
      run_id: null,
    });
    if (!changed) return;
    for (const layer of LAYERS)
      await putExecutionLayer(transaction, scope, ref.executionId, {
        layer,
        status: layers.includes(layer) ? 'pending' : 'skipped',
      });
    const event = { type: 'execution.started', subject: execution.id, data: eventData(execution) };
    await appendEvents(transaction, scope, [event]);
  });
  await beginLetters(deps, ref, () => loadPipeline(deps, ref));
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  log.add('info', `Execution of ${pipeline.name} started`);
  return { layers, retry: { fallback: deps.retryFallback, own: retryOf(config) } };
}

export async function noteRetry(
  deps: ActivityDeps,
  note: Parameters<FlowActivities['noteRetry']>[0],
  context: ActivityContext,
): Promise<null> {
  const { organizationId, pipelineId, executionId, step, layer, attempt, error, nextTryAt } = note;
  const ref = { organizationId, pipelineId, executionId };
  const retry = JSON.stringify({ step, layer, attempt, error, next_try_at: nextTryAt });
  const changes = { retry };
  const scope = scopeOf(organizationId);
  await updateRunningExecution(deps.metadata.db, scope, { id: executionId, changes });
  await using log = new ExecutionLog(deps, ref, { layer, context });
  log.add('warning', `${error.message}; tried again at ${nextTryAt}`, {
    code: error.code,
    attempt,
  });
  return null;
}

/** Dead letters are counted as they are found; what the layers add to them is known at the end. */
function totals(
  execution: ExecutionsTable | null,
  layers: readonly ExecutionLayersTable[],
): {
  readonly records_processed: number | null;
  readonly records_failed: number | null;
  readonly size_bytes: number | null;
} {
  const bronze = layers.find(({ layer }) => layer === 'bronze');
  const silver = layers.find(({ layer }) => layer === 'silver');
  const filtered = silver?.records_filtered ?? null;
  const rejected = execution?.records_failed ?? null;
  return {
    records_processed: bronze?.records ?? execution?.records_processed ?? null,
    records_failed: filtered === null ? rejected : filtered + (rejected ?? 0),
    size_bytes: bronze?.size_bytes ?? execution?.size_bytes ?? null,
  };
}

/** Layers that did not come to their turn. */
async function skipPending(
  transaction: MetadataTransaction,
  scope: OrganizationScope,
  layers: readonly ExecutionLayersTable[],
): Promise<void> {
  for (const { execution_id, layer, status } of layers) {
    if (status !== 'pending' && status !== 'running') continue;
    await putExecutionLayer(transaction, scope, execution_id, { layer, status: 'skipped' });
  }
}

export async function finishExecution(
  deps: ActivityDeps,
  end: Parameters<FlowActivities['endExecution']>[0],
  context: ActivityContext,
): Promise<null> {
  const { organizationId, pipelineId, executionId, status, error, output } = end;
  const ref = { organizationId, pipelineId, executionId };
  const scope = scopeOf(organizationId);
  const { db } = deps.metadata;
  const changed = await inTransaction(db, async (transaction) => {
    const layers = await listExecutionLayers(transaction, scope, [executionId]);
    await skipPending(transaction, scope, layers);
    const before = await findExecution(transaction, scope, executionId);
    const result = await endExecution(transaction, scope, {
      id: executionId,
      status,
      error: error === null ? null : JSON.stringify(error),
      output: output === null ? null : JSON.stringify(output),
      ...totals(before, layers),
    });
    if (!result.changed) return false;
    // A cancelled execution is told as failed: the topic has no word of its own for it.
    const type = status === 'completed' ? 'execution.completed' : 'execution.failed';
    const data = eventData(result.execution, { error });
    await appendEvents(transaction, scope, [{ type, subject: executionId, data }]);
    return true;
  });
  if (!changed) return null;
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  if (error === null) log.add('info', `Execution ${status}`);
  else log.add('error', `Execution ${status}: ${error.message}`, { code: error.code });
  return null;
}

/** Begin, retries and end of an execution. Each may be done again and changes nothing then. */
import { appendEvents } from '../../metadata/events-outbox.ts';
import { putExecutionLayer } from '../../metadata/execution-layers.ts';
import {
  addFailedRecords,
  startExecution,
  updateRunningExecution,
} from '../../metadata/executions.ts';
import { listPipelineStreams } from '../../metadata/pipeline-streams.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import { scopeOf } from '../../metadata/scope.ts';
import { inTransaction } from '../../metadata/transaction.ts';
import { ForebayError } from '../../core/errors.ts';
import { endAndTell, eventData } from '../end-execution.ts';
import { cancelled } from '../failure.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionPlan, ExecutionRef, FlowActivities } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline } from './deps.ts';
import { ExecutionLog } from './execution-log.ts';
import { beginLetters } from './letter-watch.ts';
import { LAYERS, layersOf, readPipelineConfig, retryOf } from './pipeline-config.ts';

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
  const layers = layersOf(pipeline.kind, config);
  const isFirst = await inTransaction(db, async (transaction) => {
    const { changed, execution } = await startExecution(transaction, scope, {
      id: ref.executionId,
      // The dispatcher notes it, before or after this.
      run_id: null,
    });
    // It was cancelled while it waited.
    if (execution.status !== 'running') throw cancelled(execution.workflow_id);
    if (!changed) return false;
    for (const layer of LAYERS)
      await putExecutionLayer(transaction, scope, ref.executionId, {
        layer,
        status: layers.includes(layer) ? 'pending' : 'skipped',
      });
    const event = { type: 'execution.started', subject: execution.id, data: eventData(execution) };
    // From now on it is known: none so far.
    await addFailedRecords(transaction, scope, ref.executionId, 0);
    await appendEvents(transaction, scope, [event]);
    return true;
  });
  await beginLetters(deps, ref, () => loadPipeline(deps, ref));
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  if (isFirst) log.add('info', `Execution of ${pipeline.name} started`);
  else log.add('debug', `Execution of ${pipeline.name} goes on`);
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

export async function finishExecution(
  deps: ActivityDeps,
  end: Parameters<FlowActivities['endExecution']>[0],
  context: ActivityContext,
): Promise<null> {
  const { organizationId, pipelineId, executionId, status, error, output } = end;
  const ref = { organizationId, pipelineId, executionId };
  const scope = scopeOf(organizationId);
  const { db } = deps.metadata;
  const changed = await endAndTell(db, scope, { id: executionId, status, error, output });
  if (!changed) return null;
  await using log = new ExecutionLog(deps, ref, { layer: null, context });
  if (error === null) log.add('info', `Execution ${status}`);
  else log.add('error', `Execution ${status}: ${error.message}`, { code: error.code });
  return null;
}

/** One layer of an execution, from its begin to its end, as the API shows it. */
import { asForebayError, type ForebayError, reportError } from '../../core/errors.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import {
  type LayerState,
  listExecutionLayers,
  putExecutionLayer,
} from '../../metadata/execution-layers.ts';
import { appendEvents } from '../../metadata/events-outbox.ts';
import { type OrganizationScope, scopeOf } from '../../metadata/scope.ts';
import { inTransaction, timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef, LayerName } from '../flows/activities.ts';
import type { ActivityDeps } from './deps.ts';
import { ExecutionLog } from './execution-log.ts';

export interface LayerOutcome {
  readonly records?: number | null;
  readonly records_filtered?: number | null;
  readonly records_deduplicated?: number | null;
  readonly size_bytes?: number | null;
  readonly tables?: readonly string[] | null;
  /** The layer has failed all the same: the others are of what was done beside it. */
  readonly failure?: ForebayError | null;
}

const HEARTBEAT_MS = 5000;

/** Tells that it lives as long as the act is under way. */
export async function alive<T>(context: ActivityContext, act: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => context.heartbeat(null), HEARTBEAT_MS);
  try {
    return await act();
  } finally {
    clearInterval(timer);
  }
}

type LayerPlace = {
  readonly db: MetadataDb;
  readonly scope: OrganizationScope;
  readonly executionId: string;
  readonly layer: LayerName;
};

/** What an earlier attempt has written and this one had no need to write again was written by the execution, too. */
async function doneOf(
  { db, scope, executionId, layer }: LayerPlace,
  outcome: LayerOutcome,
): Promise<Omit<LayerState, 'layer' | 'status'>> {
  const { tables = null, failure: _, ...counts } = outcome;
  if (tables === null) return counts;
  const rows = await listExecutionLayers(db, scope, [executionId]);
  const before = rows.find((row) => row.layer === layer)?.tables ?? '[]';
  // Written below.
  const known = JSON.parse(before) as readonly string[];
  return { ...counts, tables: JSON.stringify([...new Set([...known, ...tables])]) };
}

export async function layerStep(
  deps: ActivityDeps,
  ref: ExecutionRef,
  step: { readonly layer: LayerName; readonly context: ActivityContext },
  act: (log: ExecutionLog) => Promise<LayerOutcome>,
): Promise<null> {
  const { layer, context } = step;
  const { db } = deps.metadata;
  const scope = scopeOf(ref.organizationId);
  const place = { db, scope, executionId: ref.executionId, layer };
  const startedAt = Date.now();
  const begun = { layer, started_at: timeOf(startedAt) } as const;
  await putExecutionLayer(db, scope, ref.executionId, { ...begun, status: 'running', error: null });
  await using log = new ExecutionLog(deps, ref, { layer, context });
  let outcome: LayerOutcome = {};
  try {
    outcome = await alive(context, () => act(log));
    if (outcome.failure) throw outcome.failure;
    const done = await doneOf(place, outcome);
    const endedAt = Date.now();
    await inTransaction(db, async (transaction) => {
      await putExecutionLayer(transaction, scope, ref.executionId, {
        ...begun,
        ...done,
        status: 'completed',
        completed_at: timeOf(endedAt),
        duration_ms: endedAt - startedAt,
      });
      await appendEvents(transaction, scope, [
        {
          type: 'layer.completed',
          subject: ref.executionId,
          data: JSON.stringify({
            execution_id: ref.executionId,
            pipeline_id: ref.pipelineId,
            layer,
            records: outcome.records ?? null,
            duration_ms: endedAt - startedAt,
          }),
        },
      ]);
    });
    return null;
  } catch (error) {
    const failure = asForebayError(error);
    const stopping = context.signal.aborted && failure.class === 'transient';
    if (!stopping) {
      log.add('error', failure.message, { code: failure.code });
      await putExecutionLayer(db, scope, ref.executionId, {
        ...begun,
        ...(await doneOf(place, outcome)),
        status: 'failed',
        error: JSON.stringify(reportError(failure)),
        completed_at: timeOf(),
        duration_ms: Date.now() - startedAt,
      });
    }
    throw failure;
  }
}

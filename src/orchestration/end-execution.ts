/** The end of an execution, with the event that tells of it. */
import { appendEvents } from '../metadata/events-outbox.ts';
import { listExecutionLayers, putExecutionLayer } from '../metadata/execution-layers.ts';
import { endExecution, findExecution } from '../metadata/executions.ts';
import type { MetadataDb } from '../metadata/database.ts';
import type { OrganizationScope } from '../metadata/scope.ts';
import type { ExecutionLayersTable, ExecutionsTable } from '../metadata/tables.ts';
import { inTransaction, type MetadataTransaction } from '../metadata/transaction.ts';
import type { Json } from './flow.ts';
import type { FailureSummary } from './flows/activities.ts';

export function eventData(execution: ExecutionsTable, more: object = {}): string {
  return JSON.stringify({
    execution_id: execution.id,
    pipeline_id: execution.pipeline_id,
    pipeline_name: execution.pipeline_name,
    status: execution.status,
    ...more,
  });
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

/** Says whether it was this call that ended it. */
export function endAndTell(
  db: MetadataDb,
  scope: OrganizationScope,
  end: {
    readonly id: string;
    readonly status: 'completed' | 'failed' | 'cancelled';
    readonly error: FailureSummary | null;
    readonly output: Json | null;
  },
): Promise<boolean> {
  const { id, status, error, output } = end;
  return inTransaction(db, async (transaction) => {
    const layers = await listExecutionLayers(transaction, scope, [id]);
    await skipPending(transaction, scope, layers);
    const result = await endExecution(transaction, scope, {
      id,
      status,
      error: error === null ? null : JSON.stringify(error),
      output: output === null ? null : JSON.stringify(output),
      ...totals(await findExecution(transaction, scope, id), layers),
    });
    if (!result.changed) return false;
    // A cancelled execution is told as failed: the topic has no word of its own for it.
    const type = status === 'completed' ? 'execution.completed' : 'execution.failed';
    const data = eventData(result.execution, { error });
    await appendEvents(transaction, scope, [{ type, subject: id, data }]);
    return true;
  });
}

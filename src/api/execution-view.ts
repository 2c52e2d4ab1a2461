/** Executions as the API shows them. Pure. */
import type { ExecutionLayersTable, ExecutionsTable, Layer } from '../metadata/tables.ts';

const MEGABYTE = 1_000_000;
const OPEN = new Set(['scheduled', 'running']);

/** Stored by the flows. */
const parsed = (text: string | null): unknown => (text === null ? null : JSON.parse(text));

/** A layer that has no row is none of the pipeline's; before there is any row, it is not known yet. */
function statusOf(
  layer: ExecutionLayersTable | undefined,
  row: ExecutionsTable,
  known: boolean,
): string {
  if (layer !== undefined) return layer.status;
  return known || !OPEN.has(row.status) ? 'skipped' : 'pending';
}

export function executionView(
  row: ExecutionsTable,
  layers: readonly ExecutionLayersTable[],
): Record<string, unknown> {
  const find = (name: Layer): ExecutionLayersTable | undefined =>
    layers.find(({ layer }) => layer === name);
  const [bronze, silver, gold] = [find('bronze'), find('silver'), find('gold')];
  const known = layers.length > 0;
  const bytes = bronze?.size_bytes ?? null;
  return {
    id: row.id,
    pipeline_id: row.pipeline_id,
    pipeline_name: row.pipeline_name,
    status: row.status,
    layers: {
      bronze: {
        status: statusOf(bronze, row, known),
        records: bronze?.records ?? null,
        size_mb: bytes === null ? null : bytes / MEGABYTE,
        duration_ms: bronze?.duration_ms ?? null,
      },
      silver: {
        status: statusOf(silver, row, known),
        records: silver?.records ?? null,
        records_filtered: silver?.records_filtered ?? null,
        records_deduplicated: silver?.records_deduplicated ?? null,
        duration_ms: silver?.duration_ms ?? null,
      },
      gold: {
        status: statusOf(gold, row, known),
        tables_updated: parsed(gold?.tables ?? null) ?? [],
        duration_ms: gold?.duration_ms ?? null,
      },
    },
    total_duration_ms: row.duration_ms,
    started_at: row.started_at,
    completed_at: row.completed_at,
  };
}

export function executionDetail(
  row: ExecutionsTable,
  layers: readonly ExecutionLayersTable[],
): Record<string, unknown> {
  return {
    ...executionView(row, layers),
    trigger: row.trigger,
    records_processed: row.records_processed,
    records_failed: row.records_failed,
    size_bytes: row.size_bytes,
    error: parsed(row.error),
    scheduled_at: row.scheduled_at,
    workflow: row.workflow,
    workflow_id: row.workflow_id,
    run_id: row.run_id,
    parameters: parsed(row.parameters),
    output: parsed(row.output),
    retry: parsed(row.retry),
  };
}

/** Rows that silver left out or was warned of, where they are: in the warehouse of the pipeline. */
import type { StreamId } from '../../core/stream-schema.ts';
import { matches } from '../../engine/selection.ts';
import { failedRows } from '../../layers/quality.ts';
import type { WarehouseRow } from '../../layers/warehouse.ts';
import type { OrganizationScope } from '../../metadata/scope.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import {
  type ActivityDeps,
  loadPipeline,
  type PipelineSetup,
} from '../../orchestration/activities/deps.ts';
import { landedStreams } from '../../orchestration/activities/extract.ts';
import { selectionOf } from '../../orchestration/activities/pipeline-config.ts';
import { openWarehouse } from '../../orchestration/activities/warehouses.ts';
import { RequestError } from '../problem.ts';
import type { QuarantinedRow } from '../schemas/quality.ts';
import type { QuarantineChoice } from '../services.ts';

const OWN = '_forebay_';

/** Both dialects print `2026-01-31 12:00:00.5+00`, PostgreSQL with the offset of its session. */
export function timeOfText(text: string | null): string | null {
  if (text === null) return null;
  const iso = text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00');
  const ms = Date.parse(iso);
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

function viewOf(stream: StreamId, kept: WarehouseRow): QuarantinedRow {
  const own = (name: string): string | null => kept[`${OWN}${name}`] ?? null;
  const row = Object.entries(kept).filter(([name]) => !name.startsWith(OWN));
  return {
    stream,
    rule: own('rule') ?? '',
    action: own('action') ?? '',
    execution_id: own('execution_id'),
    op: own('op'),
    position: own('position'),
    quarantined_at: timeOfText(own('quarantined_at')),
    row: Object.fromEntries(row),
  };
}

interface KeptStream {
  readonly stream: StreamId;
  readonly table: string;
}

/** Of a pipeline that only backfills have run the warehouse remembers no stream. */
async function streamsOf(
  { destination, pipeline, config }: PipelineSetup,
  { stream, signal }: QuarantineChoice,
): Promise<readonly KeptStream[]> {
  const landed = (await landedStreams(destination, pipeline.id, signal)).map((one) => ({
    stream: one.stream,
    table: one.schema.stream.name,
  }));
  if (stream === null) return landed.toSorted((a, b) => (a.stream < b.stream ? -1 : 1));
  const known = landed.find((one) => one.stream === stream);
  if (known !== undefined) return [known];
  if (matches(selectionOf(config), stream))
    return [{ stream, table: stream.slice(stream.indexOf('.') + 1) }];
  const message = `the pipeline ${pipeline.name} has no stream ${stream}`;
  throw new RequestError('stream_not_found', {
    message,
    fields: [{ in: 'query', pointer: '/stream', code: 'stream_not_found', message }],
  });
}

/** It only reads, and so takes no turn of whoever writes the warehouse. */
export async function quarantinedRows(
  deps: ActivityDeps,
  scope: OrganizationScope,
  pipeline: PipelinesTable,
  choice: QuarantineChoice,
): Promise<readonly QuarantinedRow[]> {
  const ref = { organizationId: scope.organizationId, pipelineId: pipeline.id };
  const setup = await loadPipeline(deps, ref);
  const { rule, limit, signal } = choice;
  const streams = await streamsOf(setup, choice);
  await using warehouse = await openWarehouse(setup.destination, signal);
  const rows: QuarantinedRow[] = [];
  for (const { stream, table } of streams) {
    signal.throwIfAborted();
    if (rows.length >= limit) break;
    const found = await failedRows(warehouse, { table, rule, limit: limit - rows.length });
    rows.push(...found.map((row) => viewOf(stream, row)));
  }
  return rows;
}

/** Things of a server as tables. */
import { formatCount, formatDuration } from '../format.ts';
import type { TableColumn } from '../table.ts';
import type { Connection, Execution, LineageEdge, Pipeline, Schedule } from './find.ts';
import { printable } from './printable.ts';

function column<Row>(
  title: string,
  cell: (row: Row) => string | number | null,
  align: 'left' | 'right' = 'left',
): TableColumn<Row> {
  const text = (value: string | number | null): string => {
    if (value === null || value === '') return '-';
    return typeof value === 'number' ? formatCount(value) : printable(value);
  };
  return { title, align, cell: (row) => text(cell(row)) };
}

/** To the second: more is in the documents. */
export const shortTime = (time: string | null): string | null =>
  time === null ? null : time.replace(/\.\d+Z$/, 'Z');

export const CONNECTION_COLUMNS: readonly TableColumn<Connection>[] = [
  column('name', (row) => row.name),
  column('type', (row) => row.connector_type),
  column('status', (row) => row.status),
  column('tested', (row) => shortTime(row.last_test_at)),
  column('id', (row) => row.id),
];

export function scheduleText(
  row: Pick<Pipeline, 'schedule_type' | 'cron_expression' | 'interval_seconds' | 'time_zone'>,
): string {
  switch (row.schedule_type) {
    case 'cron':
      return `${row.cron_expression ?? ''} ${row.time_zone}`;
    case 'interval':
      return `every ${formatDuration((row.interval_seconds ?? 0) * 1000)}`;
    case 'manual':
      return 'manual';
  }
}

export const PIPELINE_COLUMNS: readonly TableColumn<Pipeline>[] = [
  column('name', (row) => row.name),
  column('kind', (row) => row.kind),
  column('enabled', (row) => (row.is_active ? 'yes' : 'no')),
  column('schedule', scheduleText),
  column('last run', (row) => row.last_run_status),
  column('next run', (row) => shortTime(row.next_run_at)),
  column('id', (row) => row.id),
];

export const EXECUTION_COLUMNS: readonly TableColumn<Execution>[] = [
  column('id', (row) => row.id),
  column('pipeline', (row) => row.pipeline_name),
  column('status', (row) => row.status),
  column('started', (row) => shortTime(row.started_at)),
  column('took', (row) =>
    row.total_duration_ms === null ? null : formatDuration(row.total_duration_ms),
  ),
  column('records', (row) => row.layers.bronze.records, 'right'),
];

export const LINEAGE_COLUMNS: readonly TableColumn<LineageEdge>[] = [
  column('layer', (row) => row.layer),
  column('table', (row) => row.table),
  column('column', (row) => row.column),
  column('source table', (row) => row.source_table),
  column('source column', (row) => row.source_column),
];

export interface ScheduleRow extends Schedule {
  readonly pipeline_name: string;
}

export const SCHEDULE_COLUMNS: readonly TableColumn<ScheduleRow>[] = [
  column('pipeline', (row) => row.pipeline_name),
  column('schedule', scheduleText),
  column('paused', (row) => (row.is_paused ? 'yes' : 'no')),
  column('last run', (row) => shortTime(row.last_run_at)),
  column('next run', (row) => shortTime(row.next_run_at)),
  column('id', (row) => row.id),
];

export interface StatusRow {
  readonly pipeline: string;
  readonly state: string;
  readonly last_run_status: string | null;
  readonly last_run_at: string | null;
  readonly next_run_at: string | null;
}

export const STATUS_COLUMNS: readonly TableColumn<StatusRow>[] = [
  column('pipeline', (row) => row.pipeline),
  column('state', (row) => row.state),
  column('last run', (row) => row.last_run_status),
  column('at', (row) => shortTime(row.last_run_at)),
  column('next run', (row) => shortTime(row.next_run_at)),
];

const OPEN_STATES: Readonly<Record<string, string>> = { running: 'running', scheduled: 'waiting' };

/** What each pipeline does now, by its name. */
export function statusRows(
  pipelines: readonly Pipeline[],
  open: readonly Pick<Execution, 'pipeline_id' | 'status'>[],
): readonly StatusRow[] {
  return pipelines
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
    .map((pipeline) => {
      const own = open.filter(({ pipeline_id: id }) => id === pipeline.id);
      const first = own.find(({ status }) => status === 'running') ?? own[0];
      const resting = pipeline.is_active ? 'idle' : 'disabled';
      return {
        pipeline: pipeline.name,
        state: OPEN_STATES[first?.status ?? ''] ?? resting,
        last_run_status: pipeline.last_run_status,
        last_run_at: pipeline.last_run_at,
        next_run_at: pipeline.next_run_at,
      };
    });
}

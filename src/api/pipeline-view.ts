/** Pipelines between the API and the tables. */
import { findPipeline } from '../metadata/pipelines.ts';
import { listBenthosUsesOf, listStreamsOf } from '../metadata/pipeline-parts.ts';
import { listPipelineSchedules, MANUAL_PLAN, type ScheduleContent } from '../metadata/schedules.ts';
import type { MetadataDb } from '../metadata/database.ts';
import type { OrganizationScope } from '../metadata/scope.ts';
import type { PipelineStreamsTable, PipelinesTable, SchedulesTable } from '../metadata/tables.ts';
import { nextRuns } from './next-runs.ts';
import { notFound, RequestError } from './problem.ts';
import type { Call } from './route.ts';
import { type IdParams, storedId } from './schemas/fields.ts';
import type { PipelineInput, PipelineSettings } from './schemas/pipelines.ts';
import type { SchedulePlan } from './schemas/schedules.ts';

export async function requiredPipeline(
  db: MetadataDb,
  { caller, params }: Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>,
): Promise<PipelinesTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findPipeline(db, caller.scope, id);
  if (row === null) throw notFound('pipeline');
  return row;
}

export interface StoredPipeline {
  readonly config: string;
  readonly streams: readonly Pick<PipelineStreamsTable, 'stream' | 'config'>[];
  readonly plan: SchedulePlan;
}

export function storedPipeline(input: PipelineInput): StoredPipeline {
  const settings: PipelineSettings = {
    schema: input.schema,
    load: input.load,
    deletes: input.deletes,
    schema_changes: input.schema_changes,
    layers: input.layers,
    quality_rules: input.quality_rules,
    retry_policy: input.retry_policy,
    event_time_column: input.event_time_column,
  };
  return {
    config: JSON.stringify(settings),
    streams: input.streams.map((selection) => {
      if (typeof selection === 'string') return { stream: selection, config: '{}' };
      const { stream, ...config } = selection;
      return { stream, config: JSON.stringify(config) };
    }),
    plan: {
      schedule_type: input.schedule_type,
      cron_expression: input.cron_expression,
      interval_seconds: input.interval_seconds,
      time_zone: input.time_zone,
      overlap_policy: input.overlap_policy,
      catchup_window_seconds: input.catchup_window_seconds,
    },
  };
}

/** Stored by `storedPipeline`. */
export const settingsOf = (row: PipelinesTable): PipelineSettings =>
  JSON.parse(row.config) as PipelineSettings;

export interface StreamSettings {
  readonly stream: string;
  readonly cursor_column?: string;
}

export function streamSettings(row: PipelineStreamsTable): StreamSettings {
  return { ...(JSON.parse(row.config) as object), stream: row.stream };
}

const streamView = (row: PipelineStreamsTable): unknown =>
  row.config === '{}' ? row.stream : streamSettings(row);

export interface ScheduleState {
  readonly anchorMs: number;
  readonly isPaused: boolean;
  readonly isActive: boolean;
}

/** As a schedule is stored; nothing is due while it is paused or its pipeline is disabled. */
export function scheduleContent(
  plan: SchedulePlan,
  { anchorMs, isPaused, isActive }: ScheduleState,
  nowMs: number = Date.now(),
): ScheduleContent {
  const content = {
    schedule_type: plan.schedule_type,
    cron_expression: plan.cron_expression ?? null,
    interval_seconds: plan.interval_seconds ?? null,
    time_zone: plan.time_zone,
    overlap_policy: plan.overlap_policy,
    catchup_window_seconds: plan.catchup_window_seconds,
  };
  const [next = null] = isActive && !isPaused ? nextRuns(content, anchorMs, nowMs, 1) : [];
  return { ...content, is_paused: isPaused ? 1 : 0, next_fire_at: next };
}

export function planOf(schedule: SchedulesTable): SchedulePlan {
  return {
    schedule_type: schedule.schedule_type,
    cron_expression: schedule.cron_expression,
    interval_seconds: schedule.interval_seconds,
    time_zone: schedule.time_zone,
    overlap_policy: schedule.overlap_policy,
    catchup_window_seconds: schedule.catchup_window_seconds,
  };
}

interface Parts {
  readonly streams: readonly PipelineStreamsTable[];
  readonly benthosIds: readonly string[];
  readonly schedule: SchedulesTable | undefined;
}

/** What can be written; without what is not set. */
export function pipelineInputOf(row: PipelinesTable, parts: Parts): Record<string, unknown> {
  const { streams, benthosIds, schedule } = parts;
  return {
    name: row.name,
    kind: row.kind,
    source_connection_id: row.source_connection_id,
    destination_connection_id: row.destination_connection_id,
    streams: streams.map(streamView),
    ...settingsOf(row),
    benthos_configuration_ids: benthosIds,
    ...(schedule === undefined ? MANUAL_PLAN : planOf(schedule)),
    is_active: row.is_active === 1,
  };
}

export function pipelineView(row: PipelinesTable, parts: Parts): Record<string, unknown> {
  return {
    id: row.id,
    ...pipelineInputOf(row, parts),
    last_run_at: row.last_run_at,
    last_run_status: row.last_run_status,
    next_run_at: parts.schedule?.next_fire_at ?? null,
    workflow_id: row.id,
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

export async function pipelineParts(
  db: MetadataDb,
  scope: OrganizationScope,
  rows: readonly PipelinesTable[],
): Promise<(row: PipelinesTable) => Parts> {
  const ids = rows.map(({ id }) => id);
  const streams = Map.groupBy(await listStreamsOf(db, scope, ids), (part) => part.pipeline_id);
  const uses = Map.groupBy(await listBenthosUsesOf(db, scope, ids), (part) => part.pipeline_id);
  const schedules = await listPipelineSchedules(db, scope, ids);
  const byPipeline = new Map(schedules.map((schedule) => [schedule.pipeline_id, schedule]));
  return ({ id }) => ({
    streams: streams.get(id) ?? [],
    benthosIds: (uses.get(id) ?? []).map((use) => use.benthos_configuration_id),
    schedule: byPipeline.get(id),
  });
}

/** A date range needs a column to hold against it in every stream. */
export function requireDatedStreams(
  pipeline: PipelinesTable,
  streams: readonly PipelineStreamsTable[],
  pointer = '/parameters/date_range',
): void {
  if (settingsOf(pipeline).event_time_column !== undefined) return;
  const undated = streams.find((row) => streamSettings(row).cursor_column === undefined);
  if (undated === undefined) return;
  const message = `has no column for the stream ${undated.stream}`;
  throw new RequestError('request_unprocessable', {
    message: `The date range ${message}: it has no cursor column, and the pipeline no event time`,
    fix: 'Give the stream a cursor_column, or the pipeline an event_time_column.',
    fields: [{ in: 'body', pointer, code: 'request_unprocessable', message }],
  });
}

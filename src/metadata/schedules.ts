import { uuidv7 } from '../core/uuid.ts';
import type { MetadataDb } from './database.ts';
import { orTaken, unchanged } from './failures.ts';
import { isAfter, type Page } from './page.ts';
import { requirePipeline } from './pipelines.ts';
import type { OrganizationScope } from './scope.ts';
import type { SchedulesTable } from './tables.ts';
import { timeOf } from './transaction.ts';

export type ScheduleContent = Pick<
  SchedulesTable,
  | 'schedule_type'
  | 'cron_expression'
  | 'interval_seconds'
  | 'time_zone'
  | 'overlap_policy'
  | 'catchup_window_seconds'
  | 'is_paused'
  | 'next_fire_at'
>;

/** Of a pipeline that is started by hand. */
export const MANUAL_PLAN = {
  schedule_type: 'manual',
  cron_expression: null,
  interval_seconds: null,
  time_zone: 'UTC',
  overlap_policy: 'skip',
  catchup_window_seconds: 600,
} as const satisfies Partial<ScheduleContent>;

/**
 * Intervals are counted from `nowMs`. Throws `already_exists`, as a pipeline has one, and `not_found` for the pipeline.
 */
export async function createSchedule(
  db: MetadataDb,
  scope: OrganizationScope,
  schedule: ScheduleContent & { readonly pipeline_id: string },
  nowMs: number = Date.now(),
): Promise<SchedulesTable> {
  await requirePipeline(db, scope, schedule.pipeline_id);
  const now = timeOf(nowMs);
  const insert = db
    .insertInto('schedules')
    .values({
      ...schedule,
      id: uuidv7(),
      organization_id: scope.organizationId,
      last_fired_at: null,
      buffered_at: null,
      version: 1,
      created_at: now,
      updated_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return orTaken(insert, `a schedule of the pipeline ${schedule.pipeline_id}`);
}

export async function findSchedule(
  db: MetadataDb,
  scope: OrganizationScope,
  id: string,
): Promise<SchedulesTable | null> {
  const row = await db
    .selectFrom('schedules')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .executeTakeFirst();
  return row ?? null;
}

export async function findPipelineSchedule(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineId: string,
): Promise<SchedulesTable | null> {
  const row = await db
    .selectFrom('schedules')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', '=', pipelineId)
    .executeTakeFirst();
  return row ?? null;
}

/** Of the pipelines of a page of a list. */
export function listPipelineSchedules(
  db: MetadataDb,
  scope: OrganizationScope,
  pipelineIds: readonly string[],
): Promise<SchedulesTable[]> {
  if (pipelineIds.length === 0) return Promise.resolve([]);
  return db
    .selectFrom('schedules')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where('pipeline_id', 'in', pipelineIds)
    .execute();
}

export function listSchedules(
  db: MetadataDb,
  scope: OrganizationScope,
  page: Page,
): Promise<SchedulesTable[]> {
  return db
    .selectFrom('schedules')
    .selectAll()
    .where('organization_id', '=', scope.organizationId)
    .where(isAfter('created_at', page.after))
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

/** Firing is no change in this sense: it leaves the version as it is. */
export async function updateSchedule(
  db: MetadataDb,
  scope: OrganizationScope,
  update: {
    readonly id: string;
    readonly version: number;
    readonly changes: Partial<ScheduleContent & Pick<SchedulesTable, 'buffered_at'>>;
  },
): Promise<SchedulesTable> {
  const { id, version, changes } = update;
  const row = await db
    .updateTable('schedules')
    .set({ ...changes, version: version + 1, updated_at: timeOf() })
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .where('version', '=', version)
    .returningAll()
    .executeTakeFirst();
  if (row !== undefined) return row;
  throw unchanged('schedule', id, await findSchedule(db, scope, id));
}

export async function deleteSchedule(
  db: MetadataDb,
  scope: OrganizationScope,
  schedule: { readonly id: string; readonly version: number },
): Promise<void> {
  const { id, version } = schedule;
  const { numDeletedRows } = await db
    .deleteFrom('schedules')
    .where('organization_id', '=', scope.organizationId)
    .where('id', '=', id)
    .where('version', '=', version)
    .executeTakeFirst();
  if (numDeletedRows === 0n) throw unchanged('schedule', id, await findSchedule(db, scope, id));
}

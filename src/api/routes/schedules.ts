import { z } from 'zod';
import { findPipeline } from '../../metadata/pipelines.ts';
import { findSchedule, listSchedules, updateSchedule } from '../../metadata/schedules.ts';
import type { PipelinesTable, SchedulesTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { MetadataTransaction } from '../../metadata/transaction.ts';
import { demandVersion } from '../etag.ts';
import { mergePatch } from '../merge-patch.ts';
import { nextRuns } from '../next-runs.ts';
import { listed, pageOf } from '../page.ts';
import { checkSchedule } from '../pipeline-rules.ts';
import { planOf, scheduleContent } from '../pipeline-view.ts';
import { fieldError, notFound } from '../problem.ts';
import { readPart } from '../read-request.ts';
import {
  type Call,
  type Caller,
  changeRoute,
  type Effect,
  type Reply,
  readRoute,
  type Route,
} from '../route.ts';
import { type IdParams, idParams, noBody, pageQuery, storedId } from '../schemas/fields.ts';
import { scheduledSchema } from '../schemas/pipelines.ts';
import {
  type SchedulePlan,
  scheduleListSchema,
  schedulePlan,
  scheduleSchema,
} from '../schemas/schedules.ts';
import { triggerPipeline } from './pipeline-runs.ts';

const PATH = '/api/v1/schedules';
const TAG = 'Schedules';
const SHOWN_RUNS = 10;

async function required(
  db: MetadataDb,
  { caller, params }: Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>,
): Promise<SchedulesTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findSchedule(db, caller.scope, id);
  if (row === null) throw notFound('schedule');
  return row;
}

async function pipelineOf(
  db: MetadataDb,
  caller: Caller,
  schedule: SchedulesTable,
): Promise<PipelinesTable> {
  const row = await findPipeline(db, caller.scope, schedule.pipeline_id);
  if (row === null) throw notFound('pipeline');
  return row;
}

/** The times after the one that is due next are worked out; that one is as the scheduler has it. */
function runsOf(row: SchedulesTable): readonly string[] {
  if (row.next_fire_at === null) return [];
  const due = Date.parse(row.next_fire_at);
  const later = nextRuns(row, Date.parse(row.created_at), due, SHOWN_RUNS - 1);
  return [row.next_fire_at, ...later];
}

function view(row: SchedulesTable): Record<string, unknown> {
  return {
    id: row.id,
    pipeline_id: row.pipeline_id,
    ...planOf(row),
    is_paused: row.is_paused === 1,
    last_run_at: row.last_fired_at,
    next_run_at: row.next_fire_at,
    next_run_times: runsOf(row),
    version: row.version,
    created_at: row.created_at,
    updated_at: row.updated_at,
  };
}

const shown = (row: SchedulesTable): Reply => ({
  status: 200,
  body: view(row),
  version: row.version,
});

interface Change {
  readonly version: number;
  readonly plan: SchedulePlan;
  readonly isPaused: boolean;
  readonly action: string;
}

async function change(
  call: Call<IdParams, unknown, unknown>,
  transaction: MetadataTransaction,
  row: SchedulesTable,
  { version, plan, isPaused, action }: Change,
): Promise<Effect> {
  const { caller, context } = call;
  const pipeline = await pipelineOf(transaction, caller, row);
  if (pipeline.kind === 'replication' && plan.schedule_type !== 'manual') {
    throw fieldError('body', '/schedule_type', 'a replication runs until it is stopped');
  }
  const state = {
    anchorMs: Date.parse(row.created_at),
    isPaused,
    isActive: pipeline.is_active === 1,
  };
  const changes = scheduleContent(plan, state);
  const after = await updateSchedule(transaction, caller.scope, { id: row.id, version, changes });
  return {
    ...shown(after),
    audit: {
      action: `schedule.${action}`,
      resourceType: 'schedule',
      resourceId: row.id,
      details: { pipeline_id: row.pipeline_id, ...planOf(after) },
    },
    afterCommit: () => context.services.pipelineChanged(row.pipeline_id),
  };
}

const patch = changeRoute({
  method: 'PATCH',
  path: `${PATH}/{id}`,
  operation: 'changeSchedule',
  summary: 'Changes what is named, as a JSON merge patch.',
  tag: TAG,
  permission: 'edit',
  conditional: true,
  params: idParams,
  body: z.record(z.string(), z.unknown()),
  example: { cron_expression: '30 6 * * 1-5' },
  replies: { 200: scheduleSchema },
  failures: ['schedule_invalid'],
  change: async (call, transaction) => {
    const row = await required(transaction, call);
    const version = demandVersion(call.precondition, row.version);
    const merged = mergePatch(planOf(row), call.body);
    const plan = readPart('body', schedulePlan, merged) as SchedulePlan;
    checkSchedule(plan);
    const isPaused = row.is_paused === 1;
    return change(call, transaction, row, { version, plan, isPaused, action: 'update' });
  },
});

function pausing(action: 'pause' | 'resume', isPaused: boolean): Route {
  return changeRoute({
    method: 'POST',
    path: `${PATH}/{id}/${action}`,
    operation: `${action}Schedule`,
    summary: isPaused ? 'Keeps it from starting anything.' : 'Lets it start executions again.',
    tag: TAG,
    permission: 'operate',
    params: idParams,
    body: noBody,
    replies: { 200: scheduleSchema },
    change: async (call, transaction) => {
      const row = await required(transaction, call);
      const plan = planOf(row);
      return change(call, transaction, row, { version: row.version, plan, isPaused, action });
    },
  });
}

const trigger = changeRoute({
  method: 'POST',
  path: `${PATH}/{id}/trigger`,
  operation: 'triggerSchedule',
  summary: 'Starts an execution of its pipeline now.',
  tag: TAG,
  permission: 'operate',
  params: idParams,
  body: noBody,
  replies: { 200: scheduledSchema },
  failures: ['execution_waits'],
  change: async (call, transaction) => {
    const { caller, context } = call;
    const pipeline = await pipelineOf(transaction, caller, await required(transaction, call));
    return triggerPipeline({ caller, services: context.services, transaction }, pipeline);
  },
});

export const scheduleRoutes: readonly Route[] = [
  readRoute({
    path: PATH,
    operation: 'listSchedules',
    summary: 'Schedules of the pipelines, with their next starts.',
    tag: TAG,
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: scheduleListSchema },
    handle: async (call) => {
      const page = pageOf('schedules', call);
      const found = await listSchedules(call.context.db, call.caller.scope, page);
      const { rows, nextCursor } = listed('schedules', call, found);
      return { status: 200, body: { schedules: rows.map(view), next_cursor: nextCursor } };
    },
  }),
  readRoute({
    path: `${PATH}/{id}`,
    operation: 'getSchedule',
    summary: 'One schedule.',
    tag: TAG,
    permission: 'read',
    params: idParams,
    replies: { 200: scheduleSchema },
    handle: async (call) => shown(await required(call.context.db, call)),
  }),
  patch,
  pausing('pause', true),
  pausing('resume', false),
  trigger,
];

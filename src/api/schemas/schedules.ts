/** When pipelines run by themselves. */
import { z } from 'zod';
import { asForebayError } from '../../core/errors.ts';
import { checkTiming } from '../../orchestration/schedules/next-fire.ts';
import { nextCursor, time, uuid, version } from './fields.ts';

export const SCHEDULE_TYPES = ['manual', 'interval', 'cron'] as const;
export const OVERLAP_POLICIES = ['skip', 'buffer_one', 'cancel_other', 'allow'] as const;

/** A century; longer ones overflow the dates of JavaScript. */
const LONGEST_INTERVAL_SECONDS = 3_153_600_000;

export const scheduleFields = {
  schedule_type: z.enum(SCHEDULE_TYPES).default('manual'),
  cron_expression: z
    .string()
    .trim()
    .min(1)
    .max(200)
    .nullish()
    .meta({ description: 'Five fields, or six that begin with seconds.', examples: ['0 6 * * *'] }),
  interval_seconds: z.int().min(1).max(LONGEST_INTERVAL_SECONDS).nullish(),
  time_zone: z
    .string()
    .min(1)
    .max(100)
    .default('UTC')
    .meta({ description: 'IANA name.', examples: ['Europe/Berlin'] }),
  overlap_policy: z
    .enum(OVERLAP_POLICIES)
    .default('skip')
    .meta({ description: 'What happens when it is time while the last execution still runs.' }),
  catchup_window_seconds: z
    .int()
    .min(0)
    .max(LONGEST_INTERVAL_SECONDS)
    .default(600)
    .meta({ description: 'How late a start may be made good.' }),
} as const;

export const schedulePlan = z.strictObject(scheduleFields);
export type SchedulePlan = z.output<typeof schedulePlan>;

export interface ScheduleFault {
  readonly field: keyof SchedulePlan;
  readonly message: string;
}

function zoneFault(zone: string): ScheduleFault | null {
  try {
    void new Intl.DateTimeFormat('en', { timeZone: zone });
    return null;
  } catch {
    return { field: 'time_zone', message: 'is no time zone that is known' };
  }
}

function cronFault(expression: string, timeZone: string): ScheduleFault | null {
  try {
    checkTiming({ kind: 'cron', expression, timeZone }, Date.now());
    return null;
  } catch (error) {
    const { message } = asForebayError(error);
    return { field: 'cron_expression', message };
  }
}

/** What keeps a plan from being a schedule; null where nothing does. */
export function scheduleFault(plan: SchedulePlan): ScheduleFault | null {
  const { schedule_type: type, cron_expression: cron, interval_seconds: seconds } = plan;
  const badZone = zoneFault(plan.time_zone);
  if (badZone !== null) return badZone;
  if (type === 'cron' && cron == null) {
    return { field: 'cron_expression', message: 'is missing, and schedule_type is cron' };
  }
  if (type === 'interval' && seconds == null) {
    return { field: 'interval_seconds', message: 'is missing, and schedule_type is interval' };
  }
  if (type !== 'cron' && cron != null) {
    return { field: 'cron_expression', message: `has no place where schedule_type is ${type}` };
  }
  if (type !== 'interval' && seconds != null) {
    return { field: 'interval_seconds', message: `has no place where schedule_type is ${type}` };
  }
  return cron == null ? null : cronFault(cron, plan.time_zone);
}

export const scheduleSchema = z
  .object({
    id: uuid,
    pipeline_id: uuid,
    schedule_type: z.enum(SCHEDULE_TYPES),
    cron_expression: z.string().nullable(),
    interval_seconds: z.int().nullable(),
    time_zone: z.string(),
    overlap_policy: z.enum(OVERLAP_POLICIES),
    catchup_window_seconds: z.int(),
    is_paused: z.boolean(),
    last_run_at: time.nullable(),
    next_run_at: time
      .nullable()
      .meta({ description: 'Null where nothing is due: manual, paused or disabled.' }),
    next_run_times: z.array(time).meta({ description: 'The next starts, ten at most.' }),
    version,
    created_at: time,
    updated_at: time,
  })
  .meta({ id: 'Schedule' });

export const scheduleListSchema = z.object({
  schedules: z.array(scheduleSchema),
  next_cursor: nextCursor,
});

/** When a schedule, as it is stored, comes next. Pure. */
import type { SchedulesTable } from '../metadata/tables.ts';
import { nextFires, type ScheduleTiming } from '../orchestration/schedules/next-fire.ts';

export type StoredTiming = Pick<
  SchedulesTable,
  'schedule_type' | 'cron_expression' | 'interval_seconds' | 'time_zone'
>;

const MANUAL: ScheduleTiming = { kind: 'manual' };

function timingOf(plan: StoredTiming, createdAtMs: number): ScheduleTiming {
  const { schedule_type: type, cron_expression: expression, interval_seconds: seconds } = plan;
  if (type === 'cron' && expression !== null) {
    return { kind: 'cron', expression, timeZone: plan.time_zone };
  }
  if (type === 'interval' && seconds !== null) return { kind: 'interval', seconds, createdAtMs };
  return MANUAL;
}

/** The next `count` times after a moment; intervals are counted from when the schedule was made. */
export function nextRuns(
  plan: StoredTiming,
  createdAtMs: number,
  afterMs: number,
  count: number,
): readonly string[] {
  const times = nextFires(timingOf(plan, createdAtMs), afterMs, count);
  return times.map((at) => new Date(at).toISOString());
}

/** When a schedule comes next. Pure. */
import { Cron } from 'croner';
import type { SchedulesTable } from '../metadata/tables.ts';

type Plan = Pick<
  SchedulesTable,
  'schedule_type' | 'cron_expression' | 'interval_seconds' | 'time_zone'
>;

/** The next `count` times after a moment; intervals are counted from `anchorMs`. */
export function nextRuns(
  plan: Plan,
  anchorMs: number,
  afterMs: number,
  count: number,
): readonly string[] {
  if (plan.schedule_type === 'cron' && plan.cron_expression !== null) {
    const cron = new Cron(plan.cron_expression, { timezone: plan.time_zone, paused: true });
    return cron.nextRuns(count, new Date(afterMs)).map((date) => date.toISOString());
  }
  if (plan.schedule_type !== 'interval' || plan.interval_seconds === null) return [];
  const stepMs = plan.interval_seconds * 1000;
  const passed = Math.max(0, Math.floor((afterMs - anchorMs) / stepMs));
  return Array.from({ length: count }, (_, index) =>
    new Date(anchorMs + (passed + index + 1) * stepMs).toISOString(),
  );
}

/**
 * When a schedule comes next. Pure; times are milliseconds since 1970.
 *
 * A cron schedule follows the clocks of its zone. An hour that is skipped in spring: what lies in it comes once, right
 * after. An hour that comes twice in autumn: a fixed time comes once, the first time; `*` and steps go on through both.
 */
import { Cron } from 'croner';
import { ForebayError } from '../../core/errors.ts';

export type ScheduleTiming =
  | { readonly kind: 'cron'; readonly expression: string; readonly timeZone: string }
  /** Counted from when the schedule was made. */
  | { readonly kind: 'interval'; readonly seconds: number; readonly createdAtMs: number }
  | { readonly kind: 'manual' };

const CRON_FIELDS = new Set([5, 6]);
const SECOND_MS = 1000;

function invalid(message: string, cause?: unknown): ForebayError {
  const why = cause instanceof Error ? cause.message : null;
  return new ForebayError('schedule_invalid', { message, ...(why === null ? {} : { why }), cause });
}

function cronOf(expression: string, timeZone: string): Cron {
  if (!CRON_FIELDS.has(expression.trim().split(/\s+/).length))
    throw invalid(`${JSON.stringify(expression)} has not five or six fields`);
  try {
    return new Cron(expression.trim(), { timezone: timeZone, paused: true });
  } catch (error) {
    throw invalid(`${JSON.stringify(expression)} cannot be read`, error);
  }
}

/** The first time after; null where there is none. Fails with `schedule_invalid`. */
export function nextFire(timing: ScheduleTiming, afterMs: number): number | null {
  switch (timing.kind) {
    case 'manual':
      return null;
    case 'interval': {
      const stepMs = timing.seconds * SECOND_MS;
      if (!Number.isInteger(timing.seconds) || timing.seconds < 1)
        throw invalid(`an interval of ${timing.seconds} s is no whole second or more`);
      const passed = Math.floor((afterMs - timing.createdAtMs) / stepMs);
      return timing.createdAtMs + Math.max(1, passed + 1) * stepMs;
    }
    case 'cron':
      return nextOf(cronOf(timing.expression, timing.timeZone), timing, afterMs);
  }
}

function nextOf(
  cron: Cron,
  { expression, timeZone }: Extract<ScheduleTiming, { kind: 'cron' }>,
  afterMs: number,
): number | null {
  try {
    return cron.nextRun(new Date(afterMs))?.getTime() ?? null;
  } catch (error) {
    throw invalid(`${JSON.stringify(expression)} has no next time in ${timeZone}`, error);
  }
}

/** The next `count` times, fewer where the schedule ends. */
export function nextFires(timing: ScheduleTiming, afterMs: number, count: number): number[] {
  const times: number[] = [];
  let at = afterMs;
  while (times.length < count) {
    const next = nextFire(timing, at);
    if (next === null) break;
    times.push(next);
    at = next;
  }
  return times;
}

/** Fails with `schedule_invalid` where it cannot be read or never comes. */
export function checkTiming(timing: ScheduleTiming, nowMs: number): void {
  if (timing.kind !== 'manual' && nextFire(timing, nowMs) === null)
    throw invalid('the schedule never comes');
}

/** Fires schedules that are due, each time once, however many servers look. */
import type { Transaction } from 'kysely';
import type { MetadataDb } from '../../metadata/database.ts';
import type { MetadataTables, SchedulesTable } from '../../metadata/tables.ts';
import { dueFires, type DueFires } from './decisions.ts';
import type { ScheduleTiming } from './next-fire.ts';

/** `overlap`: what was started before is not done. `disabled`: the pipeline is to start nothing. */
export type FireOutcome = 'started' | 'overlap' | 'disabled';

/** Times of a schedule for which nothing was started. */
export interface ScheduleSkip {
  readonly schedule: SchedulesTable;
  /** `late`: the time came while nobody looked. */
  readonly reason: Exclude<FireOutcome, 'started'> | 'late';
  readonly count: number;
  /** Of the last one, where it is known. */
  readonly scheduledForMs: number | null;
}

export interface SchedulerOptions {
  readonly db: MetadataDb;
  /**
   * Called in the transaction that moves the schedule on: what it writes through `tx` is there exactly when the time
   * counts as fired. It starts nothing itself, looks at the overlap policy (`decideOverlap`), and says what became
   * of it.
   */
  readonly fire: (
    schedule: SchedulesTable,
    scheduledForMs: number,
    tx: Transaction<MetadataTables>,
  ) => Promise<FireOutcome>;
  /** At the end of that transaction. */
  readonly skipped?: (
    skips: readonly ScheduleSkip[],
    tx: Transaction<MetadataTables>,
  ) => Promise<void>;
  /** After the transaction: what it wrote can be started. */
  readonly fired?: () => void;
  readonly onFault: (error: unknown) => void;
  readonly now?: () => number;
  readonly pollMs?: number;
}

export interface Scheduler extends AsyncDisposable {
  /** Looks at once; resolves when all that was due is fired. */
  look(): Promise<void>;
}

const POLL_MS = 500;
/** Schedules of one transaction. */
const MOST_DUE = 100;
/** One that cannot be fired is looked at again after this long. */
const FAULT_WAIT_MS = 60_000;

export function timingOf(schedule: SchedulesTable): ScheduleTiming {
  const { cron_expression, interval_seconds, time_zone, created_at } = schedule;
  switch (schedule.schedule_type) {
    case 'cron':
      return { kind: 'cron', expression: cron_expression ?? '', timeZone: time_zone };
    case 'interval':
      return {
        kind: 'interval',
        seconds: interval_seconds ?? 0,
        createdAtMs: Date.parse(created_at),
      };
    case 'manual':
      return { kind: 'manual' };
  }
}

/** Schedules that cannot be fired, until when of the steady clock. */
type PutOff = Map<string, number>;

const text = (ms: number): string => new Date(ms).toISOString();

export function startScheduler(options: SchedulerOptions): Scheduler {
  const { pollMs = POLL_MS, onFault } = options;
  let looking: Promise<void> | null = null;
  let stopped = false;
  const putOff: PutOff = new Map();
  const look = (): Promise<void> => {
    looking ??= fireDue(options, putOff, () => stopped).finally(() => (looking = null));
    return looking;
  };
  const timer = setInterval(() => void look().catch(onFault), pollMs);
  return {
    look,
    async [Symbol.asyncDispose]() {
      stopped = true;
      clearInterval(timer);
      await looking;
    },
  };
}

async function fireDue(
  options: SchedulerOptions,
  putOff: PutOff,
  stopped: () => boolean,
): Promise<void> {
  const { db, now = Date.now } = options;
  while (!stopped()) {
    const nowMs = now();
    for (const [id, untilMs] of putOff) if (untilMs <= performance.now()) putOff.delete(id);
    const due = await db
      .selectFrom('schedules')
      .selectAll()
      .where('is_paused', '=', 0)
      .where('next_fire_at', '<=', text(nowMs))
      .where('id', 'not in', ['', ...putOff.keys()])
      .orderBy('next_fire_at')
      .limit(MOST_DUE)
      .execute();
    if (due.length === 0) return;
    await fireAll(options, putOff, { due, nowMs });
    options.fired?.();
    if (due.length < MOST_DUE) return;
  }
}

/** Together, and one by one where one of them spoils it. */
async function fireAll(
  options: SchedulerOptions,
  putOff: PutOff,
  { due, nowMs }: { readonly due: readonly SchedulesTable[]; readonly nowMs: number },
): Promise<void> {
  const attempt = (schedules: readonly SchedulesTable[]): Promise<void> =>
    options.db.transaction().execute(async (tx) => {
      const skips: ScheduleSkip[] = [];
      for (const schedule of schedules)
        skips.push(...(await fireOne(tx, options, { schedule, nowMs })));
      if (skips.length > 0) await options.skipped?.(skips, tx);
    });
  try {
    await attempt(due);
  } catch (error) {
    options.onFault(error);
    for (const schedule of due) {
      try {
        await attempt([schedule]);
      } catch (fault) {
        options.onFault(fault);
        putOff.set(schedule.id, performance.now() + FAULT_WAIT_MS);
      }
    }
  }
}

async function fireOne(
  tx: Transaction<MetadataTables>,
  { fire }: SchedulerOptions,
  { schedule, nowMs }: { readonly schedule: SchedulesTable; readonly nowMs: number },
): Promise<readonly ScheduleSkip[]> {
  const { fires, missed, nextMs } = whatIsDue(schedule, nowMs);
  const last = fires.at(-1);
  const moved = await tx
    .updateTable('schedules')
    .set({
      next_fire_at: nextMs === null ? null : text(nextMs),
      ...(last === undefined ? {} : { last_fired_at: text(last) }),
    })
    .where('id', '=', schedule.id)
    .where('is_paused', '=', 0)
    // Another server was here first, or somebody changed the schedule meanwhile.
    .where('next_fire_at', '=', schedule.next_fire_at)
    .where('version', '=', schedule.version)
    .executeTakeFirst();
  if (moved.numUpdatedRows === 0n) return [];
  const skips: ScheduleSkip[] = [];
  if (missed > 0) skips.push({ schedule, reason: 'late', count: missed, scheduledForMs: null });
  for (const scheduledForMs of fires) {
    const reason = await fire(schedule, scheduledForMs, tx);
    if (reason !== 'started') skips.push({ schedule, reason, count: 1, scheduledForMs });
  }
  return skips;
}

function whatIsDue(schedule: SchedulesTable, nowMs: number): DueFires {
  return dueFires(timingOf(schedule), {
    nextFireMs: Date.parse(schedule.next_fire_at ?? ''),
    nowMs,
    catchupMs: schedule.catchup_window_seconds * 1000,
    policy: schedule.overlap_policy,
  });
}

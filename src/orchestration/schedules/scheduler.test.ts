import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { type Metadata, openMetadata } from '../../metadata/database.ts';
import type { SchedulesTable } from '../../metadata/tables.ts';
import { startScheduler } from './scheduler.ts';

const MINUTE = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'fb-schedules-'));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;
const open = (): Promise<Metadata> =>
  openMetadata({ kind: 'sqlite', path: join(folder, `${(files += 1)}.db`) });

const text = (ms: number): string => new Date(ms).toISOString();
const schedule = (id: string, nextMs: number): SchedulesTable => ({
  id,
  organization_id: 'o',
  pipeline_id: id,
  schedule_type: 'interval',
  cron_expression: null,
  interval_seconds: 60,
  time_zone: 'UTC',
  overlap_policy: 'skip',
  catchup_window_seconds: 600,
  is_paused: 0,
  last_fired_at: null,
  next_fire_at: text(nextMs),
  buffered_at: null,
  version: 1,
  created_at: text(0),
  updated_at: text(0),
});

/** A clock that a test sets, and what was fired. */
function bench(metadata: Metadata) {
  const clock = { nowMs: 100 * MINUTE };
  const fired: string[] = [];
  const faults: unknown[] = [];
  const skips: string[] = [];
  const start = () =>
    startScheduler({
      db: metadata.db,
      now: () => clock.nowMs,
      pollMs: 3_600_000,
      onFault: (fault) => void faults.push(fault),
      fire: async ({ id }, scheduledForMs) => {
        if (id === 'broken') throw new Error('cannot be fired');
        if (id === 'busy') return 'overlap';
        fired.push(`${id}@${scheduledForMs / MINUTE}`);
        return 'started';
      },
      skipped: async (found) => {
        for (const {
          schedule: { id },
          reason,
          count,
        } of found)
          skips.push(`${id} ${reason} ${count}`);
      },
    });
  return { clock, fired, faults, skips, start };
}

it('a thousand that are due at once are fired once each, by two servers, within 10 s', async () => {
  await using metadata = await open();
  const { fired, start } = bench(metadata);
  for (let index = 0; index < 1000; index += 100) {
    const rows = Array.from({ length: 100 }, (_, at) => schedule(`s${index + at}`, 100 * MINUTE));
    await metadata.db.insertInto('schedules').values(rows).execute();
  }
  await using one = start();
  await using other = start();
  const begun = performance.now();
  await Promise.all([one.look(), other.look(), one.look()]);
  expect(performance.now() - begun).toBeLessThan(10_000);
  expect(fired).toHaveLength(1000);
  expect(new Set(fired).size).toBe(1000);
});

it('clocks that jump an hour bring no time twice and no burst', async () => {
  await using metadata = await open();
  const { clock, fired, start } = bench(metadata);
  await metadata.db
    .insertInto('schedules')
    .values(schedule('s', 100 * MINUTE))
    .execute();
  await using scheduler = start();
  await scheduler.look();
  clock.nowMs = 160 * MINUTE;
  await scheduler.look();
  clock.nowMs = 100 * MINUTE;
  await scheduler.look();
  clock.nowMs = 161 * MINUTE;
  await scheduler.look();
  expect(fired).toEqual(['s@100', 's@160', 's@161']);
});

it('one that cannot be fired keeps no other from it', async () => {
  await using metadata = await open();
  const { fired, faults, start } = bench(metadata);
  const ids = ['a', 'broken', 'b'];
  await metadata.db
    .insertInto('schedules')
    .values(ids.map((id) => schedule(id, 100 * MINUTE)))
    .execute();
  await using scheduler = start();
  await scheduler.look();
  expect(new Set(fired.slice(-2))).toEqual(new Set(['a@100', 'b@100']));
  expect(faults.length).toBeGreaterThan(0);
});

it('paused ones, and those that are not due, rest', async () => {
  await using metadata = await open();
  const { fired, start } = bench(metadata);
  await metadata.db
    .insertInto('schedules')
    .values([
      { ...schedule('paused', 100 * MINUTE), is_paused: 1 },
      { ...schedule('manual', 0), next_fire_at: null, schedule_type: 'manual' },
      schedule('later', 101 * MINUTE),
    ])
    .execute();
  await using scheduler = start();
  await scheduler.look();
  expect(fired).toEqual([]);
});

it('times for which nothing is started are told', async () => {
  await using metadata = await open();
  const { fired, skips, start } = bench(metadata);
  await metadata.db
    .insertInto('schedules')
    .values([schedule('busy', 100 * MINUTE), schedule('late', 98 * MINUTE)])
    .execute();
  await using scheduler = start();
  await scheduler.look();
  expect(fired).toEqual(['late@100']);
  expect(skips.toSorted()).toEqual(['busy overlap 1', 'late late 2']);
});

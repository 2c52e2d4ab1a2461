// Rows on which a transformation fails: what becomes of them, and their way back.
import { describe, expect, test } from 'vitest';

import type { RejectedRow } from '../../src/core/dead-letter.ts';
import { createLane } from '../support/lane-pipeline.ts';
import { laneOptions, type LaneSettings } from '../support/lane-transforms.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

const NAMES = `create table names (id int primary key, name text)`;
const ROWS = 'select cast(id as varchar), name from public.names order by 1';
const failing: LaneSettings = { transform: 'failing', id: 'names v1' };

describe.skipIf(server === null)('rows on which a transformation fails', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    describe(kind, () => {
      test('go to the dead letters as the source has them, and through the transformation again', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one'), (2, 'bad two')`);
        const first = await lane.caughtUp({ settings: failing });
        expect(first.result.streams).toMatchObject([{ read: 2, applied: 1, deadLettered: 1 }]);
        await lane.sql(`insert into names values (3, 'bad three'), (4, 'bad four')`);
        await lane.sql(`update names set name = 'bad one' where id = 1`);
        await lane.sql(`update names set name = 'four' where id = 4`);
        const second = await lane.caughtUp({ settings: failing });
        expect(second.result.streams).toMatchObject([
          { read: 4, applied: 1, folded: 1, deadLettered: 2 },
        ]);
        expect(await lane.read(ROWS)).toEqual([
          ['1', 'one'],
          ['4', 'four'],
        ]);
        await lane.withDestination(failing, async ({ deadLetters }) => {
          const letters = await deadLetters.list(lane.name);
          const whole = await Promise.all(letters.map(({ id }) => deadLetters.get(id)));
          expect(
            whole.map((letter) => ({
              ...letter,
              id: '',
              at: '',
              position: letter?.position !== '',
            })),
          ).toMatchObject([
            { op: 'r', payload: { id: '2', name: 'bad two' }, position: true },
            { op: 'i', payload: { id: '3', name: 'bad three' }, position: true },
            { op: 'u', payload: { id: '1', name: 'bad one' }, position: true },
          ]);
          expect(letters[0]).toMatchObject({
            code: 'test_failed',
            reason: 'the name is bad',
            stream: 'public.names',
            transformation: { id: 'names v1', attempts: 1 },
          });
          const ids = letters.map(({ id }) => id);
          const again = await deadLetters.replay(ids);
          expect(again.map(({ error }) => error)).toEqual(
            ids.map(() => 'test_failed: the name is bad'),
          );
        });
        const corrected: LaneSettings = { transform: 'identity', id: 'names v2' };
        await lane.withDestination(corrected, async ({ deadLetters }) => {
          const ids = (await deadLetters.list(lane.name)).map(({ id }) => id);
          expect((await deadLetters.replay(ids)).map(({ error }) => error)).toEqual([
            null,
            null,
            null,
          ]);
          expect((await deadLetters.list(lane.name)).every(({ replayedAt }) => replayedAt)).toBe(
            true,
          );
          expect((await deadLetters.replay(ids))[0]?.error).toBe('it was replayed before');
        });
        expect(await lane.read(ROWS)).toEqual([
          ['1', 'bad one'],
          ['2', 'bad two'],
          ['3', 'bad three'],
          ['4', 'four'],
        ]);
      });

      test('a letter is outdated by a later change of its row', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'bad one'), (2, 'bad two')`);
        await lane.caughtUp({ settings: failing });
        await lane.sql(`update names set name = 'uno' where id = 1`);
        await lane.sql(`delete from names where id = 2`);
        await lane.caughtUp({ settings: failing });
        await lane.withDestination({ transform: 'identity' }, async ({ deadLetters }) => {
          const ids = (await deadLetters.list(lane.name)).map(({ id }) => id);
          const errors = (await deadLetters.replay(ids)).map(({ error }) => error);
          expect(errors.map((error) => error?.includes('a later change'))).toEqual([true, true]);
        });
        expect(await lane.read(ROWS)).toEqual([['1', 'uno']]);
      });

      test('a letter that is filtered now takes its row away', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings: failing });
        await lane.sql(`update names set name = 'bad one' where id = 1`);
        await lane.caughtUp({ settings: failing });
        await lane.withDestination({ transform: 'nothing' }, async ({ deadLetters }) => {
          const ids = (await deadLetters.list(lane.name)).map(({ id }) => id);
          expect((await deadLetters.replay(ids))[0]?.error).toBeNull();
        });
        expect(await lane.read(ROWS)).toEqual([]);
      });

      test('are counted as filtered where they are skipped, and the row stays as it was', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one'), (2, 'bad two')`);
        const settings: LaneSettings = { ...failing, onError: { lastResort: 'skip' } };
        await lane.caughtUp({ settings });
        await lane.sql(`update names set name = 'bad one' where id = 1`);
        const { result } = await lane.caughtUp({ settings });
        expect(result.streams).toMatchObject([{ read: 1, filtered: 1, deadLettered: 0 }]);
        expect(await lane.read(ROWS)).toEqual([['1', 'one']]);
      });

      test('stop their stream only, where they are to', async () => {
        await using lane = await createLane(
          server,
          kind,
          `${NAMES}; create table others (id int primary key)`,
        );
        const settings: LaneSettings = { ...failing, onError: { lastResort: 'fail_stream' } };
        await lane.sql(`insert into names values (1, 'one'); insert into others values (1)`);
        await lane.caughtUp({ settings });
        await lane.sql(`insert into names values (2, 'bad two'); insert into others values (2)`);
        const { result } = await lane.run({ settings });
        expect(result.streams.map(({ stream, paused }) => [stream, paused?.code ?? null])).toEqual([
          ['public.names', 'transform_failed'],
          ['public.others', null],
        ]);
        expect(await lane.read('select cast(id as varchar) from public.others order by 1')).toEqual(
          [['1'], ['2']],
        );
        expect(await lane.read(ROWS)).toEqual([['1', 'one']]);
      });

      test('are all of a chunk', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names select n, 'bad ' || n from generate_series(1, 3000) n`);
        const { result } = await lane.caughtUp({ settings: failing });
        expect(result.streams).toMatchObject([{ read: 3000, applied: 0, deadLettered: 3000 }]);
        expect(
          await lane.read('select cast(count(*) as varchar) from _forebay.dead_letters'),
        ).toEqual([['3000']]);
      });
    });
  }

  test('are tried again, with a pause, before they are rejected', async () => {
    await using lane = await createLane(server, 'postgres', NAMES);
    await lane.sql(`insert into names values (1, 'bad one'), (2, 'two')`);
    const settings: LaneSettings = { ...failing, onError: { maxRetries: 2 } };
    const runs: number[] = [];
    const { runner } = laneOptions(settings, (documents) => runs.push(documents.length));
    await lane.caughtUp({ settings, extras: { runner } });
    // The probes of the plan and the run come first.
    expect(runs.slice(-3)).toEqual([2, 1, 1]);
    await lane.withDestination(settings, async ({ deadLetters }) => {
      expect(await deadLetters.list(lane.name)).toMatchObject([
        { transformation: { attempts: 3 } },
      ]);
    });
  });

  test('go where they are diverted to', async () => {
    await using lane = await createLane(server, 'postgres', NAMES);
    const diverted: RejectedRow[] = [];
    const divert = (_: unknown, rows: readonly RejectedRow[]): Promise<void> => {
      diverted.push(...rows);
      return Promise.resolve();
    };
    await lane.sql(`insert into names values (1, 'bad one')`);
    await lane.caughtUp({ settings: failing, extras: { divert } });
    await lane.sql(`insert into names values (2, 'bad two')`);
    await lane.caughtUp({ settings: failing, extras: { divert } });
    expect(diverted).toMatchObject([
      { op: 'r', payload: { name: 'bad one' }, key: { id: '1' } },
      { op: 'i', payload: { name: 'bad two' }, key: { id: '2' } },
    ]);
    expect(await lane.read('select 1 from _forebay.dead_letters')).toEqual([]);
  });

  test('a key that a row does not keep is a failure of that row', async () => {
    await using lane = await createLane(server, 'postgres', NAMES);
    const settings: LaneSettings = { transform: 'moving' };
    await lane.sql(`insert into names values (1, 'one'), (2, 'move')`);
    const { result } = await lane.caughtUp({ settings });
    expect(result.streams).toMatchObject([{ applied: 1, deadLettered: 1 }]);
    expect(await lane.read('select code from _forebay.dead_letters')).toEqual([['transform_key']]);
  });
});

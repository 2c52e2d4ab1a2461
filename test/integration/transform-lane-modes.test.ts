// Transformed rows under every load method, and beside what else a pipeline does.
import { describe, expect, test } from 'vitest';

import type { PipelinePlan } from '../../src/engine/pipeline.ts';
import { planPipeline } from '../../src/engine/plan.ts';
import { createLane } from '../support/lane-pipeline.ts';
import { LANE_SPEC, laneSystems } from '../support/lane-systems.ts';
import type { LaneSettings } from '../support/lane-transforms.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

const NAMES = `create table names (id int primary key, name text, active boolean)`;
const settings: LaneSettings = { transform: 'activeTitle' };
const select = (...columns: readonly string[]): string =>
  `select ${columns.map((column) => `cast(${column} as varchar)`).join(', ')} from public.names`;

describe.skipIf(server === null)('transformed rows', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    describe(kind, () => {
      test('append: every event that is let through, with its operation', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const spec = { load: 'append' } as const;
        await lane.sql(`insert into names values (1, 'one', true), (2, 'two', false)`);
        await lane.caughtUp({ settings, spec });
        await lane.sql(`insert into names values (3, 'three', true)`);
        await lane.sql(`update names set name = 'uno' where id = 1`);
        await lane.sql(`update names set active = false where id = 3`);
        await lane.sql('delete from names where id = 1');
        await lane.sql('truncate names');
        const { result } = await lane.caughtUp({ settings, spec });
        expect(result.streams).toMatchObject([{ read: 5, applied: 4, filtered: 1 }]);
        expect(
          await lane.read(`${select('id', 'title', '_forebay_op')} order by _forebay_position`),
        ).toEqual([
          ['1', 'one', 'r'],
          ['3', 'three', 'i'],
          ['1', 'uno', 'u'],
          ['1', null, 'd'],
          [null, null, 't'],
        ]);
      });

      test('append: a large value that was left unsent is named as unchanged', async () => {
        await using lane = await createLane(
          server,
          kind,
          `${NAMES}; alter table names alter name set storage external`,
        );
        const spec = { load: 'append' } as const;
        const same: LaneSettings = { transform: 'identity' };
        await lane.sql(`insert into names values (1, repeat('x', 10000), true)`);
        await lane.caughtUp({ settings: same, spec });
        await lane.sql('update names set active = false');
        await lane.caughtUp({ settings: same, spec });
        expect(
          await lane.read(
            `${select('_forebay_op', 'active', 'length(name)', '_forebay_unchanged')} order by _forebay_position`,
          ),
        ).toEqual([
          ['r', 'true', '10000', null],
          ['u', 'false', null, 'name'],
        ]);
      });

      test('append: rejected events are written where they stood when they are replayed', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const spec = { load: 'append' } as const;
        const failing: LaneSettings = { transform: 'failing' };
        await lane.caughtUp({ settings: failing, spec });
        await lane.sql(`insert into names values (1, 'bad one', true)`);
        await lane.sql(`insert into names values (2, 'two', true)`);
        await lane.caughtUp({ settings: failing, spec });
        await lane.withDestination({ transform: 'identity' }, async ({ deadLetters }) => {
          const ids = (await deadLetters.list(lane.name)).map(({ id }) => id);
          expect((await deadLetters.replay(ids)).map(({ error }) => error)).toEqual([null]);
        });
        expect(
          await lane.read(`${select('id', 'name', '_forebay_op')} order by _forebay_position`),
        ).toEqual([
          ['1', 'bad one', 'i'],
          ['2', 'two', 'i'],
        ]);
      });

      test('soft deletes: what is filtered or deleted stays, with the time', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const spec = { deletes: 'soft' } as const;
        await lane.sql(
          `insert into names values (1, 'one', true), (2, 'two', true), (3, 'three', true)`,
        );
        await lane.caughtUp({ settings, spec });
        await lane.sql(`update names set active = false where id = 1`);
        await lane.sql('delete from names where id = 2');
        await lane.caughtUp({ settings, spec });
        expect(
          await lane.read(`${select('id', '_forebay_deleted_at is null')} order by 1`),
        ).toEqual([
          ['1', 'false'],
          ['2', 'false'],
          ['3', 'true'],
        ]);
      });

      test('deletes that are ignored: what is filtered stays too', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const spec = { deletes: 'ignore' } as const;
        await lane.sql(`insert into names values (1, 'one', true), (2, 'two', true)`);
        await lane.caughtUp({ settings, spec });
        await lane.sql(`update names set active = false where id = 1`);
        await lane.sql('delete from names where id = 2');
        await lane.caughtUp({ settings, spec });
        expect(await lane.read(`${select('id')} order by 1`)).toEqual([['1'], ['2']]);
      });

      test('truncate empties the table', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one', true)`);
        await lane.caughtUp({ settings });
        await lane.sql(`truncate names; insert into names values (2, 'two', true)`);
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id'))).toEqual([['2']]);
      });

      test('replace: the table is built beside with the fields of its rows, and followed', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const spec = { load: 'replace' } as const;
        const growing: LaneSettings = { transform: 'growing' };
        await lane.sql(`insert into names values (1, 'one', true), (2, 'new extra=1', true)`);
        await lane.caughtUp({ settings: growing, spec });
        await lane.sql(
          `insert into names values (3, 'new more="x"', true); delete from names where id = 1`,
        );
        await lane.caughtUp({ settings: growing, spec });
        expect(await lane.read(`${select('id', 'extra', 'more')} order by 1`)).toEqual([
          ['2', '1', null],
          ['3', null, 'x'],
        ]);
      });

      test('rows without a key are counted, and found by what they were transformed to', async () => {
        await using lane = await createLane(
          server,
          kind,
          `create table names (id int, name text, active boolean); alter table names replica identity full`,
        );
        await lane.sql(
          `insert into names values (1, 'one', true), (1, 'one', true), (2, 'two', false)`,
        );
        const first = await lane.caughtUp({ settings });
        expect(first.result.streams).toMatchObject([{ read: 3, applied: 2, filtered: 1 }]);
        await lane.sql(
          `delete from names where ctid in (select min(ctid) from names where id = 1)`,
        );
        await lane.sql(`update names set active = true where id = 2`);
        await lane.sql(`insert into names values (3, 'three', true)`);
        await lane.sql(`update names set active = false where id = 3`);
        const second = await lane.caughtUp({ settings });
        expect(second.result.streams).toMatchObject([{ read: 4, filtered: 1 }]);
        expect(await lane.read(`${select('id', 'title')} order by 1, 2`)).toEqual([
          ['1', 'one'],
          ['2', 'two'],
        ]);
      });

      test('a pipeline that was begun without a transformation gets one', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one', true), (2, 'two', true)`);
        await lane.caughtUp({ settings: null });
        await lane.sql(`update names set name = 'uno' where id = 1`);
        await lane.sql(`update names set active = false where id = 2`);
        await lane.caughtUp({ settings });
        expect(await lane.read(`${select('id', 'name', 'title', 'active')} order by 1`)).toEqual([
          ['1', null, 'uno', 'true'],
        ]);
      });

      test('the plan tells that rows come as text, where they land, and what columns come', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const { urls, name } = lane;
        const look = async (): Promise<PipelinePlan> =>
          planPipeline(
            { kind: 'replicate', untilCaughtUp: true },
            { ...LANE_SPEC, name },
            laneSystems(urls, settings),
            new AbortController().signal,
          );
        const before = await look();
        expect(before.streams).toMatchObject([
          { lane: 'objects', changeEncoding: 'text', exists: false, key: ['id'] },
        ]);
        expect(before.streams[0]?.columns.map(({ target }) => target.encoding)).toEqual([
          'text',
          'text',
          'text',
        ]);
        expect(before.findings.find(({ step }) => step === 'transformation')).toMatchObject({
          severity: 'info',
          message: expect.stringContaining('id, title, active') as unknown,
        });
        await lane.caughtUp({ settings });
        const after = await look();
        expect(after.streams).toMatchObject([{ exists: true, state: 'streaming' }]);
        expect(after.findings.filter(({ severity }) => severity === 'error')).toEqual([]);
        expect(after.changes).toEqual([]);
      });

      test('a copy, twice', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one', true), (2, 'two', false)`);
        await lane.caughtUp({ settings, mode: { kind: 'copy' } });
        await lane.sql(`update names set active = not active`);
        await lane.caughtUp({ settings, mode: { kind: 'copy' } });
        expect(await lane.read(select('id', 'title'))).toEqual([['2', 'two']]);
      });

      test('a table that joins a running pipeline, while its rows change', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.caughtUp({ settings });
        await lane.sql(`create table later (id int primary key, name text, active boolean);
          insert into later select n, 'name ' || n, n % 2 = 0 from generate_series(1, 1000) n`);
        await lane.sql(`update later set active = not active where id <= 10`);
        await lane.caughtUp({ settings });
        await lane.sql(`update later set active = not active where id <= 10`);
        await lane.caughtUp({ settings });
        expect(
          await lane.read(
            `select cast(count(*) as varchar), cast(count(*) filter (where id % 2 = 0) as varchar), max(title) from public.later`,
          ),
        ).toEqual([['500', '500', 'name 998']]);
      });

      test('after a lost position the table is loaded again, through the transformation', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(
          `insert into names values (1, 'one', true), (2, 'two', true), (3, 'three', true)`,
        );
        await lane.caughtUp({ settings });
        await lane.loseSlot();
        await lane.sql(
          `delete from names where id = 1; update names set active = false where id = 2; insert into names values (4, 'four', true)`,
        );
        expect((await lane.run({ settings })).result.error?.code).toBe('position_lost');
        const { result } = await lane.caughtUp({ settings, mode: { kind: 'recover' } });
        expect(result.repaired).toMatchObject([{ stream: 'public.names', inserted: 2 }]);
        await lane.sql(`insert into names values (5, 'five', true)`);
        await lane.caughtUp({ settings });
        expect(await lane.read(`${select('id', 'title')} order by 1`)).toEqual([
          ['3', 'three'],
          ['4', 'four'],
          ['5', 'five'],
        ]);
      });

      test('a table that is read again loses the rows that are filtered by now', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one', true), (2, 'two', true)`);
        const shown: LaneSettings = { transform: 'shown' };
        await lane.caughtUp({ settings: shown });
        // What the new column holds in rows that were there is in no change.
        await lane.sql(`create sequence hides; alter table names add hidden int default nextval('hides');
          insert into names values (3, 'three', true, 7)`);
        await lane.caughtUp({ settings: shown });
        expect(await lane.read(`${select('id', 'hidden')} order by 1`)).toEqual([
          ['2', '2'],
          ['3', '7'],
        ]);
      });
    });
  }
});

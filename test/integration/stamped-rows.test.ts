// Rows that are appended tell which execution brought them, and when; a killed run's rows are those of the run that ends it.
import { describe, expect, test } from 'vitest';

import { createLane } from '../support/lane-pipeline.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

describe.skipIf(server === null)('stamped rows', () => {
  if (server === null) return;
  test('a copy reads only the range of a column that it is given, again and again', async () => {
    await using lane = await createLane(
      server,
      'duckdb',
      `create table items (id int primary key, seen timestamptz, n numeric);
       insert into items select i, timestamptz '2024-01-01 00:00:00.5+00' + i * interval '1 hour', i / 2.0
       from generate_series(1, 10) i; insert into items values (11, null, 'NaN')`,
    );
    const copy = (stamp: string, column: string, from: string | null, to: string | null) =>
      lane.caughtUp({
        settings: null,
        mode: { kind: 'copy' },
        spec: {
          load: 'append',
          targetNamespace: 'bronze',
          stamp,
          ranges: new Map([['public.items', { column, from, to }]]),
        },
      });
    await copy('all', 'id', null, null);
    await copy('times', 'seen', '2024-01-01 08:00:00.5+00', null);
    await copy('numbers', 'n', '1.50', '2.5');
    const rows = await lane.read(
      `select _forebay_execution_id, string_agg(cast(id as varchar), ' ' order by id) from bronze.items group by 1 order by 1`,
    );
    expect(rows).toEqual([
      ['all', '1 2 3 4 5 6 7 8 9 10 11'],
      ['numbers', '3 4'],
      ['times', '8 9 10'],
    ]);
  });

  for (const kind of ['postgres', 'duckdb'] as const) {
    test(`of each execution, in snapshot and changes (${kind})`, async () => {
      await using lane = await createLane(
        server,
        kind,
        "create table items (id int primary key, name text); insert into items values (1, 'a'), (2, 'b')",
      );
      const spec = (stamp: string) =>
        ({ load: 'append', targetNamespace: 'bronze', stamp }) as const;
      const before = new Date();
      await lane.caughtUp({ settings: null, spec: spec('first') });
      await lane.sql("update items set name = 'c' where id = 1; delete from items where id = 2");
      await lane.sql('update items set id = 9 where id = 1');
      await lane.sql('create table later (id int primary key); insert into later values (7)');
      await lane.caughtUp({ settings: null, spec: spec('second') });
      const rows = await lane.read(
        `select cast(id as varchar), _forebay_op, _forebay_execution_id from bronze.items order by _forebay_position, id`,
      );
      expect(rows).toEqual([
        ['1', 'r', 'first'],
        ['2', 'r', 'first'],
        ['1', 'u', 'second'],
        ['2', 'd', 'second'],
        // Nobody would know otherwise that there is no row 1 any more.
        ['1', 'b', 'second'],
        ['9', 'u', 'second'],
      ]);
      const later = await lane.read('select _forebay_op, _forebay_execution_id from bronze.later');
      expect(later).toEqual([['r', 'second']]);
      const [[oldest = null, latest = null] = []] = await lane.read(
        `select cast(min(epoch) as varchar), cast(max(epoch) as varchar) from (
          select extract(epoch from _forebay_loaded_at) as epoch from bronze.items) t`,
      );
      const seconds = [oldest, latest].map(Number);
      for (const second of seconds) {
        expect(second).toBeGreaterThanOrEqual(Math.floor(before.getTime() / 1000));
        expect(second).toBeLessThanOrEqual(Date.now() / 1000);
      }
    });
  }
});

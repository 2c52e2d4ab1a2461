// Columns of transformed rows: fields that come later, values that do not fit, changes at the source, another
// transformation.
import { describe, expect, test } from 'vitest';

import { createLane, type LanePipeline } from '../support/lane-pipeline.ts';
import type { LaneSettings } from '../support/lane-transforms.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

const NAMES = `create table names (id int primary key, name text)`;
const growing: LaneSettings = { transform: 'growing' };
const select = (...columns: readonly string[]): string =>
  `select ${columns.map((column) => `cast(${column} as varchar)`).join(', ')} from public.names order by 1`;

async function columns(lane: LanePipeline): Promise<string[]> {
  const rows = await lane.read(
    `select column_name, data_type from information_schema.columns where table_schema = 'public' and table_name = 'names' order by ordinal_position`,
  );
  return rows.map((row) => row.join(' ').toLowerCase());
}

describe.skipIf(server === null)('columns of transformed rows', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    describe(kind, () => {
      test('a field of a later change is added before its row', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings: growing });
        await lane.sql(`begin; update names set name = 'uno' where id = 1;
          insert into names values (2, 'new extra=1.5'), (3, 'new flag=true'), (4, 'new deep={"a": 1}'); commit`);
        const { result, events } = await lane.caughtUp({ settings: growing });
        expect(result.streams).toMatchObject([{ read: 4, applied: 4 }]);
        expect(await lane.read(select('id', 'name', 'extra', 'flag', 'deep'))).toEqual([
          ['1', 'uno', null, null, null],
          ['2', 'new extra=1.5', '1.5', null, null],
          ['3', 'new flag=true', null, 'true', null],
          ['4', 'new deep={"a": 1}', null, null, '{"a":1}'],
        ]);
        const told = events.flatMap((event) => (event.event === 'notice' ? event.message : []));
        expect(told.join('\n')).toContain('column extra (decimal) added by the transformation');
        await lane.sql(
          `insert into names values (5, 'new extra=2'), (6, 'new extra="two"'), (7, 'new flag=3')`,
        );
        await lane.caughtUp({ settings: growing });
        const later = await lane.read(select('id', 'extra', 'flag'));
        expect(later.slice(4)).toEqual([
          ['5', '2', null],
          ['6', 'two', null],
          ['7', null, '3'],
        ]);
      });

      test('fields inside a chunk are all found, and the chunk is read again', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names select n, case n when 4000 then 'new extra=1' when 9999 then 'new extra="x"'
          when 9998 then 'new other=true' else 'name ' || n end from generate_series(1, 10000) n`);
        const { result } = await lane.caughtUp({ settings: growing });
        expect(result.streams).toMatchObject([{ read: 10_000, applied: 10_000 }]);
        expect(
          await lane.read(`select cast(id as varchar), extra, cast(other as varchar) from public.names
            where extra is not null or other is not null order by 1`),
        ).toEqual([
          ['4000', '1', null],
          ['9998', null, 'true'],
          ['9999', 'x', null],
        ]);
        expect(await lane.read('select cast(count(*) as varchar) from public.names')).toEqual([
          ['10000'],
        ]);
      });

      test('a value that its column cannot hold makes the column wider', async () => {
        await using lane = await createLane(
          server,
          kind,
          `create table names (id int primary key, name text, num smallint, price numeric(5,2))`,
        );
        const settings: LaneSettings = { transform: 'spoiling' };
        await lane.sql(`insert into names values (1, 'one', 1, 1.25)`);
        await lane.caughtUp({ settings });
        await lane.sql(`insert into names values (2, 'spoil', 2, 2.25)`);
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'num', 'price'))).toEqual([
          ['1', '1', '1.25'],
          ['2', '70000', 'cheap'],
        ]);
      });

      test.for([
        { policy: 'pause', paused: 'schema_change', rows: [['1', 'one']] },
        {
          policy: 'ignore',
          paused: null,
          rows: [
            ['1', 'one'],
            ['2', 'new extra=1'],
            ['3', 'new extra=2'],
          ],
        },
      ] as const)(
        'new fields are followed as is asked: $policy',
        async ({ policy, paused, rows }) => {
          await using lane = await createLane(server, kind, NAMES);
          const settings: LaneSettings = { ...growing, schemaChanges: policy };
          await lane.sql(`insert into names values (1, 'one')`);
          await lane.caughtUp({ settings });
          await lane.sql(`insert into names values (2, 'new extra=1'), (3, 'new extra=2')`);
          const { result, events } = await lane.run({ settings });
          expect(result.streams[0]?.paused?.code ?? null).toBe(paused);
          expect(await lane.read(select('id', 'name'))).toEqual(rows);
          const told = events.filter(
            (event) => event.event === 'notice' && event.message.startsWith('field left out'),
          );
          expect(told).toHaveLength(policy === 'ignore' ? 1 : 0);
        },
      );

      test('new fields that paused a stream are agreed to by recovering it', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const settings: LaneSettings = { ...growing, schemaChanges: 'pause' };
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings });
        await lane.sql(`insert into names values (2, 'new extra=1')`);
        const { result } = await lane.run({ settings });
        expect(result.streams[0]?.paused?.code).toBe('schema_change');
        await lane.caughtUp({ settings, mode: { kind: 'recover' } });
        await lane.sql(`insert into names values (3, 'new extra=2')`);
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'extra'))).toEqual([
          ['1', null],
          ['2', '1'],
          ['3', '2'],
        ]);
      });

      test('columns that the source adds, renames and widens are followed through the transformation', async () => {
        await using lane = await createLane(
          server,
          kind,
          `${NAMES}; alter table names add num int`,
        );
        const settings: LaneSettings = { transform: 'identity' };
        await lane.sql(`insert into names values (1, 'one', 1)`);
        await lane.caughtUp({ settings });
        await lane.sql(
          `alter table names add vat numeric(4,2) default 0.20; insert into names values (2, 'two', 2, 0.10)`,
        );
        await lane.caughtUp({ settings });
        await lane.sql(
          `alter table names rename name to title; insert into names values (3, 'three', 3)`,
        );
        await lane.caughtUp({ settings });
        await lane.sql(
          `alter table names alter num type bigint; insert into names values (4, 'four', 5000000000)`,
        );
        await lane.caughtUp({ settings });
        await lane.sql(`alter table names drop vat; insert into names values (5, 'five', 5)`);
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'title', 'num', 'vat'))).toEqual([
          ['1', 'one', '1', '0.20'],
          ['2', 'two', '2', '0.10'],
          ['3', 'three', '3', '0.20'],
          ['4', 'four', '5000000000', '0.20'],
          ['5', 'five', '5', null],
        ]);
        expect((await columns(lane)).map((column) => column.split(' ')[0])).toEqual([
          'id',
          'title',
          'num',
          'vat',
        ]);
      });

      test('another transformation brings its fields, and earlier rows keep what they have', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings: { transform: 'identity' } });
        await lane.sql(`insert into names values (2, 'two')`);
        await lane.caughtUp({ settings: { transform: 'titled' } });
        await lane.sql(`insert into names values (3, 'three')`);
        await lane.caughtUp({ settings: { transform: 'identity' } });
        expect(await lane.read(select('id', 'name', 'title'))).toEqual([
          ['1', 'one', null],
          ['2', null, 'two'],
          ['3', 'three', null],
        ]);
      });

      test('a transformation that no longer leaves the key pauses the stream', async () => {
        await using lane = await createLane(server, kind, NAMES);
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings: { transform: 'identity' } });
        await lane.sql(`insert into names values (2, 'two')`);
        const { result } = await lane.run({ settings: { transform: 'maskedKey' } });
        expect(result.streams[0]?.paused).toMatchObject({ code: 'schema_change' });
        expect(await lane.read(select('id'))).toEqual([['1']]);
      });

      test('names that no two columns can have are told apart, and no name is ours', async () => {
        await using lane = await createLane(server, kind, NAMES);
        const settings: LaneSettings = { transform: 'oddNames', flatten: '_' };
        await lane.sql(`insert into names values (1, 'one')`);
        await lane.caughtUp({ settings });
        expect((await columns(lane)).map((column) => column.split(' ')[0])).toEqual([
          'id',
          'a_b',
          'a_b_2',
          'name',
          'name_2',
          'field',
          'field_forebay_op',
          'x'.repeat(63),
          `${'x'.repeat(61)}_2`,
        ]);
        expect(await lane.read('select "NAME" || name_2 from public.names')).toEqual([['3one']]);
      });
    });
  }
});

// Rows that pass through a transformation on their way, from PostgreSQL into PostgreSQL and DuckDB.
import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { createLane } from '../support/lane-pipeline.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

const ITEMS = `create table items (id int primary key, name text, qty int, price numeric(8,2), active boolean,
  at timestamptz, tags text[], data jsonb)`;
const insert = (id: number, name: string, active = true): string =>
  `insert into items values (${id}, '${name}', ${id * 10}, ${id}.50, ${active}, '2024-05-06 07:08:09+00', '{a,"b c"}', '{"n": 1.10}')`;
const select = (...columns: readonly string[]): string =>
  `select ${columns.map((column) => `cast(${column} as varchar)`).join(', ')} from public.items order by 1`;

describe.skipIf(server === null)('transformed rows', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    describe(kind, () => {
      test('the same document gives the same rows, of the same types', async () => {
        await using lane = await createLane(server, kind, ITEMS);
        await lane.sql(insert(1, 'one'));
        await lane.sql('insert into items (id) values (2)');
        const settings = { transform: 'identity' } as const;
        const { result } = await lane.caughtUp({ settings });
        expect(result.streams).toMatchObject([{ read: 2, applied: 2, filtered: 0 }]);
        await lane.sql(insert(3, 'three'));
        await lane.sql('update items set qty = 11 where id = 1');
        await lane.sql('delete from items where id = 2');
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'name', 'qty', 'price', 'active', 'data'))).toEqual([
          ['1', 'one', '11', '1.50', 'true', '{"n": 1.10}'],
          ['3', 'three', '30', '3.50', 'true', '{"n": 1.10}'],
        ]);
        const types = `select column_name, data_type from information_schema.columns
          where table_name = 'items' order by ordinal_position`;
        expect(await lane.read(types)).toMatchSnapshot();
      });

      test('fields are renamed, nested and added; rows are found by their key', async () => {
        await using lane = await createLane(server, kind, ITEMS);
        await lane.sql(insert(1, 'one'));
        const settings = { transform: 'rename' } as const;
        await lane.caughtUp({ settings });
        await lane.sql(insert(2, 'two'));
        await lane.sql(`update items set name = 'uno' where id = 1`);
        await lane.sql('delete from items where id = 2');
        await lane.sql(insert(3, 'three'));
        await lane.caughtUp({ settings });
        await lane.sql('update items set id = 4 where id = 3');
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'title', 'stock', 'origin', 'price'))).toEqual([
          ['1', 'uno', '{"qty":10,"unit":"piece"}', 'test', '1.50'],
          ['4', 'three', '{"qty":30,"unit":"piece"}', 'test', '3.50'],
        ]);
      });

      test('nested fields are columns where they are flattened, a JSON column stays one', async () => {
        await using lane = await createLane(server, kind, ITEMS);
        await lane.sql(insert(1, 'one'));
        const settings = { transform: 'rename', flatten: '__' } as const;
        await lane.caughtUp({ settings });
        await lane.sql(insert(2, 'two'));
        await lane.caughtUp({ settings });
        const rows = await lane.read(select('id', 'stock__qty', 'stock__unit', 'data'));
        expect(rows.map((row) => row.map((text) => text?.replace(' ', '')))).toEqual([
          ['1', '10', 'piece', '{"n":1.1}'],
          ['2', '20', 'piece', '{"n":1.1}'],
        ]);
      });

      test('a row that is filtered does not come, and leaves when it was there', async () => {
        await using lane = await createLane(server, kind, ITEMS);
        await lane.sql(insert(1, 'one'));
        await lane.sql(insert(2, 'two', false));
        const settings = { transform: 'active' } as const;
        const first = await lane.caughtUp({ settings });
        expect(first.result.streams).toMatchObject([{ read: 2, applied: 1, filtered: 1 }]);
        await lane.sql('update items set active = true where id = 2');
        await lane.sql('update items set active = false where id = 1');
        await lane.sql(insert(3, 'three', false));
        const second = await lane.caughtUp({ settings });
        expect(second.result.streams).toMatchObject([{ read: 3, applied: 1, filtered: 2 }]);
        expect(await lane.read(select('id'))).toEqual([['2']]);
      });

      test.for(['noKey', 'maskedKey'] as const)(
        'a key that does not come through (%s) is a hash',
        async (transform) => {
          await using lane = await createLane(server, kind, ITEMS);
          await lane.sql(insert(1, 'one'));
          await lane.sql(insert(2, 'two'));
          await lane.caughtUp({ settings: { transform } });
          await lane.sql(`update items set name = 'uno' where id = 1`);
          await lane.sql('delete from items where id = 2');
          await lane.sql(insert(3, 'three'));
          await lane.sql('update items set id = 4 where id = 3');
          await lane.caughtUp({ settings: { transform } });
          const hash = (id: number): string =>
            createHash('sha256')
              .update(JSON.stringify([String(id)]))
              .digest('hex');
          expect(await lane.read(select('name', '_forebay_key'))).toEqual([
            ['three', hash(4)],
            ['uno', hash(1)],
          ]);
        },
      );

      test('a transformation that the probe does not get through begins with the key alone', async () => {
        await using lane = await createLane(server, kind, ITEMS);
        const settings = { transform: 'onlyKnown' } as const;
        await lane.sql(insert(1, 'one'));
        await lane.caughtUp({ settings });
        await lane.sql(insert(2, 'two'));
        await lane.sql('update items set qty = 12 where id = 1');
        await lane.caughtUp({ settings });
        expect(await lane.read(select('id', 'name', 'qty', 'price'))).toEqual([
          ['1', 'one', '12', '1.5'],
          ['2', 'two', '20', '2.5'],
        ]);
      });

      test('large values that an update left unsent are read from the source', async () => {
        const setup = `${ITEMS}; alter table items alter name set storage external`;
        await using lane = await createLane(server, kind, setup);
        const large = 'x'.repeat(10_000);
        await lane.sql(insert(1, large));
        await lane.sql(insert(2, large));
        const settings = { transform: 'measured' } as const;
        await lane.caughtUp({ settings });
        await lane.sql('update items set qty = 7 where id = 1');
        await lane.sql('update items set id = 5 where id = 2');
        const { result } = await lane.caughtUp({ settings });
        expect(result.streams).toMatchObject([{ read: 2, applied: 2 }]);
        expect(await lane.read(select('id', 'length', 'qty'))).toEqual([
          ['1', '10000', '7'],
          ['5', '10000', '20'],
        ]);
      });
    });
  }
});

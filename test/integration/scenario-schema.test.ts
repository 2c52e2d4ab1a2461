// Tables that change while they are followed. Each test's number is that of the scenario in docs/scoreboard.md.
import { describe, expect, test } from 'vitest';

import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';

const setup = `
  create table orders (id int primary key, a text, b text, n int);
  insert into orders select i, 'a' || i, 'b' || i, i from generate_series(1, 30) i;
  create table other (id int primary key, v text);
  insert into other values (1, 'x')`;

const touch = `insert into other values ((select max(id) + 1 from other), 'touch')`;

async function expectPaused(pipeline: TestPipeline, stream: string, code: string): Promise<string> {
  const exit = await pipeline.catchUp();
  expect(exit.code, exit.stderr).toBe(5);
  const paused = exit.result?.streams.find((one) => one.stream === stream)?.paused;
  expect(paused).toMatchObject({ code });
  return JSON.stringify(paused);
}

describeEachServer(
  'schema',
  (server) => {
    describe.each(['postgres', 'duckdb'] as const)('to %s', (destination) => {
      test('28 added columns, in the middle of a batch: null, default, not null, volatile', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(`update orders set n = n + 1 where id < 5;
          alter table orders add column c text; insert into orders (id, c) values (100, 'c');
          alter table orders add column d int default 7; insert into orders (id) values (101);
          update orders set d = 8 where id = 3; delete from orders where id = 4;
          alter table orders add column e int not null default 9; insert into orders (id, e) values (102, 1);
          update orders set c = 'later' where id = 5;
          alter table orders add column f text default gen_random_uuid()::text; insert into orders (id) values (103)`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('28 append: a table that is read again has each row once with operation r, and keeps its changes', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup,
          load: 'append',
          // Each transaction is applied for itself, so that the table is read again before the last of them.
          args: ['--batch-rows', '1'],
        });
        await pipeline.caughtUp();
        await pipeline.sql(`update orders set n = 100 where id = 1; delete from orders where id = 2;
          alter table orders add column f text default gen_random_uuid()::text; insert into orders (id, a) values (40, 'new')`);
        await pipeline.sql(`update orders set n = 200 where id = 3`);
        await pipeline.sql(`delete from orders where id = 4`);
        await pipeline.caughtUp();
        await pipeline.sql(`update orders set n = 300 where id = 5`);
        await pipeline.caughtUp();
        const read = await pipeline.read(
          `select cast(o.id as varchar), f from public.orders o where _forebay_op = 'r' order by o.id`,
        );
        const source = await pipeline.sql(
          `select id::text, f, n::text from orders order by orders.id`,
        );
        expect(read).toEqual(source.map(({ id, f }) => [id, f]));
        const newest = await pipeline.read(
          `select cast(o.id as varchar), f, cast(n as varchar) from (
             select *, row_number() over (partition by id order by _forebay_position desc) as place from public.orders
           ) o where place = 1 and _forebay_op <> 'd' order by o.id`,
        );
        expect(newest).toEqual(source.map(({ id, f, n }) => [id, f, n]));
        expect(
          await pipeline.read(
            `select _forebay_op, cast(id as varchar), cast(n as varchar) from public.orders where _forebay_op <> 'r' order by _forebay_position`,
          ),
        ).toEqual([
          ['u', '1', '100'],
          ['d', '2', null],
          ['i', '40', null],
          ['u', '3', '200'],
          ['d', '4', null],
          ['u', '5', '300'],
        ]);
      });

      test('28 a column added in the transaction that wrote before and after', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(`begin; update orders set a = 'before' where id < 10; alter table orders add column c int default 3;
          update orders set c = 4 where id < 5; delete from orders where id = 9; insert into orders (id) values (200); commit`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('29 a dropped column is kept at the destination, and empty for new rows', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(
          `alter table orders drop column b; insert into orders (id, a) values (300, 'new'); update orders set a = 'u' where id = 1`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        expect(
          await pipeline.read('select b from public.orders where id in (2, 300) order by id'),
        ).toEqual([['b2'], [null]]);
      });

      test('30 widened types: the destination follows', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `${setup}; create table w (id int primary key, c varchar(5), d numeric(6,2)); insert into w values (1, 'abc', 1.5)`,
        });
        await pipeline.caughtUp();
        await pipeline.sql(`alter table orders alter n type bigint; insert into orders (id, n) values (400, 9007199254740993);
          alter table w alter c type varchar(50), alter d type numeric(20,4); insert into w values (2, 'longer than five', 123456789012.3456);
          alter table w alter id type bigint; insert into w values (3000000000, 'x', 1)`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('31 an incompatible change pauses that table with its reason, the others go on', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(
          `alter table orders alter a type int using length(a); insert into orders (id, a) values (500, 5)`,
        );
        await pipeline.sql(touch);
        expect(await expectPaused(pipeline, 'public.orders', 'schema_change')).toContain('a');
        const { source, destination: copy } = await pipeline.contents('orders');
        expect(copy).toEqual(source);
      });

      test('32 a renamed column, and two that swap their names: never data under the wrong name', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(
          `alter table orders rename a to title; update orders set title = 'renamed' where id = 1`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(`alter table orders rename title to tmp; alter table orders rename b to title; alter table orders rename tmp to b;
          update orders set b = 'was title' where id = 2; insert into orders (id, title, b) values (600, 'was b', 'was title')`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('33 a table renamed, dropped, and made again under the same name', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(`insert into orders (id) values (700); drop table orders`);
        await pipeline.sql(touch);
        await expectPaused(pipeline, 'public.orders', 'table_dropped');
        expect(await pipeline.read('select cast(count(*) as varchar) from public.orders')).toEqual([
          ['31'],
        ]);
        await pipeline.sql(
          `create table orders (id int primary key, a text, b text, n int); insert into orders values (1, 'anew', 'b', 1)`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(`alter table other rename to another`);
        const exit = await pipeline.catchUp();
        expect(exit.code, exit.stderr).toBe(5);
        const { source, destination: copy } = await pipeline.contents();
        expect(copy).toEqual(source);
      });

      test('32 a column added and filled while the position is awaited: its values are there', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await using writer = await server.connect(pipeline.source);
        await writer.query(`begin; insert into other values (900)`);
        await using running = pipeline.start({ args: ['--until-caught-up'] });
        await running.waitForEvent(
          ({ event, message }) => event === 'notice' && String(message).startsWith('waiting for'),
        );
        await pipeline.sql(
          `alter table orders add column late int default 7; update orders set late = id where id < 5`,
        );
        await writer.query('commit');
        const exit = await running.exit;
        expect(exit.code, exit.stderr).toBe(0);
        await pipeline.sql('update orders set n = 1 where id = 10');
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test.each(['upsert', 'replace'] as const)(
        '32 a table rewritten between the position and its chunk: its rows are there (%s)',
        async (load) => {
          await using pipeline = await createPipeline(server, { destination, setup, load });
          await using running = pipeline.start({
            args: ['--until-caught-up'],
            failpoints: 'snapshot.beforeChunk=delay(3000)',
          });
          await running.waitForEvent(
            ({ event, phase }) => event === 'phase' && phase === 'snapshot',
          );
          await pipeline.sql(
            `alter table orders alter n type bigint; update orders set n = 5000000000 where id = 3`,
          );
          // Of this one the stream tells nothing.
          await pipeline.sql(`alter table other add column n bigint not null default 5000000000`);
          await pipeline.sql(`alter table other alter n type numeric using n + id`);
          const exit = await running.exit;
          expect(exit.code, exit.stderr).toBe(0);
          await pipeline.caughtUp();
          await pipeline.expectEqual();
        },
      );

      test.each(['append', 'replace'] as const)(
        '32 a column added and filled before a table is read again: its values are there (%s)',
        async (load) => {
          await using pipeline = await createPipeline(server, { destination, setup, load });
          const killed = await pipeline.catchUp({ failpoints: 'snapshot.beforeChunk=kill' });
          expect(killed.signal).toBe('SIGKILL');
          await pipeline.sql(`insert into orders values (50, 'before', 'the column', 0);
            alter table orders add column late int default 7; alter table other add column late int default 8`);
          await pipeline.sql(
            `update orders set late = id where id < 5; update other set late = 9; insert into orders values (60)`,
          );
          await pipeline.caughtUp();
          if (load === 'replace') await pipeline.expectEqual();
          const late = await pipeline.read(
            'select cast(id as varchar), cast(late as varchar) from public.orders where id in (2, 6) order by id',
          );
          expect(late).toEqual([
            ['2', '2'],
            ['6', '7'],
          ]);
        },
      );

      test('34 partitions attached, detached and filled: rows land in the root once', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `create table m (id int, day int, v text, primary key (id, day)) partition by range (day);
            create table m1 partition of m for values from (0) to (10); create table m2 partition of m for values from (10) to (20);
            insert into m select i, i % 20, 'v' || i from generate_series(1, 60) i`,
        });
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(`create table m3 partition of m for values from (20) to (30); insert into m select 100 + i, 20 + i, 'third' from generate_series(0, 9) i;
          update m set day = 25, v = 'moved' where id = 5; delete from m where id = 7; update m set v = 'x' where day = 12`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(`create table m4 (like m); insert into m4 select 200 + i, 30, 'filled before' from generate_series(0, 9) i;
          alter table m4 add primary key (id, day); alter table m attach partition m4 for values from (30) to (40); insert into m values (300, 31, 'after')`);
        expect((await pipeline.catchUp()).stderr).toContain('a partition was attached');
        await pipeline.expectEqual();
        expect((await pipeline.catchUp()).stderr).not.toContain('a partition was attached');
      });

      // As many as PostgreSQL allows, together with the key.
      const wide = Array.from({ length: 1599 }, (_, i) => `c${i} smallint`).join(', ');

      test('27 sixteen hundred columns', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `create table broad (id int primary key, ${wide}); insert into broad (id, c7) values (1, 7);
            create table heap (id int, ${wide}); alter table heap replica identity full; insert into heap values (1), (1), (2)`,
        });
        await pipeline.caughtUp();
        await pipeline.sql(
          `insert into broad (id, c0, c900) values (2, 1, 2), (3, 1, 3); update broad set c900 = 3 where id < 3;
           update broad set id = 4, c1598 = 4 where id = 1; delete from broad where id = 3;
           update heap set c1598 = 4 where ctid = '(0,1)'; delete from heap where id = 2`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        // A second pipeline merges the same rows into those that are there.
        const again = await pipeline.command(
          'replicate',
          '--name',
          `${pipeline.name}_again`,
          '--streams',
          'public.broad',
          '--until-caught-up',
        );
        expect(again.code, again.stderr).toBe(0);
        await pipeline.expectEqual();
      });

      test('27 sixteen hundred columns and four of our own', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          load: 'append',
          setup: `create table broad (id int primary key, ${wide}); insert into broad (id, c7) values (1, 7)`,
        });
        const exit = await pipeline.catchUp();
        if (destination === 'duckdb') {
          expect(exit.code, exit.stderr).toBe(0);
          return;
        }
        expect(exit.code, exit.stderr).toBe(3);
        expect(exit.result?.error).toMatchObject({
          code: 'destination_incompatible',
          stream: 'public.broad',
        });
        expect(exit.result?.error?.message).toContain('1604 columns');
        expect(exit.result?.error?.['fix']).toContain('--load append');
      });

      test('27 a field of 100 MB', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `create table big (id int primary key, body text);
            insert into big values (1, repeat('0123456789', 10000000))`,
        });
        await pipeline.caughtUp();
        await pipeline.sql(
          `insert into big values (2, repeat('9876543210', 10000000)); update big set id = 3 where id = 1`,
        );
        await pipeline.caughtUp();
        const sums = 'select cast(id as varchar), md5(body) from public.big order by id';
        const there = await pipeline.sql(sums);
        expect(await pipeline.read(sums)).toEqual(there.map(({ id, md5 }) => [id, md5]));
      });
    });
  },
  [17],
);

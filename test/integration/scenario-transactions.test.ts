// Shapes of transactions. Each test's number is that of the scenario in docs/scoreboard.md.
import { describe, expect, test } from 'vitest';

import { findServer, startServer } from '../support/servers.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';

const setup = `
  create table orders (id int primary key, note text);
  insert into orders select i, 'order ' || i from generate_series(1, 50) i;
  create table items (id int primary key, order_id int references orders, qty int);
  insert into items select i, i % 50 + 1, i from generate_series(1, 80) i`;

describeEachServer(
  'transactions',
  (server) => {
    describe.each(['postgres', 'duckdb'] as const)('to %s', (destination) => {
      test('20 a transaction larger than the memory budget: spilled, bounded, one effect', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup,
          args: ['--memory-mib', '32'],
        });
        await pipeline.caughtUp();
        await pipeline.sql(
          `insert into orders select i, repeat('x', 400) from generate_series(1000, 121000) i`,
        );
        const cut = await pipeline.catchUp({
          args: ['--memory-mib', '32'],
          failpoints: 'changes.beforeCommit=kill',
        });
        expect(cut.signal, cut.stderr).toBe('SIGKILL');
        expect(await pipeline.read('select cast(count(*) as varchar) from public.orders')).toEqual([
          ['50'],
        ]);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('21 interleaved long transactions: order of commits, nothing skipped', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await using other = await server.connect(pipeline.source);
        await using third = await server.connect(pipeline.source);
        await pipeline.sql(`begin; update orders set note = 'first' where id <= 10`);
        await other.query(`begin; update orders set note = 'second' where id between 11 and 20`);
        await third.query(`begin; insert into orders values (900, 'third')`);
        await pipeline.sql('insert into items values (900, 5, 1)');
        await other.query(`update orders set note = 'second again' where id = 11; commit`);
        await pipeline.caughtUp();
        await third.query(`update orders set note = 'third again' where id = 900; commit`);
        await pipeline.sql(`update orders set note = 'last' where id = 1; commit`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('22 savepoints rolled back: only what was committed', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          load: 'append',
          setup,
          settings: { logical_decoding_work_mem: '64kB' },
        });
        await pipeline.caughtUp();
        await pipeline.sql(`begin; insert into orders values (100, 'kept'); savepoint a;
        insert into orders select i, repeat('undone', 50) from generate_series(2000, 4000) i;
        savepoint b; insert into orders values (101, 'undone'); rollback to a;
        insert into orders values (102, 'kept'); savepoint c; insert into orders values (103, 'kept'); release c; commit`);
        await pipeline.sql(`begin; insert into orders values (104, 'undone'); rollback`);
        await pipeline.caughtUp();
        expect(
          await pipeline.read(
            `select cast(id as varchar), note from public.orders where _forebay_op = 'i' order by id`,
          ),
        ).toEqual([
          ['100', 'kept'],
          ['102', 'kept'],
          ['103', 'kept'],
        ]);
      });

      test('23 truncate of one table, of several, with cascade and in the middle of a transaction', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql('truncate items');
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(`insert into items values (1, 1, 1); begin; insert into items values (2, 2, 2);
        truncate orders cascade; insert into orders values (7, 'after'); insert into items values (3, 7, 3); commit`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql('truncate orders, items');
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('24 key updates: a shift of all keys, a swap, and back in one transaction', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: setup.replace('references orders', ''),
        });
        await pipeline.caughtUp();
        await pipeline.sql(`update orders set id = id + 1000`);
        await pipeline.sql(`begin; update orders set id = 1 where id = 1001; update orders set id = 1001 where id = 1002;
        update orders set id = 1002 where id = 1; update orders set note = 'x' where id in (1001, 1002); commit`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
        await pipeline.sql(
          `begin; update orders set id = 5 where id = 1005; delete from orders where id = 5; insert into orders values (1005, 'anew'); commit`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('26 unchanged out-of-line values: kept, also in the batch of their insert and with a key change', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `create table docs (id int primary key, n int, body text); alter table docs alter body set storage external;
          insert into docs select i, 0, repeat('body ' || i, 1000) from generate_series(1, 6) i`,
        });
        await pipeline.caughtUp();
        await pipeline.sql(
          `update docs set n = 1 where id = 1; update docs set id = 12 where id = 2; update docs set id = 13, n = 3 where id = 3`,
        );
        await pipeline.sql(`begin; insert into docs values (20, 0, repeat('new', 2000)); update docs set n = 5 where id = 20;
        update docs set id = 21 where id = 20; update docs set n = 6 where id = 21; delete from docs where id = 4; commit`);
        await pipeline.sql(`insert into docs values (30, 0, repeat('z', 5000))`);
        await pipeline.sql(`update docs set n = n + 1`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('25 no key: whole rows are followed, a table without identity is set aside, the others go on', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: `${setup}; create table bare (a int, b text); alter table bare replica identity full; insert into bare values (1, null), (1, null), (2, 'x');
          create table blind (a int); insert into blind values (1)`,
        });
        const exit = await pipeline.catchUp();
        expect(exit.code, exit.stderr).toBe(5);
        expect(
          exit.result?.streams.find(({ stream }) => stream === 'public.blind')?.paused,
        ).toMatchObject({ code: 'no_key' });
        await pipeline.sql(
          `delete from bare where ctid = (select min(ctid) from bare where a = 1); update bare set b = 'y' where a = 2; insert into bare values (2, 'y')`,
        );
        expect((await pipeline.catchUp()).code).toBe(5);
        const { source, destination: copy } = await pipeline.contents('blind');
        expect(copy['bare']).toEqual(source['bare']);
        expect(copy['orders']).toEqual(source['orders']);
      });

      test('25 the key changes while it runs: that table is paused, the others go on', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup: setup.replace('references orders', ''),
        });
        await pipeline.caughtUp();
        await pipeline.sql(`alter table orders drop constraint orders_pkey; alter table orders alter note set not null, add primary key (note);
        insert into orders values (1, 'same id'); insert into items values (500, 1, 1)`);
        const exit = await pipeline.catchUp();
        expect(exit.code, exit.stderr).toBe(5);
        expect(
          exit.result?.streams.find(({ stream }) => stream === 'public.orders')?.paused,
        ).toMatchObject({ code: 'schema_change' });
        const { source, destination: copy } = await pipeline.contents();
        expect(copy['items']).toEqual(source['items']);
      });
    });
  },
  [17],
);

describeEachServer(
  'prepared',
  (shared) => {
    test('22 prepared transactions: come with their commit, never with a rollback', async () => {
      const spec = findServer(shared.major);
      if (spec === null) throw new Error('the server went away');
      await using server = await startServer(spec, {
        settings: { max_prepared_transactions: '5' },
      });
      await using pipeline = await createPipeline(server, { setup, destination: 'postgres' });
      await pipeline.caughtUp();
      await pipeline.sql(
        `begin; insert into orders values (300, 'two phases'); prepare transaction 'a'`,
      );
      await pipeline.sql(
        `begin; insert into orders values (301, 'never'); prepare transaction 'b'`,
      );
      const held = await pipeline.caughtUp();
      expect(held.streams.every(({ read }) => read === 0)).toBe(true);
      await pipeline.sql(`rollback prepared 'b'`);
      await pipeline.sql(`commit prepared 'a'`);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
      expect(await pipeline.read('select note from public.orders where id >= 300')).toEqual([
        ['two phases'],
      ]);
    });
  },
  [15, 18],
);

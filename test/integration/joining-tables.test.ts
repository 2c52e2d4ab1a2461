// Tables that join a pipeline which is under way: renamed ones, ones that must not be taken in, ones without a key.
import { expect, test } from 'vitest';

import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, a text);
  insert into orders select i, 'a' from generate_series(1, 3) i`;

describeEachServer(
  'joining tables',
  (server) => {
    test('a table that was renamed while nobody followed is followed under its new name', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.sql(`insert into orders values (4, 'b')`);
      await pipeline.sql(`alter table orders rename to bestellungen`);
      await pipeline.sql(`insert into bestellungen values (5, 'c')`);
      await using running = pipeline.start();
      const ids = (): Promise<(string | null)[][]> =>
        pipeline.read(`select string_agg(id::text, ' ' order by id) from bestellungen`);
      await eventually(async () => (await ids())[0]?.[0] === '1 2 3 4 5');
      await pipeline.sql(`insert into bestellungen values (6, 'd')`);
      await eventually(async () => (await ids())[0]?.[0] === '1 2 3 4 5 6');
      running.kill('SIGTERM');
      await running.exit;
    });

    test('a table that somebody holds keeps no other waiting', async () => {
      await using pipeline = await createPipeline(server, {
        setup,
        args: ['--streams', 'public.orders'],
      });
      await pipeline.caughtUp();
      await using holder = await server.connect(pipeline.source);
      await holder.query('create table held (id int)');
      await holder.query('begin; lock table held');
      const exit = await pipeline.catchUp({ timeoutMs: 10_000 });
      expect(exit.code, exit.stderr).toBe(0);
      await holder.query('rollback');
    });

    test('a table that comes later and would land in the table of another stream is left out, and told', async () => {
      await using pipeline = await createPipeline(server, { setup, args: ['--schema', 'copies'] });
      await pipeline.caughtUp();
      await pipeline.sql(`create schema second; create table second.orders (id int primary key, a text);
        insert into second.orders values (1, 'of another table')`);
      const exit = await pipeline.catchUp();
      expect(exit.code, exit.stderr).toBe(0);
      expect(exit.stderr).toContain('second.orders would both land in copies.orders');
      expect(await pipeline.read('select id::text, a from copies.orders order by id')).toEqual([
        ['1', 'a'],
        ['2', 'a'],
        ['3', 'a'],
      ]);
    });

    test('what a snapshot shows is asked only until the stream has passed it', async () => {
      await using pipeline = await createPipeline(server, { setup, load: 'append' });
      await pipeline.caughtUp();
      await pipeline.sql(`create table late (id int primary key); insert into late values (1)`);
      await pipeline.caughtUp();
      await pipeline.caughtUp();
      expect(
        await pipeline.read(
          `select detail::jsonb ->> 'visibility' from _forebay.streams where stream = 'public.late'`,
        ),
      ).toEqual([[null]]);
    });

    test('rows without a key that are to be read again are its own, also for the next run', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `create table log (a int); alter table log replica identity full;
          insert into log select i from generate_series(1, 3) i`,
      });
      await pipeline.caughtUp();
      await pipeline.sql(`alter table log add column at text default gen_random_uuid()::text;
        insert into log values (4)`);
      const killed = await pipeline.catchUp({ failpoints: 'changes.afterCommit=kill@1' });
      expect(killed.signal).toBe('SIGKILL');
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });
  },
  [17],
);

// Tables that somebody holds at the source with a lock that lets nobody read: they wait, all others go on.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, a text);
  insert into orders select i, 'a' from generate_series(1, 3) i`;

async function expectFollowed(pipeline: TestPipeline, id: number): Promise<void> {
  await pipeline.sql(`insert into orders values (${id}, 'on')`);
  const there = `select count(*)::text from orders where id = ${id}`;
  await eventually(async () => (await pipeline.read(there))[0]?.[0] === '1');
}

describeEachServer(
  'held tables',
  (server) => {
    test.each([
      ['a new table', 'create table held (id int primary key)', 'held'],
      [
        'a table whose catalog entry needs a look into it',
        `create table held (id int primary key, twice int generated always as (id * 2) stored)`,
        'held',
      ],
      [
        'a part of a new table',
        `create table held (id int primary key) partition by range (id);
         create table held_1 partition of held for values from (0) to (100)`,
        'held_1',
      ],
    ])(
      '%s keeps no other waiting, is told of, and joins when it is free',
      async (_, made, what) => {
        await using pipeline = await createPipeline(server, { setup });
        await using running = pipeline.start();
        await expectFollowed(pipeline, 10);
        await using holder = await server.connect(pipeline.source);
        await pipeline.sql(`${made}; insert into held values (1)`);
        await holder.query(`begin; lock table ${what} in access exclusive mode`);
        await running.waitForEvent(
          ({ event, message }) => event === 'notice' && /holds/.test(String(message)),
          { timeoutMs: 30_000 },
        );
        await expectFollowed(pipeline, 11);
        await holder.query('rollback');
        await eventually(
          async () => (await pipeline.read('select id::text from held'))[0]?.[0] === '1',
          { timeoutMs: 20_000 },
        );
        running.kill('SIGTERM');
        expectExit(await running.exit, 0);
      },
    );

    test('a run that goes on does not wait for a table whose catalog entry needs a look into it', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.sql(
        'create table held (id int primary key, twice int generated always as (id * 2) stored)',
      );
      await using holder = await server.connect(pipeline.source);
      await holder.query('begin; lock table held in access exclusive mode');
      await using running = pipeline.start();
      await expectFollowed(pipeline, 10);
      await holder.query('rollback');
      running.kill('SIGTERM');
      expectExit(await running.exit, 0);
    });

    test('a table that is held while a row of it has to be looked up keeps no other waiting', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `${setup}; create table notes (id int primary key, n int, body text);
          alter table notes alter column body set storage external;
          insert into notes values (1, 1, repeat('x', 5000)), (2, 1, 'short')`,
      });
      await pipeline.caughtUp();
      await pipeline.sql('update notes set n = 2 where id = 1');
      await server.query(pipeline.destination, 'delete from notes where id = 1');
      await using holder = await server.connect(pipeline.source);
      await holder.query('begin; lock table notes in access exclusive mode');
      await using running = pipeline.start();
      await expectFollowed(pipeline, 10);
      await holder.query('rollback');
      await eventually(
        async () => (await pipeline.read('select n::text from notes where id = 1'))[0]?.[0] === '2',
        { timeoutMs: 20_000 },
      );
      running.kill('SIGTERM');
      expectExit(await running.exit, 0);
      await pipeline.expectEqual();
    });

    test('a table that goes before its snapshot is planned stops itself alone', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `${setup}; create table gone (id int primary key); insert into gone values (1)`,
      });
      await using running = pipeline.start({
        failpoints: 'source.afterCreateBeforeRecord=delay(2000)',
        args: ['--until-caught-up'],
      });
      await eventually(async () => (await pipeline.slots())[0]?.['confirmed_flush_lsn'] ?? null);
      await pipeline.sql('drop table gone');
      const exit = await running.exit;
      expectExit(exit, 5);
      expect(exit.result?.streams.find(({ stream }) => stream === 'public.gone')?.paused).not.toBe(
        null,
      );
      expect(await pipeline.read('select count(*)::text from orders')).toEqual([['3']]);
    });
  },
  [17],
);

// The same command goes on; another one under the same name says what differs. What may not be read is told.
import { beforeAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';

const TWO_TABLES = `create table orders (id int primary key); insert into orders values (1), (2);
  create table notes (id int primary key); insert into notes values (1)`;

describeEachServer(
  'a pipeline that goes on',
  (server) => {
    test.each([
      [['--load', 'append'], '--load upsert'],
      [['--deletes', 'soft'], '--deletes hard'],
      [['--schema', 'elsewhere'], '--schema public'],
    ])('%j differs from how it was begun: replicate and plan end with 2', async (other, begun) => {
      await using pipeline = await createPipeline(server, { setup: TWO_TABLES });
      await pipeline.caughtUp();
      for (const exit of [
        await pipeline.command('replicate', '--json', '--until-caught-up', ...other),
        await pipeline.command('plan', ...other),
      ]) {
        expectExit(exit, 2);
        expect(exit.stderr + exit.stdout).toMatch(/pipeline_differs/);
        expect(exit.stderr + exit.stdout).toContain(begun);
      }
      await pipeline.caughtUp();
    });

    test('a stream that --streams leaves out now is still followed, and that is told', async () => {
      await using pipeline = await createPipeline(server, { setup: TWO_TABLES });
      await pipeline.caughtUp();
      const exit = await pipeline.catchUp({ args: ['--streams', 'public.orders'] });
      expectExit(exit, 0);
      expect(exit.events).toContainEqual(
        expect.objectContaining({ event: 'notice', stream: 'public.notes' }),
      );
    });

    test('a table that was named and is gone pauses its stream, the others go on', async () => {
      await using pipeline = await createPipeline(server, {
        setup: TWO_TABLES,
        args: ['--streams', 'public.orders,public.notes'],
      });
      await pipeline.caughtUp();
      await pipeline.sql('drop table notes; insert into orders values (3)');
      const exit = await pipeline.catchUp();
      expectExit(exit, 5);
      const paused = exit.result?.streams.find(({ stream }) => stream === 'public.notes')?.paused;
      expect(paused).toMatchObject({ code: 'table_dropped' });
      expect(await pipeline.read('select count(*) from orders')).toEqual([['3']]);
    });
  },
  [17],
);

describeEachServer(
  'a user who may not read everything',
  (server) => {
    let source: string;
    let url: string;

    beforeAll(async () => {
      source = await server.createDatabase();
      const role = `reader_${source}`;
      await server.query(source, `${TWO_TABLES}; create role ${role} login password 'pw'`);
      url = server.url(source).replace(`postgres:${server.password}`, `${role}:pw`);
    });

    test('nothing may be read: 4, and the tables are named', async () => {
      const exit = await runForebay(['copy', url, 'duckdb::memory:', '--json']);
      expectExit(exit, 4);
      expect(exit.result?.error).toMatchObject({
        code: 'privilege_missing',
        message: 'public.notes, public.orders may not be read',
      });
    });

    test('some may be read: those are copied, the others are told', async () => {
      await server.query(source, `grant select on orders to reader_${source}`);
      const exit = await runForebay(['copy', url, 'duckdb::memory:', '--json']);
      expectExit(exit, 0);
      expect(exit.result?.streams.map(({ stream }) => stream)).toEqual(['public.orders']);
      expect(exit.events).toContainEqual(
        expect.objectContaining({ event: 'notice', stream: 'public.notes' }),
      );
      await server.query(source, `drop owned by reader_${source}; drop role reader_${source}`);
    });
  },
  [17],
);

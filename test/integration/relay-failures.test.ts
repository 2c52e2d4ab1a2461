// A relayed chunk that ends inside one of its frames: the destination must not wait for the rest of it.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

/** Rows larger than what a socket gives at once, so that pieces end inside frames. */
const WIDE_ROWS = `create table wide (id int primary key, body text);
  alter table wide alter body set storage external;
  insert into wide select i, repeat(md5(i::text), 20000) from generate_series(1, 60) i`;

describeEachServer(
  'a relay that is broken off',
  (server) => {
    test('a row refused early in a chunk of wide rows goes to the dead letters, the others land', async () => {
      await using pipeline = await createPipeline(server, { setup: WIDE_ROWS });
      await server.query(
        pipeline.destination,
        'create table wide (id int primary key, body text, check (id <> 2))',
      );
      const exit = await pipeline.catchUp({ timeoutMs: 60_000 });
      expectExit(exit, 5);
      expect(exit.result?.streams).toMatchObject([{ read: 60, applied: 59, deadLettered: 1 }]);
    });

    test('a source that goes away inside a chunk is tried again', async () => {
      await using pipeline = await createPipeline(server, { setup: WIDE_ROWS });
      await server.query(
        pipeline.destination,
        `create function public.waits(id int) returns bool language plpgsql as
           $$ begin if id = 30 then perform pg_advisory_xact_lock(1); end if; return true; end $$;
         create table wide (id int primary key, body text, check (public.waits(id)))`,
      );
      await using holder = await server.connect(pipeline.destination);
      await holder.query('select pg_advisory_lock(1)');
      await using running = pipeline.start({ args: ['--until-caught-up'] });
      await eventually(async () => {
        const waiting = await server.query(
          pipeline.destination,
          `select from pg_locks where locktype = 'advisory' and not granted`,
        );
        return waiting.length > 0;
      });
      await pipeline.sql(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and query like 'COPY (SELECT%'`,
      );
      await holder.query('select pg_advisory_unlock(1)');
      const exit = await running.exit;
      expectExit(exit, 0);
      expect(exit.events.map(({ event }) => event)).toContain('retry');
      await pipeline.expectEqual();
    });
  },
  [17],
);

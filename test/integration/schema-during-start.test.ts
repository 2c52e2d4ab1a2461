// A table that is altered between the look at the catalog and the snapshot: rows of the snapshot hold values that
// no change tells.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const SETUP = `create table people (id int primary key, name text); insert into people values (1, 'a');
  create table other (id int primary key)`;

describeEachServer(
  'a schema that changes while the position is taken',
  (server) => {
    /** The slot waits for a transaction; in the meantime the table gets a column, with values of its own. */
    async function alterWhileWaiting(
      pipeline: TestPipeline,
      start: () => ReturnType<TestPipeline['start']>,
    ) {
      await using holder = await server.connect(pipeline.source);
      await holder.query('begin; insert into other values (1)');
      const running = start();
      await eventually(async () => {
        const waiting = await pipeline.sql(
          `select from pg_stat_activity where datname = current_database()
           and query like 'CREATE_REPLICATION_SLOT%' and wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
      await pipeline.sql(
        `alter table people add column newsletter boolean not null default false;
         insert into people values (2, 'b', true)`,
      );
      await holder.query('commit');
      return running;
    }

    test.each(['postgres', 'duckdb'] as const)('replicate into %s', async (destination) => {
      await using pipeline = await createPipeline(server, { destination, setup: SETUP });
      await using running = await alterWhileWaiting(pipeline, () =>
        pipeline.start({ args: ['--until-caught-up'] }),
      );
      expectExit(await running.exit, 0);
      await pipeline.expectEqual();
    });

    test('recover', async () => {
      await using pipeline = await createPipeline(server, { setup: SETUP });
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await using running = await alterWhileWaiting(pipeline, () =>
        pipeline.startCommand({}, 'recover', '--json'),
      );
      expectExit(await running.exit, 0);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
      expect(await pipeline.read('select newsletter::text from people where id = 2')).toEqual([
        ['true'],
      ]);
    });
  },
  [17],
);

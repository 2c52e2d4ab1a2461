// Streams that a change of their table paused, or whose table changed while the position was lost.
import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, expectCompleted, type TestPipeline } from '../support/test-pipeline.ts';

const setup = `
  create table items (id int primary key, amount int, note text);
  insert into items select i, i, 'n' || i from generate_series(1, 300) i;
  create table other (id int primary key);
  insert into other select generate_series(1, 10)`;

function pausedOf(document: unknown, stream: string): unknown {
  const { streams } = document as { streams: { stream: string; paused: unknown }[] };
  return streams.find((candidate) => candidate.stream === stream)?.paused;
}

/** A change that the destination cannot follow by itself. */
async function pauseItems(pipeline: TestPipeline): Promise<void> {
  await pipeline.sql(`alter table items alter column amount type text using 'about ' || amount;
    update items set note = 'later' where id = 1`);
  const exit = await pipeline.catchUp();
  expectExit(exit, 5);
  expect(pausedOf(exit.json, 'public.items')).toMatchObject({ code: 'schema_change' });
}

async function inFile(path: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}

describeEachServer(
  'recover after schema changes',
  (server) => {
    test('a paused stream stays paused until its table at the destination fits, then it is healed', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pauseItems(pipeline);

      const refused = await pipeline.command('recover', '--json');
      expectExit(refused, 5);
      expect(pausedOf(refused.json, 'public.items')).toMatchObject({
        code: 'schema_change',
        fix: expect.stringContaining('amount'),
      });
      expect(pausedOf(refused.json, 'public.other')).toBeNull();

      await using copy = await server.connect(pipeline.destination);
      await copy.query('alter table items alter column amount type text');
      expectCompleted(await pipeline.command('recover', '--json'));
      await pipeline.expectEqual();
      await pipeline.sql(
        `insert into items values (1000, 'many', 'new'); insert into other values (99)`,
      );
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('a column that came in the transaction that paused the stream is still to be made', async () => {
      const args = ['--streams', 'public.items'];
      await using pipeline = await createPipeline(server, { setup, args });
      await pipeline.caughtUp();
      await pipeline.sql(`begin; alter table items add column extra int default 7;
        insert into items values (1000, 1, 'n', 8); alter table items rename to elsewhere;
        insert into elsewhere values (1001, 1, 'n', 9); commit`);
      expectExit(await pipeline.catchUp(), 5);
      await pipeline.sql('alter table elsewhere rename to items; drop table other');
      expectCompleted(await pipeline.command('recover', '--json', ...args));
      await pipeline.expectEqual();
    });

    for (const destination of ['postgres', 'duckdb'] as const) {
      test(`a paused stream whose table was dropped at the destination is loaded again (${destination})`, async () => {
        await using pipeline = await createPipeline(server, { setup, destination });
        await pipeline.caughtUp();
        await pauseItems(pipeline);
        if (destination === 'duckdb') await inFile(pipeline.destination, 'drop table public.items');
        else await server.query(pipeline.destination, 'drop table items');
        const recovered = await pipeline.command('recover', '--json');
        const result = expectCompleted(recovered);
        expect(result.streams.find(({ stream }) => stream === 'public.items')).toMatchObject({
          read: 300,
          applied: 300,
        });
        await pipeline.expectEqual();
        await pipeline.sql(`update items set amount = 'changed' where id = 3`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test(`columns that came, went and were renamed or widened unseen are followed (${destination})`, async () => {
        await using pipeline = await createPipeline(server, { setup, destination });
        await pipeline.caughtUp();
        await pipeline.loseSlot();
        await pipeline.sql(`alter table items rename note to remark;
          alter table items alter column amount type bigint;
          alter table items add column extra int default 5;
          alter table other add column gone int; alter table other drop column gone;
          update items set amount = 5000000000, extra = null where id = 2`);
        expect((await pipeline.catchUp()).code).toBe(7);
        const recovered = await pipeline.command('recover', '--json');
        expectCompleted(recovered);
        expect(recovered.events.filter(({ event }) => event === 'schema-change')).toHaveLength(3);
        await pipeline.expectEqual();
        await pipeline.sql(`insert into items values (2000, 1, 'r', 2)`);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });
    }

    test('another key: recover is the approval', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.sql(`alter table items drop constraint items_pkey; alter table items alter note set not null;
        alter table items add primary key (note); update items set amount = 0 where id = 1`);
      expect((await pipeline.catchUp()).code).toBe(5);
      const recovered = await pipeline.command('recover', '--json');
      expectCompleted(recovered);
      await pipeline.expectEqual();
      await pipeline.sql(
        `update items set amount = -1 where note = 'n7'; delete from items where note = 'n8'`,
      );
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('a table without a key is paused, and healed once it has one', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `${setup}; create table plain (a int, b text); insert into plain values (1, 'x'), (2, 'y')`,
      });
      expect((await pipeline.catchUp()).code).toBe(5);
      await pipeline.sql('alter table plain add primary key (a)');
      const recovered = await pipeline.command('recover', '--json');
      expectCompleted(recovered);
      await pipeline.sql(`update plain set b = 'z' where a = 2`);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('a table that was made anew under the same name is compared and followed', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await pipeline.sql(`drop table items; create table items (note text, id int primary key, amount int);
        insert into items select 'n' || i, i, i from generate_series(1, 299) i`);
      const recovered = await pipeline.command('recover', '--json');
      const result = expectCompleted(recovered);
      expect(result.streams.find(({ stream }) => stream === 'public.items')).toMatchObject({
        read: 1,
        applied: 1,
      });
      await pipeline.sql(`insert into items values ('x', 999, 1)`);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });
  },
  [17],
);

// Processes that die, are replaced or told to end. Each test's number is that of the scenario in docs/scoreboard.md.
import { describe, expect, test } from 'vitest';

import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, expectBalanced, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `
  create table orders (id int primary key, note text);
  insert into orders select i, 'order ' || i from generate_series(1, 500) i;
  create table items (id int primary key, order_id int, qty int);
  insert into items select i, i % 500, i from generate_series(1, 800) i;
  create table events (id int primary key, at timestamptz default now());
  insert into events select i from generate_series(1, 300) i`;

async function killedAt(pipeline: TestPipeline, failpoint: string): Promise<void> {
  const exit = await pipeline.catchUp({
    failpoints: `${failpoint.includes('@') ? failpoint.replace('@', '=kill@') : `${failpoint}=kill`}`,
  });
  expect(exit.signal, `${failpoint} was not reached\n${exit.stderr}`).toBe('SIGKILL');
}

const oneTransaction = `begin; insert into orders values (1001, 'a'); insert into items values (1001, 1001, 1);
  update orders set note = 'b' where id = 1; delete from events where id = 1; commit`;

const rowsOf = async (pipeline: TestPipeline, table: string): Promise<number> =>
  Number(
    (await pipeline.read(`select cast(count(*) as varchar) from public.${table}`))[0]?.[0] ?? -1,
  );

describeEachServer(
  'crash',
  (server) => {
    describe.each(['postgres', 'duckdb'] as const)('to %s', (destination) => {
      test('1 killed inside a snapshot chunk: goes on with the chunks that are missing', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await killedAt(pipeline, 'snapshot.insideChunk@3');
        const result = await pipeline.caughtUp();
        await pipeline.expectEqual();
        const read = result.streams.reduce((sum, stream) => sum + stream.read, 0);
        expect(read, 'finished tables are not read again').toBeLessThan(1600);
      });

      test('1 killed before its first record, and the source has other columns by then: it begins anew', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await killedAt(pipeline, 'source.afterCreateBeforeRecord');
        await pipeline.sql(
          `alter table orders add column added int default 7; alter table items drop column qty;
           alter table events alter column id type text; insert into orders values (600, 'n', 8)`,
        );
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('1 killed inside a chunk of a table that is built beside', async () => {
        await using pipeline = await createPipeline(server, {
          destination,
          setup,
          load: 'replace',
        });
        await killedAt(pipeline, 'snapshot.insideChunk@2');
        await pipeline.sql(oneTransaction);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('1 killed while a table that was made anew is taken in: none of the old rows stays', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(
          `drop table orders; create table orders (id int primary key, note text); insert into orders values (1, 'anew')`,
        );
        await killedAt(pipeline, 'resync.beforeRecord');
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('5 a connection lost while the epoch was taken: the run knows its own, and goes on', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(oneTransaction);
        await pipeline.caughtUp({
          failpoints: 'changes.beforeCommit=throw@1,destination.afterEpoch=throw@2',
        });
        await pipeline.expectEqual();
      });

      test('2 killed inside a transaction: nothing of it is seen, then all of it', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        const before = (await pipeline.contents()).destination;
        await pipeline.sql(oneTransaction);
        await killedAt(pipeline, 'changes.beforeCommit');
        expect((await pipeline.contents()).destination).toEqual(before);
        const result = await pipeline.caughtUp();
        expect(result.streams.reduce((sum, stream) => sum + stream.read, 0)).toBe(4);
        await pipeline.expectEqual();
      });

      test('3 killed at the commit: rows and checkpoint are both there or both not', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await pipeline.caughtUp();
        await pipeline.sql(oneTransaction);
        await killedAt(pipeline, 'destination.commit');
        expect(await rowsOf(pipeline, 'orders')).toBe(500);
        await killedAt(pipeline, 'changes.afterCommit');
        expect(await rowsOf(pipeline, 'orders')).toBe(501);
        const result = await pipeline.caughtUp();
        expect(
          result.streams.every(({ read }) => read === 0),
          'the checkpoint covers what was committed',
        ).toBe(true);
        await pipeline.expectEqual();
      });

      test('4 killed before the source is acknowledged: what comes again is left out, the slot moves', async () => {
        await using pipeline = await createPipeline(server, { destination, load: 'append', setup });
        await pipeline.caughtUp();
        const [before] = await pipeline.slots();
        await pipeline.sql(oneTransaction);
        await killedAt(pipeline, 'changes.afterCommit');
        await pipeline.caughtUp();
        expect(
          await pipeline.read(
            `select cast(count(*) as varchar) from public.orders where _forebay_op = 'i'`,
          ),
        ).toEqual([['1']]);
        expect(
          await pipeline.read(
            `select cast(count(*) as varchar) from public.orders where _forebay_op = 'u'`,
          ),
        ).toEqual([['1']]);
        const [after] = await pipeline.slots();
        expect(after?.['confirmed_flush_lsn']).not.toBe(before?.['confirmed_flush_lsn']);
      });

      test('5 killed between snapshot and changes: the seam holds', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        await killedAt(pipeline, 'snapshot.afterFinish@3');
        await pipeline.sql(
          `update orders set id = id + 5000 where id <= 20; delete from items where id % 2 = 0`,
        );
        await pipeline.sql(oneTransaction);
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });

      test('9 SIGTERM during the load and during changes: drains, exit 0, goes on where it was', async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        for (const phase of ['snapshot', 'changes']) {
          await using running = pipeline.start({
            failpoints: 'snapshot.beforeFinish=delay(300)@2',
            args: ['--parallel', '1'],
          });
          if (phase === 'snapshot') {
            // One table is loaded once the next one tells of its rows.
            const first = await running.waitForEvent(({ event }) => event === 'progress');
            await running.waitForEvent(
              ({ event, stream }) => event === 'progress' && stream !== first.stream,
            );
          } else {
            await pipeline.sql(`update items set qty = qty + 1`);
            await running.waitForEvent(({ event }) => event === 'checkpoint');
          }
          await pipeline.sql(`update items set qty = qty + 1`);
          running.kill('SIGTERM');
          const exit = await running.exit;
          expect(exit.code, exit.stderr).toBe(0);
          expect(exit.result?.status).toBe('stopped');
          expectBalanced(exit.result);
        }
        await pipeline.caughtUp();
        await pipeline.expectEqual();
      });
    });

    test('7 zombie: a run that was stopped and whose place was taken ends as fenced and writes nothing', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await using zombie = pipeline.start();
      await zombie.waitForEvent(
        ({ event, ...rest }) => event === 'phase' && rest['phase'] === 'changes',
      );
      zombie.kill('SIGSTOP');
      await pipeline.sql(oneTransaction);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
      await pipeline.sql(`insert into orders values (2000, 'after the second')`);
      const before = (await pipeline.contents()).destination;
      zombie.kill('SIGCONT');
      const exit = await zombie.exit;
      expect(exit.code, exit.stderr).toBe(1);
      expect(exit.result?.error?.code).toBe('fenced');
      expect((await pipeline.contents()).destination).toEqual(before);
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('7 zombie: woken in the middle of a transaction, it cannot commit', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await using zombie = pipeline.start({ failpoints: 'changes.beforeCommit=delay(3000)' });
      await zombie.waitForEvent(
        ({ event, ...rest }) => event === 'phase' && rest['phase'] === 'changes',
      );
      await pipeline.sql(oneTransaction);
      await eventually(async () => {
        const [row] = await server.query(
          pipeline.destination,
          `select count(*)::int as n from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`,
        );
        return Number(row?.['n']) > 0;
      });
      zombie.kill('SIGSTOP');
      await pipeline.caughtUp();
      await pipeline.expectEqual();
      zombie.kill('SIGCONT');
      const exit = await zombie.exit;
      expect(exit.result?.error?.code, exit.stderr).toBe('fenced');
      await pipeline.expectEqual();
    });
  },
  [17],
);

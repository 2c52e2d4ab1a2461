// Somebody changes what the publication sends: changes in between are in no stream, and are found all the same.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, a text);
  insert into orders select i, 'a' from generate_series(1, 5) i;
  create table other (id int primary key); insert into other values (1)`;

/** What happens while the table is not, or not wholly, published; each kind of change, on rows of before and after. */
const UNSEEN = `update orders set a = 'unseen' where id in (1, 11); delete from orders where id in (2, 12);
  insert into orders values (20, 'unseen')`;
const SEEN_BEFORE = `insert into orders select i, 'seen' from generate_series(11, 13) i;
  update orders set a = 'seen' where id = 1; insert into other values (2)`;

const outAndIn = (pipeline: TestPipeline): string[] => [
  `alter publication forebay_${pipeline.name} drop table orders`,
  UNSEEN,
  `alter publication forebay_${pipeline.name} add table orders`,
];
const insertsOnly = (pipeline: TestPipeline): string[] => [
  `alter publication forebay_${pipeline.name} set (publish = 'insert')`,
  UNSEEN,
  `alter publication forebay_${pipeline.name} set (publish = 'insert, update, delete, truncate')`,
];
const outOnly = (pipeline: TestPipeline): string[] => outAndIn(pipeline).slice(0, 2);
const filtered = (pipeline: TestPipeline): string[] => [
  `alter publication forebay_${pipeline.name} set table orders where (id > 100), other`,
  UNSEEN,
  `alter publication forebay_${pipeline.name} set table orders, other`,
];

async function each(pipeline: TestPipeline, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await pipeline.sql(statement);
}

describeEachServer(
  'a publication that others change',
  (server) => {
    test.each([
      ['taken out and put back', outAndIn],
      ['taken out', outOnly],
      ['published for inserts only, then in full', insertsOnly],
      ['filtered, then in full', filtered],
    ])('a table that was %s while nobody followed is read again', async (_, statements) => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await each(pipeline, [SEEN_BEFORE, ...statements(pipeline)]);
      const exit = await pipeline.catchUp();
      expectExit(exit, 0);
      expect(exit.stderr).toContain('it is read again');
      await pipeline.expectEqual();
      const next = await pipeline.catchUp();
      expect(next.stderr).not.toContain('it is read again');
    });

    test.each([
      ['taken out and put back', outAndIn],
      ['taken out', outOnly],
    ])('a table that was %s between two looks is read again', async (_, statements) => {
      await using pipeline = await createPipeline(server, { setup });
      await using running = pipeline.start();
      await running.waitForEvent(({ event, phase }) => event === 'phase' && phase === 'changes');
      await each(pipeline, [SEEN_BEFORE, ...statements(pipeline)]);
      await eventually(() => pipeline.expectEqual().then(() => true), { timeoutMs: 20_000 });
      await pipeline.sql(
        `insert into orders values (30, 'after'); delete from orders where id = 3`,
      );
      await eventually(() => pipeline.expectEqual().then(() => true), { timeoutMs: 20_000 });
      running.kill('SIGTERM');
      const exit = await running.exit;
      expectExit(exit, 0);
      expect(exit.stderr).toContain('it is read again');
    });

    test('equal rows of a table without a key are counted right afterwards', async () => {
      await using pipeline = await createPipeline(server, {
        setup: `create table orders (id int, a text); alter table orders replica identity full;
          insert into orders select i % 3, 'a' from generate_series(1, 9) i; create table other (id int primary key)`,
      });
      await pipeline.caughtUp();
      await each(pipeline, [SEEN_BEFORE, ...outAndIn(pipeline)]);
      await pipeline.sql(`insert into orders values (1, 'seen'), (1, 'seen')`);
      expectExit(await pipeline.catchUp(), 0);
      await pipeline.expectEqual();
    });

    test('of a history, the newest row of each key is the current one afterwards', async () => {
      await using pipeline = await createPipeline(server, { setup, load: 'append' });
      await pipeline.caughtUp();
      await each(pipeline, [SEEN_BEFORE, ...outAndIn(pipeline)]);
      expectExit(await pipeline.catchUp(), 0);
      const current = await pipeline.sql('select id::text, a from orders o order by o.id');
      const newest = await pipeline.read(
        `select id, a from (select distinct on (id) id, a, _forebay_op from orders
           order by id, _forebay_position desc) n
         where id not in (2, 12) order by id`,
      );
      expect(newest).toEqual(current.map(({ id, a }) => [id, a]));
    });

    test('where deletes are ignored, what was deleted long ago stays', async () => {
      await using pipeline = await createPipeline(server, {
        setup,
        args: ['--deletes', 'ignore'],
      });
      await pipeline.caughtUp();
      await pipeline.sql('delete from orders where id = 5');
      await pipeline.caughtUp();
      await each(pipeline, outAndIn(pipeline));
      expectExit(await pipeline.catchUp(), 0);
      expect(await pipeline.read('select id::text, a from orders order by orders.id')).toEqual([
        ['1', 'unseen'],
        ['2', 'a'],
        ['3', 'a'],
        ['4', 'a'],
        ['5', 'a'],
        ['20', 'unseen'],
      ]);
    });

    test('a run that is killed while such a table is emptied reads it again in the next', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await each(pipeline, [SEEN_BEFORE, ...outAndIn(pipeline)]);
      const killed = await pipeline.catchUp({ failpoints: 'resync.beforeRecord=kill@1' });
      expect(killed.signal).toBe('SIGKILL');
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });
  },
  [15, 18],
);

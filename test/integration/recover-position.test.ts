// A position that is lost: the run says so, recover repairs what differs, and the run goes on.
import { expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { startServer } from '../support/servers.ts';
import { describeEachServer, describeWithServer } from '../support/shared-servers.ts';
import {
  createPipeline,
  type DestinationKind,
  expectBalanced,
  expectCompleted,
  type TestPipeline,
} from '../support/test-pipeline.ts';

const setup = `
  create table orders (id int primary key, note text, price numeric(10, 2), at timestamptz);
  insert into orders select i, 'note ' || i, i / 8.0, 'epoch'::timestamptz + i * interval '1 s' from generate_series(1, 5000) i;
  create table untouched (id uuid primary key, tag text);
  insert into untouched select gen_random_uuid(), 't' || i from generate_series(1, 500) i;
  create table bare (word text, n int);
  insert into bare select 'w' || i % 10, i % 10 from generate_series(1, 100) i;
  alter table bare replica identity full`;

/** What is committed while nobody keeps the log: 30 orders and 4 bare rows are other ones. */
const missed = `
  insert into orders select i, 'new', 1, now() from generate_series(5001, 5010) i;
  update orders set note = 'changed', price = -0.5 where id <= 15;
  delete from orders where id between 101 and 105;
  delete from bare where ctid in (select ctid from bare where n = 3 limit 1);
  insert into bare values ('w3', 4), ('w3', 4), (null, null)`;

async function expectLost(pipeline: TestPipeline): Promise<string> {
  const lost = await pipeline.catchUp();
  expectExit(lost, 7);
  expect(lost.result?.error?.code).toBe('position_lost');
  return String(lost.result?.error?.message);
}

const differences = {
  'public.orders': { rowsCompared: 5005, inserted: 10, updated: 15, deleted: 5 },
  'public.untouched': { rowsCompared: 500, inserted: 0, updated: 0, deleted: 0 },
  'public.bare': { rowsCompared: 102, inserted: 3, updated: 0, deleted: 1 },
};

function repairedOf(document: unknown): Record<string, unknown> {
  const { repaired } = document as { repaired: { stream: string }[] };
  return Object.fromEntries(repaired.map(({ stream, ...counts }) => [stream, counts]));
}

describeEachServer(
  'recover',
  (server) => {
    for (const destination of ['postgres', 'duckdb'] as const satisfies DestinationKind[]) {
      test(`a dropped slot: only rows that differ move, and the run goes on (${destination})`, async () => {
        await using pipeline = await createPipeline(server, { destination, setup });
        const before = await pipeline.caughtUp();
        const slot = await pipeline.loseSlot();
        await pipeline.sql(missed);
        const message = await expectLost(pipeline);
        expect(message).toContain(slot);
        expect(message).toContain(String((before['position'] as { to: string }).to));

        const recovered = await pipeline.command('recover', '--json');
        const result = expectCompleted(recovered);
        expect(repairedOf(recovered.json)).toEqual(differences);
        const orders = result.streams.find(({ stream }) => stream === 'public.orders');
        expect(orders).toMatchObject({ read: 30, applied: 30, phase: 'changes', paused: null });
        const untouched = result.streams.find(({ stream }) => stream === 'public.untouched');
        expect(untouched).toMatchObject({ read: 0, applied: 0 });
        const phases = recovered.events
          .filter(({ event }) => event === 'phase')
          .map((event) => event['phase']);
        expect(phases).toEqual(['compare', 'repair']);
        await pipeline.expectEqual();

        await pipeline.sql(
          `insert into orders values (9000, 'after', 1, null); delete from bare where n = 9`,
        );
        const after = await pipeline.caughtUp();
        expect(after.streams.find(({ stream }) => stream === 'public.orders')).toMatchObject({
          read: 1,
        });
        await pipeline.expectEqual();
      });

      for (const point of ['recover.beforeRepair', 'recover.afterRepair']) {
        test(`killed at ${point}: still lost, and recover works again (${destination})`, async () => {
          await using pipeline = await createPipeline(server, { destination, setup });
          await pipeline.caughtUp();
          await pipeline.loseSlot();
          await pipeline.sql(missed);
          {
            await using killed = pipeline.startCommand(
              { failpoints: `${point}=kill` },
              'recover',
              '--json',
            );
            expect((await killed.exit).signal).toBe('SIGKILL');
          }
          await expectLost(pipeline);
          expectCompleted(await pipeline.command('recover', '--json'));
          await pipeline.expectEqual();
          await pipeline.sql(`update orders set note = 'after' where id = 1`);
          await pipeline.caughtUp();
          await pipeline.expectEqual();
        });
      }
    }

    test('nothing is lost: recover verifies and takes a new position', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.sql(missed);
      const recovered = await pipeline.command('recover', '--json');
      expectCompleted(recovered);
      expect(repairedOf(recovered.json)).toEqual(differences);
      await pipeline.expectEqual();
      const again = await pipeline.command('recover', '--json');
      expect(expectCompleted(again).streams.every(({ read }) => read === 0)).toBe(true);
      expect(await pipeline.slots()).toHaveLength(1);
    });

    test('rows that the destination lost or has too many are found, though the source never changed', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await using copy = await server.connect(pipeline.destination);
      await copy.query(`delete from orders where id = 7; update orders set price = 3 where id = 8;
        insert into orders values (-1, 'stranger', 0, null)`);
      const recovered = await pipeline.command('recover', '--json');
      expect(repairedOf(recovered.json)).toMatchObject({
        'public.orders': { inserted: 1, updated: 1, deleted: 1 },
      });
      await pipeline.expectEqual();
    });

    test('soft deletes: rows that are gone are marked, and marked rows that are back are alive', async () => {
      await using pipeline = await createPipeline(server, { setup, args: ['--deletes', 'soft'] });
      await pipeline.caughtUp();
      await pipeline.sql('delete from orders where id = 1');
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await pipeline.sql(
        `insert into orders values (1, 'back', 1, null); delete from orders where id = 2`,
      );
      const recovered = await pipeline.command('recover', '--json', '--deletes', 'soft');
      expect(repairedOf(recovered.json)).toMatchObject({
        'public.orders': { inserted: 1, updated: 0, deleted: 1 },
      });
      const rows = await pipeline.read(
        'select id::text, note, (_forebay_deleted_at is not null)::text from orders where id <= 2 order by id',
      );
      expect(rows).toEqual([
        ['1', 'back', 'false'],
        ['2', 'note 2', 'true'],
      ]);
    });

    test('ignored deletes stay ignored', async () => {
      await using pipeline = await createPipeline(server, { setup, args: ['--deletes', 'ignore'] });
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await pipeline.sql('delete from orders where id <= 10');
      const recovered = await pipeline.command('recover', '--json', '--deletes', 'ignore');
      const result = expectCompleted(recovered);
      expect(result.streams.every(({ read }) => read === 0)).toBe(true);
      expect(repairedOf(recovered.json)).toMatchObject({ 'public.orders': { deleted: 0 } });
      expect(await pipeline.read('select count(*)::text from orders')).toEqual([['5000']]);
    });

    test('append: the gap is bridged by the rows as they are', async () => {
      await using pipeline = await createPipeline(server, {
        load: 'append',
        setup: `create table notes (id int primary key, t text); insert into notes values (1, 'a'), (2, 'b')`,
      });
      await pipeline.caughtUp();
      await pipeline.sql(`update notes set t = 'seen' where id = 1`);
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await pipeline.sql(
        `update notes set t = 'missed' where id = 1; delete from notes where id = 2`,
      );
      const recovered = await pipeline.command('recover', '--json', '--load', 'append');
      expectCompleted(recovered);
      expect(recovered.events.some(({ event }) => event === 'notice')).toBe(true);
      await pipeline.sql(`update notes set t = 'after' where id = 1`);
      await pipeline.caughtUp();
      const rows = await pipeline.read(
        'select _forebay_op, id::text, t from notes order by _forebay_position, id',
      );
      expect(rows).toEqual([
        ['r', '1', 'a'],
        ['r', '2', 'b'],
        ['u', '1', 'seen'],
        ['r', '1', 'missed'],
        ['u', '1', 'after'],
      ]);
    });

    test('a table that came meanwhile is loaded, one that went is paused', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await pipeline.caughtUp();
      await pipeline.loseSlot();
      await pipeline.sql(`create table fresh (id int primary key); insert into fresh values (1), (2);
        drop table untouched`);
      const recovered = await pipeline.command('recover', '--json');
      expectExit(recovered, 5);
      expectBalanced(recovered.result);
      expect(repairedOf(recovered.json)).toMatchObject({ 'public.fresh': { inserted: 2 } });
      const untouched = recovered.result?.streams.find(
        ({ stream }) => stream === 'public.untouched',
      );
      expect(untouched?.paused).toMatchObject({ code: 'table_dropped' });
      await pipeline.sql('insert into fresh values (3)');
      expect((await pipeline.catchUp()).code).toBe(5);
      expect(await pipeline.read('select count(*)::text from fresh')).toEqual([['3']]);
    });

    test('a first load that was cut off is finished', async () => {
      await using pipeline = await createPipeline(server, { setup });
      {
        const failpoints = 'snapshot.afterChunk=kill@2';
        await using killed = pipeline.start({ failpoints });
        expect((await killed.exit).signal).toBe('SIGKILL');
      }
      await pipeline.loseSlot();
      await pipeline.sql(missed);
      await expectLost(pipeline);
      expectCompleted(await pipeline.command('recover', '--json'));
      await pipeline.expectEqual();
      await pipeline.sql(
        `insert into bare values ('x', 1); update orders set note = 'x' where id = 1`,
      );
      await pipeline.caughtUp();
      await pipeline.expectEqual();
    });

    test('without a recorded pipeline there is nothing to recover, and nothing is left behind', async () => {
      await using pipeline = await createPipeline(server, { setup });
      const exit = await pipeline.command('recover', '--json');
      expectExit(exit, 3);
      expect(exit.result?.error?.code).toBe('pipeline_missing');
      expect(await pipeline.slots()).toEqual([]);
    });
  },
  [17],
);

describeWithServer('recover from another server', 17, (spec) => {
  test('the same tables on a server with another system identifier', async () => {
    await using first = await startServer(spec);
    await using second = await startServer(spec);
    await using pipeline = await createPipeline(first, { setup, destination: 'duckdb' });
    await pipeline.caughtUp();
    const moved = await second.createDatabase();
    // Another order of columns, and tables under other numbers.
    await second.query(
      moved,
      `create table filler (id int primary key); drop table filler; ${setup}; ${missed};
       alter table orders add column note2 text; update orders set note2 = note;
       alter table orders drop column note; alter table orders rename note2 to note`,
    );
    const args = [second.url(moved), pipeline.urls[1], '--name', pipeline.name, '--json'];
    const lost = await runForebay(['replicate', ...args, '--until-caught-up']);
    expectExit(lost, 7);
    expect(lost.result?.error?.message).toContain('system identifier');
    const recovered = await runForebay(['recover', ...args]);
    expectCompleted(recovered);
    expect(repairedOf(recovered.json)).toMatchObject({
      'public.orders': differences['public.orders'],
      'public.bare': differences['public.bare'],
    });
    await second.query(moved, `insert into orders (id, note) values (7777, 'after')`);
    expectCompleted(await runForebay(['replicate', ...args, '--until-caught-up']));
    expect(await pipeline.read('select note from public.orders where id = 7777')).toEqual([
      ['after'],
    ]);
  });
});

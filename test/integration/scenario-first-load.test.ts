// Tables that change while their first snapshot is read: the gate is a table of the destination that holds up the
// load of the first table, so that every change comes after the snapshot and before the reading of the others.
import { describe, expect, test } from 'vitest';

import { describeEachServer } from '../support/shared-servers.ts';
import type { ServerConnection } from '../support/server-connection.ts';
import {
  createPipeline,
  expectBalanced,
  type PipelineOptions,
  type TestPipeline,
} from '../support/test-pipeline.ts';
import { eventually } from '../support/wait.ts';

const setup = `
  create table a_gate (id int primary key); insert into a_gate values (1);
  create table orders (id int primary key, a text, b text, n int);
  insert into orders select i, 'a' || i, 'b' || i, i from generate_series(1, 300) i`;

/** Somebody waits for a lock on the gate. */
async function isWaitedFor(server: ServerConnection, database: string): Promise<boolean> {
  const [row] = await server.query(
    database,
    `select count(*)::int as waiting from pg_locks where relation = 'a_gate'::regclass and not granted`,
  );
  return row?.['waiting'] === 1;
}

/** Runs until caught up; `change` happens once the snapshot is taken and before `orders` is read. */
async function whileLoading(
  server: ServerConnection,
  pipeline: TestPipeline,
  change: () => Promise<unknown>,
) {
  await server.query(
    pipeline.destination,
    `create table a_gate (id int, _forebay_op text, _forebay_position text, _forebay_committed_at timestamptz, _forebay_unchanged text)`,
  );
  await using gate = await server.connect(pipeline.destination);
  await gate.query('begin; lock table a_gate in share mode');
  const running = pipeline.catchUp();
  await eventually(() => isWaitedFor(server, pipeline.destination));
  await change();
  await gate.query('commit');
  return await running;
}

async function expectFollowed(
  server: ServerConnection,
  options: PipelineOptions,
  ddl: string,
): Promise<TestPipeline> {
  const pipeline = await createPipeline(server, {
    setup,
    ...options,
    args: ['--parallel', '1', ...(options.args ?? [])],
  });
  const exit = await whileLoading(server, pipeline, () => pipeline.sql(ddl));
  expect(exit.code, exit.stderr + exit.stdout).toBe(0);
  expectBalanced(exit.result);
  return pipeline;
}

/** The newest event of each key tells the source's rows, and each row was read once. */
async function expectHistory(pipeline: TestPipeline): Promise<void> {
  const names = await pipeline.sql(
    `select string_agg(quote_ident(attname), ', ' order by attnum) as list from pg_attribute
     where attrelid = 'orders'::regclass and attnum > 0 and not attisdropped`,
  );
  const list = String(names[0]?.['list']);
  const newest = await pipeline.read(
    `select jsonb_build_array(${list})::text from (
       select *, row_number() over (partition by id order by _forebay_position desc) as place
       from public.orders where _forebay_op <> 't' and _forebay_position >
         (select coalesce(max(_forebay_position), '') from public.orders where _forebay_op = 't')
     ) events where place = 1 and _forebay_op <> 'd' order by id`,
  );
  const source = await pipeline.sql(
    `select jsonb_build_array(${list})::text as row from orders order by id`,
  );
  expect(newest).toEqual(source.map(({ row }) => [row]));
  expect(
    await pipeline.read(
      `select id from public.orders where _forebay_op = 'r' group by id having count(*) > 1`,
    ),
  ).toEqual([]);
}

const later = `update orders set n = n + 1 where id < 10; delete from orders where id = 11`;

/** The last says whether it is tried with every load method. */
const changes: readonly (readonly [what: string, ddl: string, always: boolean])[] = [
  ['a column renamed', 'alter table orders rename a to title', true],
  [
    'two that swap their names',
    'alter table orders rename a to t; alter table orders rename b to a; alter table orders rename t to b',
    false,
  ],
  ['a column added', `alter table orders add column c text default 'c'`, false],
  [
    'a column added that differs per row',
    'alter table orders add column c text default gen_random_uuid()::text',
    true,
  ],
  ['a column dropped', 'alter table orders drop column b', false],
  [
    'a column dropped and made anew',
    `alter table orders drop column b; alter table orders add column b text default 'new'`,
    false,
  ],
  ['a column widened, its table written anew', 'alter table orders alter n type bigint', true],
  [
    'a truncate and new rows',
    `truncate orders; insert into orders select i, 'after', 'after', i from generate_series(5, 20) i`,
    true,
  ],
  ['a table written anew by the vacuum', 'vacuum full orders', false],
];

describeEachServer(
  'first load',
  (server) => {
    describe.each(['upsert', 'append', 'replace'] as const)('%s', (load) => {
      const some = changes.filter(([, , always]) => load === 'upsert' || always);
      test.each(some)('%s while the snapshot is read', async (_, ddl) => {
        await using pipeline = await createPipeline(server, { setup, load });
        const exit = await whileLoading(server, pipeline, async () => {
          for (const statement of ddl.split('; ')) await pipeline.sql(statement);
          await pipeline.sql(later);
        });
        expect(exit.code, exit.stderr + exit.stdout).toBe(0);
        await (load === 'append' ? expectHistory(pipeline) : pipeline.expectEqual());
      });
    });

    test('a table of nothing but its key is copied again over itself', async () => {
      await using pipeline = await createPipeline(server, {
        setup: 'create table keys (id int primary key); insert into keys values (1), (2)',
      });
      for (const ids of ['(3)', '(4)']) {
        await using running = pipeline.startCommand({}, 'copy', '--json');
        const exit = await running.exit;
        expect(exit.code, exit.stderr + exit.stdout).toBe(0);
        expectBalanced(exit.result);
        await pipeline.expectEqual();
        await pipeline.sql(`insert into keys values ${ids}`);
      }
    });

    test('a copy begins again where a table is written anew while it is read', async () => {
      await using pipeline = await createPipeline(server, { setup });
      await using running = pipeline.startCommand(
        { failpoints: 'snapshot.beforeChunk=delay(3000)' },
        'copy',
        '--json',
      );
      await eventually(async () => {
        const holding = await pipeline.sql(
          `select from pg_stat_activity where datname = current_database()
             and application_name = 'forebay snapshot' and state = 'idle in transaction'`,
        );
        return holding.length > 0;
      });
      await pipeline.sql('vacuum full orders');
      const exit = await running.exit;
      expect(exit.code, exit.stderr + exit.stdout).toBe(0);
      expect(exit.stderr).toContain('table_rewritten');
      expectBalanced(exit.result);
      await pipeline.expectEqual();
    });

    test.each(['1', '2'])(
      'a truncate of many tables against %s readers: both get through',
      async (readers) => {
        await using pipeline = await createPipeline(server, {
          setup,
          args: ['--parallel', readers],
        });
        let truncated: Promise<unknown> = Promise.resolve();
        const exit = await whileLoading(server, pipeline, async () => {
          truncated = pipeline.sql(
            `truncate orders, a_gate; insert into orders values (7, 'after', 'after', 7)`,
          );
          truncated.catch(() => {});
          await eventually(() => isWaitedFor(server, pipeline.source));
        });
        await truncated;
        expect(exit.code, exit.stderr + exit.stdout).toBe(0);
        expect(exit.stderr).not.toContain('"event":"retry"');
        await pipeline.expectEqual();
      },
    );

    test('cells that are read as text find their columns too', async () => {
      await using pipeline = await expectFollowed(
        server,
        {
          setup: `${setup}; create type mood as enum ('x', 'y'); alter table orders add m mood default 'y'`,
        },
        `alter table orders rename a to title; alter table orders rename m to mood; ${later}`,
      );
      await pipeline.expectEqual();
    });

    test.each([
      ['upsert', 'postgres'],
      ['append', 'postgres'],
      ['upsert', 'duckdb'],
    ] as const)(
      'columns that came while the slot was made, with rows that differ from their default: %s into %s',
      async (load, destination) => {
        await using pipeline = await createPipeline(server, { setup, load, destination });
        await using other = await server.connect(pipeline.source);
        await other.query('begin; select pg_current_xact_id()');
        const running = pipeline.catchUp();
        // The tables were discovered; the slot waits for the transaction to end.
        await eventually(async () => {
          const [row] = await server.query(
            pipeline.source,
            `select count(*)::int as slots from pg_replication_slots where database = current_database()`,
          );
          return row?.['slots'] === 1;
        });
        await pipeline.sql(`alter table orders add column c text default 'usual', drop column b`);
        await pipeline.sql(`insert into orders values (1000, 'a', 1, 'other')`);
        await other.query('commit');
        const exit = await running;
        expect(exit.code, exit.stderr + exit.stdout).toBe(0);
        await pipeline.sql(later);
        expect((await pipeline.catchUp()).code).toBe(0);
        await (load === 'append' ? expectHistory(pipeline) : pipeline.expectEqual());
      },
    );

    test('a change that no row follows: every row has come, under the names of before', async () => {
      await using pipeline = await expectFollowed(
        server,
        {},
        `alter table orders rename a to title; alter table orders drop column b`,
      );
      const rows = await pipeline.read('select id, a, b, n from public.orders order by id');
      expect(rows.length).toBe(300);
      expect(rows[4]).toEqual(['5', 'a5', null, '5']);
    });
  },
  [17],
);

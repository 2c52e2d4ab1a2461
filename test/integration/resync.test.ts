// A stream that is read again in full while its pipeline goes on: nothing else is, and its table stays in use.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DuckDBInstance } from '@duckdb/node-api';
import { expect, test } from 'vitest';

import { openDestination, openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { PipelineSpec, RunEvent, RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { TEST_SPEC } from '../support/pipeline-spec.ts';
import type { ServerConnection } from '../support/server-connection.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const setup = `create table orders (id int primary key, note text);
  insert into orders select i, 'note ' || i from generate_series(1, 5000) i;
  create table others (id int primary key, note text);
  insert into others select i, 'note ' || i from generate_series(1, 20) i;
  create table bare (a int, b text); alter table bare replica identity full;
  insert into bare select i % 7, 'b' || i % 3 from generate_series(1, 60) i`;

interface Copied {
  readonly source: string;
  readonly copy: string;
  readonly rows: (database: string, sql: string) => Promise<unknown[]>;
}

async function databases(server: ServerConnection): Promise<Copied> {
  const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
  await server.query(source, setup);
  const rows: Copied['rows'] = async (database, sql) => {
    await using client = await server.connect(database);
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  };
  return { source, copy, rows };
}

async function writeDuckdb(file: string, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(file);
  const connection = await instance.connect();
  await connection.run(sql);
  connection.closeSync();
  instance.closeSync();
}

interface Following extends AsyncDisposable {
  readonly events: readonly RunEvent[];
  readonly ended: Promise<RunResult>;
  /** Tells it to end. */
  stop(): Promise<RunResult>;
}

const NAME = 'resyncing';

async function follow(
  server: ServerConnection,
  { source, copy }: Copied,
  how: {
    readonly spec?: Partial<PipelineSpec>;
    readonly to?: string;
    readonly untilCaughtUp?: boolean;
  } = {},
): Promise<Following> {
  const from = await resolveSystem(server.url(source));
  const to = await resolveSystem(how.to ?? server.url(copy));
  const drain = new AbortController();
  const events: RunEvent[] = [];
  const running = runPipeline(
    { kind: 'replicate', untilCaughtUp: how.untilCaughtUp ?? false },
    { ...TEST_SPEC, name: NAME, ...how.spec },
    {
      openSource: (context) => openSource(from, context),
      openDestination: (context) => openDestination(to, context),
      sameSystem: false,
      options: {},
    },
    { drain: drain.signal, observe: (event) => void events.push(event) },
  );
  const stop = (): Promise<RunResult> => {
    drain.abort();
    return running;
  };
  return {
    events,
    ended: running,
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

const told = ({ events }: Following, stream: string, message: string): number =>
  events.filter(
    (event) => event.event === 'notice' && event.stream === stream && event.message === message,
  ).length;

/** Every table of the copy holds what the source's does. */
async function expectEqual(on: Copied, tables: readonly string[]): Promise<void> {
  await eventually(
    async () => {
      for (const table of tables) {
        const sql = `select * from ${table} t order by t::text`;
        expect(await on.rows(on.copy, sql)).toEqual(await on.rows(on.source, sql));
      }
      return true;
    },
    { timeoutMs: 30_000 },
  );
}

/** In the catalog of the copy's pipeline. */
const settled = (on: Copied) =>
  eventually(
    async () => {
      const found = await on.rows(
        on.copy,
        `select distinct state from _forebay.streams where pipeline = '${NAME}'`,
      );
      expect(found).toEqual([['streaming']]);
      return true;
    },
    { timeoutMs: 30_000 },
  );

const bent = `update orders set note = 'bent' where id % 10 = 3;
  delete from orders where id between 100 and 200;
  insert into orders select -i, 'nobody has it' from generate_series(1, 300) i;
  update others set note = 'bent' where id = 1`;

describeEachServer(
  'a stream that is read again',
  (server) => {
    test('gets back what it should hold, and no other stream is touched', async () => {
      const on = await databases(server);
      {
        await using running = await follow(server, on);
        await settled(on);
        await running.stop();
      }
      await server.query(on.copy, bent);
      const resync = [{ demand: 'first', streams: ['public.orders'] }];
      await using running = await follow(server, on, { spec: { resync } });
      await server.query(on.source, `insert into orders values (9001, 'while it was read')`);
      await expectEqual(on, ['orders', 'bare']);
      expect(await on.rows(on.copy, 'select note from others where id = 1')).toEqual([['bent']]);
      const result = await running.stop();
      expect(result.error).toBeNull();
      const read = new Map(result.streams.map((stream) => [stream.stream, stream.read]));
      expect(read.get('public.others')).toBe(0);
    });

    test('is never empty meanwhile, and holds only rows that the source has had', async () => {
      const on = await databases(server);
      {
        await using running = await follow(server, on);
        await settled(on);
        await running.stop();
      }
      const resync = [{ demand: 'one', streams: ['public.orders', 'public.bare'] }];
      const seen = new Set<string>();
      let watching = true;
      const watch = (async () => {
        await using client = await server.connect(on.copy);
        while (watching) {
          const { rows } = await client.query<{ orders: number; bare: number }>(
            'select (select count(*)::int from orders) as orders, (select count(*)::int from bare) as bare',
          );
          for (const row of rows) seen.add(`${row.orders} ${row.bare}`);
        }
      })();
      await using running = await follow(server, on, { spec: { resync } });
      await eventually(async () => {
        const rows = await on.rows(
          on.copy,
          `select stream from _forebay.streams where detail::jsonb ->> 'resync' = 'one'
             and state = 'streaming' and detail::jsonb ->> 'surplus' = 'false' order by 1`,
        );
        expect(rows).toEqual([['public.bare'], ['public.orders']]);
        return true;
      });
      watching = false;
      await watch;
      expect([...seen]).toEqual(['5000 60']);
      await running.stop();
    });

    test('rows without a key are mended by what differs', async () => {
      const on = await databases(server);
      {
        await using running = await follow(server, on);
        await settled(on);
        await running.stop();
      }
      await server.query(
        on.copy,
        `delete from bare where a = 3; insert into bare select 99, 'extra' from generate_series(1, 4)`,
      );
      await server.query(on.source, `insert into bare values (1, 'came before')`);
      const resync = [{ demand: 'first', streams: ['public.bare'] }];
      await using running = await follow(server, on, { spec: { resync } });
      await server.query(
        on.source,
        `insert into bare values (1, 'came'); delete from bare where a = 2`,
      );
      await expectEqual(on, ['orders', 'bare', 'others']);
      await eventually(() => told(running, 'public.bare', 'has been read again') === 1);
      expect((await running.stop()).error).toBeNull();
    });

    test('a table that is replaced stays as it is until the new one takes its place', async () => {
      const on = await databases(server);
      const load = 'replace' as const;
      {
        await using running = await follow(server, on, { spec: { load } });
        await settled(on);
        await running.stop();
      }
      await server.query(on.copy, bent);
      const resync = [{ demand: 'first', streams: ['public.orders'] }];
      await using running = await follow(server, on, { spec: { load, resync } });
      await server.query(on.source, `insert into orders values (9001, 'while it was read')`);
      await expectEqual(on, ['orders', 'bare']);
      expect(await on.rows(on.copy, 'select note from others where id = 1')).toEqual([['bent']]);
      await eventually(() => told(running, 'public.orders', 'has been read again') === 1);
      expect((await running.stop()).error).toBeNull();
    });

    test.each(['PostgreSQL', 'DuckDB'] as const)(
      'what changes at the source meanwhile is there in the end, in %s',
      async (kind) => {
        const on = await databases(server);
        const folder = mkdtempSync(join(tmpdir(), 'fb-resync-'));
        const file = join(folder, 'copy.duckdb');
        const to = kind === 'DuckDB' ? `duckdb:${file}` : server.url(on.copy);
        const inCopy = async (sql: string): Promise<void> => {
          if (kind === 'PostgreSQL') await server.query(on.copy, sql);
          else await writeDuckdb(file, sql);
        };
        const caughtUp = async (): Promise<void> => {
          await using running = await follow(server, on, { to, untilCaughtUp: true });
          expect((await running.ended).error).toBeNull();
        };
        await caughtUp();
        await inCopy(
          `delete from public.orders where id % 50 = 0;
           insert into public.orders select -900000 - i, 'nobody has it' from generate_series(1, 6000) t(i)`,
        );
        const resync = [{ demand: 'first', streams: ['public.orders'] }];
        {
          await using running = await follow(server, on, { to, spec: { resync } });
          const isRead = (): boolean =>
            running.events.some(
              (event) => event.event === 'notice' && event.message === 'has been read again',
            );
          let writes = 0;
          await eventually(
            async () => {
              writes += 1;
              await server.query(
                on.source,
                `delete from orders where id % 37 = ${writes % 37};
                 insert into orders values (${10_000 + writes}, 'new');
                 update orders set id = -id where id = ${10_000 + writes - 5};
                 update orders set note = note || '+' where id % 41 = ${writes % 41}`,
              );
              return isRead() && writes > 20;
            },
            { timeoutMs: 60_000, intervalMs: 5 },
          );
          expect((await running.stop()).error).toBeNull();
        }
        await caughtUp();
        const sql = 'select cast(id as varchar), note from public.orders order by orders.id';
        const held = kind === 'DuckDB' ? await readDuckdb(file, sql) : await on.rows(on.copy, sql);
        expect(held).toEqual(await on.rows(on.source, sql));
        rmSync(folder, { recursive: true });
      },
    );

    test('a demand is taken up once; another one is another', async () => {
      const on = await databases(server);
      {
        await using running = await follow(server, on);
        await settled(on);
        await running.stop();
      }
      const told = async (demand: string): Promise<boolean> => {
        const resync = [{ demand, streams: ['public.orders'] }];
        await using running = await follow(server, on, { spec: { resync } });
        await eventually(() => running.events.some(({ event }) => event === 'phase'));
        await settled(on);
        await running.stop();
        return running.events.some(
          (event) => event.event === 'notice' && event.message === 'is read again',
        );
      };
      expect(await told('first')).toBe(true);
      expect(await told('first')).toBe(false);
      expect(await told('second')).toBe(true);
    });
  },
  [17],
);

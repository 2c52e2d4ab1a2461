// A stream that is read again in full while its pipeline goes on: nothing else is, and its table stays in use.
import { expect, test } from 'vitest';

import { openDestination, openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { PipelineSpec, RunEvent, RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';
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

interface Following extends AsyncDisposable {
  readonly events: readonly RunEvent[];
  /** Tells it to end. */
  stop(): Promise<RunResult>;
}

const NAME = 'resyncing';

async function follow(
  server: ServerConnection,
  { source, copy }: Copied,
  more: Partial<PipelineSpec> = {},
): Promise<Following> {
  const from = await resolveSystem(server.url(source));
  const to = await resolveSystem(server.url(copy));
  const drain = new AbortController();
  const events: RunEvent[] = [];
  const running = runPipeline(
    { kind: 'replicate', untilCaughtUp: false },
    { ...TEST_SPEC, name: NAME, ...more },
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
    stop,
    [Symbol.asyncDispose]: async () => {
      await stop();
    },
  };
}

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
      await using running = await follow(server, on, { resync });
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
      await using running = await follow(server, on, { resync });
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
      await using running = await follow(server, on, { resync });
      await server.query(
        on.source,
        `insert into bare values (1, 'came'); delete from bare where a = 2`,
      );
      await expectEqual(on, ['orders', 'bare', 'others']);
      expect((await running.stop()).error).toBeNull();
    });

    test('a table that is replaced stays as it is until the new one takes its place', async () => {
      const on = await databases(server);
      const load = 'replace' as const;
      {
        await using running = await follow(server, on, { load });
        await settled(on);
        await running.stop();
      }
      await server.query(on.copy, bent);
      const resync = [{ demand: 'first', streams: ['public.orders'] }];
      await using running = await follow(server, on, { load, resync });
      await server.query(on.source, `insert into orders values (9001, 'while it was read')`);
      await expectEqual(on, ['orders', 'bare']);
      expect(await on.rows(on.copy, 'select note from others where id = 1')).toEqual([['bent']]);
      expect((await running.stop()).error).toBeNull();
    });

    test('a demand is taken up once; another one is another', async () => {
      const on = await databases(server);
      {
        await using running = await follow(server, on);
        await settled(on);
        await running.stop();
      }
      const told = async (demand: string): Promise<boolean> => {
        const resync = [{ demand, streams: ['public.orders'] }];
        await using running = await follow(server, on, { resync });
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

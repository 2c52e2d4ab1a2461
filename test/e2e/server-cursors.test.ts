// Streams that are read by ranges of a column under the server: killed in the middle, brought in parts, with a key and
// without one, no row is lost and none stands twice.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };
const TABLES = ['keyed', 'loose'] as const;

describe.skipIf(server === null)('streams with a cursor', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-cursors-'));
  let source: string;
  let copy: string;
  let running: ServerProcess;
  const ids: string[] = [];

  const start = async (environment: Readonly<Record<string, string>> = {}): Promise<void> => {
    const token = running?.token() ?? '';
    running = await startServerProcess(['--data-dir', join(folder, 'data')], environment);
    if (token === '') await running.setUp();
    else running.useToken(token);
  };
  const pipeline = async (more: Readonly<Record<string, unknown>>): Promise<string> => {
    const { status, body } = await running.post('/api/v1/pipelines', {
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      ...more,
    });
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  };
  const completed = (execution: string): Promise<unknown> =>
    eventually(async () => {
      const { status } = await running.execution(execution);
      return status === 'completed';
    }, LONG);
  const expectEqual = async (layer: 'bronze' | 'silver', table: string): Promise<void> => {
    const there = await server.query(
      source,
      `select id, at::text, page from ${table} order by 1, 2, 3`,
    );
    const here = await server.query(
      copy,
      `select id, at::text, page from ${layer}.${table} order by 1, 2, 3`,
    );
    expect(here).toEqual(there);
  };

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
    for (const table of TABLES)
      await server.query(
        source,
        `create table ${table} (id int, at timestamptz, page text);
         insert into ${table} select i, timestamptz '2024-01-01 00:00+00' + i * interval '6 hours', 'p' || i
         from generate_series(1, 40) i`,
      );
    await server.query(source, 'alter table keyed add primary key (id)');
    await start();
    for (const [name, database] of [
      ['source', source],
      ['copy', copy],
    ] as const) {
      const { body } = await running.post('/api/v1/connections', {
        name,
        connector_type: 'postgres',
        config: { connection_string: server.url(database) },
      });
      ids.push(String(body['id']));
    }
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test.each(['bronze.beforeNotes', 'bronze.afterCursors'])(
    'an execution that dies at %s reads again what it had read',
    async (place) => {
      const streams = TABLES.map((table) => ({ stream: `public.${table}`, cursor_column: 'at' }));
      const id = await pipeline({ name: place, streams });
      expect(await running.execute(id)).toMatchObject({ status: 'completed' });
      for (const table of TABLES) {
        await expectEqual('silver', table);
        await server.query(
          source,
          `insert into ${table} select max(id) + i, max(at) + i * interval '1 hour', 'new' from ${table}, generate_series(1, 5) i group by i`,
        );
      }
      await running[Symbol.asyncDispose]();
      await start({ FOREBAY_FAILPOINTS: `${place}=kill` });
      const { body } = await running.post('/api/v1/etl/trigger', { pipeline_id: id });
      await running.exited;
      await start();
      await completed(String(body['execution_id']));
      for (const table of TABLES) await expectEqual('silver', table);
      expect(await running.execute(id)).toMatchObject({ status: 'completed' });
      for (const table of TABLES) await expectEqual('silver', table);
    },
  );

  test('days that a backfill brings in parts are all there', async () => {
    const streams = TABLES.map((table) => ({ stream: `public.${table}`, cursor_column: 'at' }));
    const id = await pipeline({ name: 'parts', streams });
    await server.query(copy, 'drop schema if exists bronze, silver, _forebay cascade');
    const { body } = await running.post(`/api/v1/pipelines/${id}/backfill`, {
      date_range: { start: '2024-01-01', end: '2024-02-01' },
      range_days: 2,
      parallel: 3,
    });
    await completed(String(body['execution_id']));
    for (const table of TABLES) {
      await expectEqual('bronze', table);
      await expectEqual('silver', table);
    }
  });

  test('without a silver layer bronze keeps what each execution brought', async () => {
    await server.query(
      source,
      `create table visits (id int, at timestamptz, page text);
      insert into visits values (1, '2024-01-01', 'a')`,
    );
    const id = await pipeline({
      name: 'visits',
      streams: [{ stream: 'public.visits', cursor_column: 'at' }],
      layers: { silver: false, gold: false },
    });
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    for (const day of [2, 3]) {
      await server.query(source, `insert into visits values (${day}, '2024-01-0${day}', 'b')`);
      expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    }
    const found = await server.query(copy, 'select distinct id from bronze.visits order by 1');
    expect(found).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });
});

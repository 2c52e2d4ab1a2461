// The server as a user has it: from setup to the quality of the data, over HTTP alone.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readDuckdb } from '../support/duckdb-read.ts';
import { startServerProcess, type ServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const SECRET_KEY = Buffer.alloc(32, 7).toString('base64');

describe.skipIf(server === null).each(['sqlite', 'postgres'] as const)('server (%s)', (store) => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-server-'));
  const warehouse = join(folder, 'warehouse.duckdb');
  let source: string;
  let metadata: string | null = null;
  let running: ServerProcess;
  const start = (): Promise<ServerProcess> =>
    startServerProcess(
      ['--data-dir', join(folder, 'data')],
      metadata === null
        ? {}
        : { FOREBAY_DATABASE_URL: server.url(metadata), FOREBAY_SECRET_KEY: SECRET_KEY },
    );

  beforeAll(async () => {
    source = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key, status text, total numeric(10,2), updated_at timestamptz default now());
       insert into orders select i, case when i % 10 = 0 then null else 'paid' end, i from generate_series(1, 100) i`,
    );
    mkdirSync(join(folder, 'data', 'models'), { recursive: true });
    writeFileSync(
      join(folder, 'data', 'models', 'paid.sql'),
      '---\nmaterialization: table\n---\nselect count(*) as orders, sum(total) as total from silver.orders\n',
    );
    if (store === 'postgres') metadata = await server.createDatabase();
    running = await start();
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('from the setup token to bronze, silver and their quality', async () => {
    await running.setUp();
    const url = new URL(server.url(source));
    const from = await running.post('/api/v1/connections', {
      name: 'shop',
      connector_type: 'postgres',
      config: {
        host: url.searchParams.get('host') ?? url.hostname,
        port: Number(url.port || url.searchParams.get('port')),
        database: source,
        user: decodeURIComponent(url.username),
        password: decodeURIComponent(url.password),
      },
    });
    expect(from).toMatchObject({
      status: 201,
      body: { config: { password: null }, has_secret: true },
    });
    const to = await running.post('/api/v1/connections', {
      name: 'warehouse',
      connector_type: 'duckdb',
      config: { path: warehouse },
    });
    for (const { body } of [from, to]) {
      const tested = await running.post(`/api/v1/connections/${String(body['id'])}/test`);
      expect(tested).toMatchObject({ status: 200, body: { success: true } });
    }
    const catalog = await running.get(`/api/v1/connections/${String(from.body['id'])}/catalog`);
    expect(catalog.body).toMatchObject({ streams: [{ stream: 'public.orders', key: ['id'] }] });
    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'orders',
      source_connection_id: from.body['id'],
      destination_connection_id: to.body['id'],
      streams: ['public.orders'],
      layers: { models: ['paid'] },
      quality_rules: [{ rule: 'not_null', columns: ['status'], action: 'filter' }],
    });
    expect(pipeline.status).toBe(201);
    const id = String(pipeline.body['id']);
    const first = await running.execute(id);
    expect(first).toMatchObject({
      status: 'completed',
      layers: {
        bronze: { status: 'completed', records: 100 },
        silver: { status: 'completed', records: 90, records_filtered: 10 },
        gold: { status: 'completed', tables_updated: ['paid'] },
      },
    });
    await server.query(
      source,
      `update orders set total = 0 where id = 1; delete from orders where id = 2;
      update orders set id = 500 where id = 3;
      insert into orders values (101, 'paid', 1)`,
    );
    const second = await running.execute(id);
    expect(second).toMatchObject({ status: 'completed', layers: { bronze: { records: 4 } } });
    const rows = await readDuckdb(
      warehouse,
      'select cast(count(*) as varchar), cast(min(total) as varchar) from silver.orders',
    );
    expect(rows).toEqual([['90', '0.00']]);
    const moved = 'select cast(id as varchar) from silver.orders where id in (3, 500)';
    expect(await readDuckdb(warehouse, moved)).toEqual([['500']]);
    const paid = await readDuckdb(warehouse, 'select cast(total as varchar) from gold.paid');
    expect(paid).toEqual([['4498.00']]);
    const quality = await running.get('/api/v1/etl/data-quality');
    expect(quality.body).toMatchObject({
      quality_metrics: { last_24h: { issues: { missing_fields: 10 } } },
      by_pipeline: [{ pipeline_id: id }],
    });
    const logs = await running.get(`/api/v1/etl/executions/${String(first['id'])}/logs`);
    const messages = (logs.body['logs'] as { message: string }[]).map(({ message }) => message);
    expect(messages).toContain('Fetched 100 records');
  });

  test('an execution goes on where it was when the server is killed, and ends once', async () => {
    await server.query(
      source,
      `create table big (id int primary key, pad text);
       insert into big select i, repeat('x', 200) from generate_series(1, 300000) i`,
    );
    const { body } = await running.get('/api/v1/connections');
    const connections = body['connections'] as { id: string; connector_type: string }[];
    const idOf = (type: string) =>
      connections.find((connection) => connection.connector_type === type)?.id;
    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'big',
      source_connection_id: idOf('postgres'),
      destination_connection_id: idOf('duckdb'),
      streams: ['public.big'],
      layers: { gold: false },
    });
    const token = running.token();
    for (const wait of [0, 300, 900]) {
      const started = await running.post('/api/v1/etl/trigger', {
        pipeline_id: pipeline.body['id'],
      });
      const id = String(started.body['execution_id']);
      await delay(wait);
      await running.kill('SIGKILL');
      running = await start();
      running.useToken(token);
      let last: Record<string, unknown> = {};
      await eventually(
        async () => {
          last = await running.execution(id);
          return ['completed', 'failed'].includes(String(last['status']));
        },
        { timeoutMs: 60_000 },
      );
      expect(last).toMatchObject({ status: 'completed', error: null });
    }
    const rows = await readDuckdb(
      warehouse,
      `select cast(count(*) as varchar), cast(count(distinct id) as varchar) from silver.big`,
    );
    expect(rows).toEqual([['300000', '300000']]);
    const again = await readDuckdb(
      warehouse,
      "select cast(count(*) as varchar) from bronze.big where _forebay_op = 'r'",
    );
    expect(again).toEqual([['300000']]);
  });

  test('a schedule starts executions, each of its times once, and stops when it is paused', async () => {
    await server.query(source, 'create table ticks (id int primary key)');
    const { body } = await running.get('/api/v1/connections');
    const connections = body['connections'] as { id: string; connector_type: string }[];
    const idOf = (type: string) =>
      connections.find((connection) => connection.connector_type === type)?.id;
    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'ticks',
      source_connection_id: idOf('postgres'),
      destination_connection_id: idOf('duckdb'),
      streams: ['public.ticks'],
      layers: { gold: false },
      schedule_type: 'interval',
      interval_seconds: 2,
    });
    expect(pipeline).toMatchObject({ status: 201, body: { next_run_at: expect.any(String) } });
    const id = String(pipeline.body['id']);
    const list = async () => {
      const answer = await running.get(`/api/v1/etl/executions?pipeline_id=${id}&status=completed`);
      return answer.body['executions'] as { id: string; status: string }[];
    };
    await eventually(async () => (await list()).length >= 3, { timeoutMs: 60_000 });
    for (const { id: execution } of await list())
      expect(await running.execution(execution)).toMatchObject({ trigger: 'schedule' });
    const schedules = await running.get('/api/v1/schedules');
    const [own] = (schedules.body['schedules'] as { id: string; pipeline_id: string }[]).filter(
      ({ pipeline_id }) => pipeline_id === id,
    );
    const read = await running.get(`/api/v1/schedules/${own?.id ?? ''}`);
    const paused = await running.post(`/api/v1/schedules/${own?.id ?? ''}/pause`, undefined, {
      'if-match': read.headers.get('etag') ?? '',
    });
    expect(paused).toMatchObject({ status: 200, body: { is_paused: true, next_run_at: null } });
  });

  test('no password and no row value is in the log, the metadata or an answer', async () => {
    const password = decodeURIComponent(new URL(server.url(source)).password);
    expect(password.length).toBeGreaterThan(8);
    const seen = [running.stderr()];
    for (const path of ['/api/v1/connections', '/api/v1/etl/executions', '/api/v1/pipelines'])
      seen.push(JSON.stringify((await running.get(path)).body));
    for (const file of ['forebay.db', 'forebay.db-wal'])
      if (store === 'sqlite') seen.push(readFileSync(join(folder, 'data', file), 'latin1'));
    for (const text of seen) expect(text.includes(password)).toBe(false);
  });
});

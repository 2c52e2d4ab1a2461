// The server as a user has it: from setup to the quality of the data, over HTTP alone.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readDuckdb } from '../support/duckdb-read.ts';
import { startServerProcess, type ServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

describe.skipIf(server === null)('server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-server-'));
  const warehouse = join(folder, 'warehouse.duckdb');
  let source: string;
  let running: ServerProcess;

  beforeAll(async () => {
    source = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key, status text, total numeric(10,2), updated_at timestamptz default now());
       insert into orders select i, case when i % 10 = 0 then null else 'paid' end, i from generate_series(1, 100) i`,
    );
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
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
      layers: { gold: false },
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
        gold: { status: 'skipped' },
      },
    });
    await server.query(
      source,
      `update orders set total = 0 where id = 1; delete from orders where id = 2;
      insert into orders values (101, 'paid', 1)`,
    );
    const second = await running.execute(id);
    expect(second).toMatchObject({ status: 'completed', layers: { bronze: { records: 3 } } });
    const rows = await readDuckdb(
      warehouse,
      'select cast(count(*) as varchar), cast(min(total) as varchar) from silver.orders',
    );
    expect(rows).toEqual([['90', '0.00']]);
    const quality = await running.get('/api/v1/etl/data-quality');
    expect(quality.body).toMatchObject({
      quality_metrics: { last_24h: { issues: { missing_fields: 10 } } },
      by_pipeline: [{ pipeline_id: id }],
    });
    const logs = await running.get(`/api/v1/etl/executions/${String(first['id'])}/logs`);
    const messages = (logs.body['logs'] as { message: string }[]).map(({ message }) => message);
    expect(messages).toContain('Fetched 100 records');
  });
});

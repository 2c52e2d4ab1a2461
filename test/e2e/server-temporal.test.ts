// The same server with PostgreSQL for its metadata and a Temporal cluster with two workers, one of them killed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import {
  startServerProcess,
  startWorkerProcess,
  type WorkerProcess,
} from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 120_000 };

describe.skipIf(server === null || findTemporal() === null)('server over Temporal', () => {
  if (server === null) return;
  test('executions end with every row once, also when a worker is killed in the middle of them', async () => {
    await using cluster = await startTemporal(['platform-etl']);
    if (cluster === null) return;
    const folder = mkdtempSync(join(tmpdir(), 'fb-temporal-server-'));
    const source = await server.createDatabase();
    const copy = await server.createDatabase();
    const metadata = await server.createDatabase();
    await server.query(
      source,
      `create table big (id int primary key, pad text);
         insert into big select i, repeat('x', 200) from generate_series(1, 300000) i`,
    );
    const environment = {
      FOREBAY_DATABASE_URL: server.url(metadata),
      FOREBAY_SECRET_KEY: Buffer.alloc(32, 9).toString('base64'),
      FOREBAY_TEMPORAL_ADDRESS: cluster.address,
    };
    const args = ['--data-dir', join(folder, 'data')];
    await using running = await startServerProcess(args, environment);
    const workers: WorkerProcess[] = [];
    for (let count = 0; count < 2; count += 1)
      workers.push(await startWorkerProcess(args, environment));
    await running.setUp();
    const ids: string[] = [];
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
    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'big',
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      streams: ['public.big'],
      layers: { gold: false },
    });
    const id = String(pipeline.body['id']);
    const started = await running.post('/api/v1/etl/trigger', { pipeline_id: id });
    const execution = String(started.body['execution_id']);
    await eventually(
      async () => (await running.execution(execution))['status'] === 'running',
      LONG,
    );
    await delay(300);
    await workers.shift()?.kill('SIGKILL');
    let last: Record<string, unknown> = {};
    await eventually(async () => {
      last = await running.execution(execution);
      return ['completed', 'failed'].includes(String(last['status']));
    }, LONG);
    expect(last, workers.map((worker) => worker.stderr()).join('\n')).toMatchObject({
      status: 'completed',
      run_id: expect.any(String),
      layers: { silver: { status: 'completed', records: 300_000 } },
    });
    await using client = await server.connect(copy);
    const { rows } = await client.query<unknown[]>({
      text: `select (select count(*)::int from silver.big), (select count(*)::int from bronze.big)`,
      rowMode: 'array',
    });
    expect(rows).toEqual([[300_000, 300_000]]);
    for (const worker of workers) await worker[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }, 240_000);
});

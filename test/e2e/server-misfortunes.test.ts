// A server whose own metadata or cluster fail under it: it says so, nothing is lost or done twice, and what was begun
// goes on when they are back.
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';

import { afterAll, describe, expect, test } from 'vitest';

import {
  type ServerProcess,
  startServerProcess,
  startWorkerProcess,
} from '../support/control-server.ts';
import { findServer, startServer } from '../support/servers.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const spec = findServer(17);
const LONG = { timeoutMs: 120_000, intervalMs: 100 };
const ROWS = 200_000;

/** A small disk of its own, where this user may have one. */
function mountSmall(folder: string): boolean {
  mkdirSync(folder);
  const options = ['-t', 'tmpfs', '-o', 'size=6m', 'tmpfs', folder];
  return spawnSync('mount', options, { stdio: 'ignore' }).status === 0;
}

describe.skipIf(server === null || spec === null)('a server whose own systems fail', () => {
  if (server === null || spec === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-misfortunes-'));
  const small = join(folder, 'small');
  const isMounted = mountSmall(small);
  afterAll(() => {
    if (isMounted) execFileSync('umount', [small]);
    rmSync(folder, { recursive: true });
  });

  interface Begun {
    readonly copy: string;
    readonly execution: string;
    readonly connection: string;
  }

  /** An execution that takes some seconds, and is under way. */
  const begin = async (running: ServerProcess): Promise<Begun> => {
    const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
    await server.query(
      source,
      `create table big (id int primary key, pad text);
       insert into big select i, repeat('x', 100) from generate_series(1, ${ROWS}) i`,
    );
    const ids: string[] = [];
    for (const database of [source, copy]) {
      const made = await running.post('/api/v1/connections', {
        name: database,
        connector_type: 'postgres',
        config: { connection_string: server.url(database) },
      });
      ids.push(String(made.body['id']));
    }
    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'big',
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      streams: ['public.big'],
      layers: { gold: false },
    });
    const started = await running.post('/api/v1/etl/trigger', {
      pipeline_id: pipeline.body['id'],
    });
    const execution = String(started.body['execution_id']);
    await eventually(
      async () => (await running.execution(execution))['status'] === 'running',
      LONG,
    );
    return { copy, execution, connection: String(ids[0]) };
  };

  const expectWhole = async (running: ServerProcess, { copy, execution }: Begun): Promise<void> => {
    let last: Record<string, unknown> = {};
    await eventually(async () => {
      last = await running.execution(execution);
      return ['completed', 'failed', 'cancelled'].includes(String(last['status']));
    }, LONG);
    expect(last['error']).toBe(null);
    expect(last, running.stderr().slice(-3000)).toMatchObject({ status: 'completed' });
    const counts = `select (select count(*)::int from bronze.big) as bronze, (select count(*)::int from silver.big) as silver`;
    expect(await server.query(copy, counts)).toEqual([{ bronze: ROWS, silver: ROWS }]);
  };

  const faults = (running: ServerProcess, code: string): number =>
    running.stderr().split(`"code":"${code}"`).length - 1;

  test.skipIf(!isMounted)('a full disk of the metadata', async () => {
    await using running = await startServerProcess(['--data-dir', join(small, 'data')]);
    await running.setUp();
    const begun = await begin(running);
    const filler = join(small, 'filler');
    expect(() => {
      for (;;) appendFileSync(filler, Buffer.alloc(4096));
    }).toThrow('ENOSPC');
    const refused = await eventually(async () => {
      const body = { name: `c${Math.random()}`, connector_type: 'duckdb', config: { path: 'x' } };
      const answer = await running.post('/api/v1/connections', body);
      return answer.status === 201 ? null : answer;
    }, LONG);
    expect(refused).toMatchObject({
      status: 507,
      body: { code: 'metadata_full', retryable: true },
    });
    expect(await running.get('/api/v1/connections')).toMatchObject({ status: 200 });
    await eventually(() => faults(running, 'metadata_full') >= 3, LONG);
    rmSync(filler);
    await expectWhole(running, begun);
  });

  test('a damaged metadata file', async () => {
    const dataDir = join(folder, 'damaged');
    {
      await using running = await startServerProcess(['--data-dir', dataDir]);
      await running.setUp();
    }
    writeFileSync(join(dataDir, 'forebay.db'), Buffer.alloc(65_536, 7));
    const { status, stderr } = spawnSync(
      execPath,
      ['src/cli/main.ts', 'server', '--port', '0', '--grpc-port', '0', '--data-dir', dataDir],
      { encoding: 'utf8' },
    );
    expect(status, stderr).toBe(1);
    expect(stderr).toContain('metadata_unreadable');
  });

  test('PostgreSQL with the metadata, gone and back', async () => {
    await using metadata = await startServer(spec);
    const database = await metadata.createDatabase();
    const environment = {
      FOREBAY_DATABASE_URL: metadata.url(database),
      FOREBAY_SECRET_KEY: Buffer.alloc(32, 4).toString('base64'),
    };
    await using running = await startServerProcess(
      ['--data-dir', join(folder, 'postgres')],
      environment,
    );
    await running.setUp();
    const begun = await begin(running);
    await metadata.stop('immediate');
    expect(await running.get('/readyz')).toMatchObject({ status: 503 });
    expect(await running.get('/livez')).toMatchObject({ status: 200 });
    expect(await running.get('/api/v1/connections')).toMatchObject({
      status: 503,
      body: { code: 'metadata_unreachable', retryable: true },
    });
    // Longer than an engine without the database keeps its runs.
    await eventually(() => faults(running, 'metadata_unreachable') >= 30, LONG);
    await metadata.start();
    await eventually(async () => (await running.get('/readyz')).status === 200, LONG);
    await expectWhole(running, begun);
  });

  test.skipIf(findTemporal() === null)(
    'PostgreSQL with the metadata, then the cluster, gone and back',
    { timeout: 240_000 },
    async () => {
      await using cluster = await startTemporal(['platform-etl']);
      if (cluster === null) return;
      await using metadata = await startServer(spec);
      const database = await metadata.createDatabase();
      const environment = {
        FOREBAY_DATABASE_URL: metadata.url(database),
        FOREBAY_SECRET_KEY: Buffer.alloc(32, 4).toString('base64'),
        FOREBAY_TEMPORAL_ADDRESS: cluster.address,
      };
      const args = ['--data-dir', join(folder, 'cluster')];
      await using running = await startServerProcess(args, environment);
      await using worker = await startWorkerProcess(args, environment);
      await running.setUp();
      const begun = await begin(running);
      await metadata.stop('immediate');
      await eventually(async () => (await running.get('/readyz')).status === 503, LONG);
      await eventually(() => faults(running, 'metadata_unreachable') >= 10, LONG);
      await metadata.start();
      await expectWhole(running, begun);
      const again = await running.post('/api/v1/etl/trigger', {
        pipeline_id: (await running.execution(begun.execution))['pipeline_id'],
      });
      await cluster.kill();
      // It was taken down as soon as it was asked for, and starts when there is somebody to do it.
      expect(again).toMatchObject({ status: 200 });
      await eventually(() => faults(running, 'orchestrator_unreachable') >= 1, LONG);
      expect(await running.get('/readyz')).toMatchObject({
        status: 503,
        body: { checks: { metadata: 'ok', temporal: 'failed' } },
      });
      await cluster.restart();
      await eventually(async () => (await running.get('/readyz')).status === 200, LONG);
      await expectWhole(running, { ...begun, execution: String(again.body['execution_id']) });
      expect(worker.stderr()).not.toContain('UnhandledPromiseRejection');
    },
  );
});

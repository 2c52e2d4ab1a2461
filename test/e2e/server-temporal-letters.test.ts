// Dead letters over a Temporal cluster: a worker dies between a letter and its place in the index.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { startServerProcess, startWorkerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 150_000 };

describe.skipIf(server === null || findTemporal() === null)('dead letters over Temporal', () => {
  if (server === null) return;
  test('are told of once, also when a worker dies in between', { timeout: 240_000 }, async () => {
    await using cluster = await startTemporal(['platform-etl']);
    if (cluster === null) return;
    const folder = mkdtempSync(join(tmpdir(), 'fb-temporal-letters-'));
    const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
    await server.query(
      source,
      `create table people (id int primary key, name text);
       insert into people select i, 'name-' || i from generate_series(1, 9) i`,
    );
    await server.query(
      copy,
      `create table people (id int primary key, name text check (name not like '%-4'))`,
    );
    const environment = {
      FOREBAY_DATABASE_URL: server.url(await server.createDatabase()),
      FOREBAY_SECRET_KEY: Buffer.alloc(32, 9).toString('base64'),
      FOREBAY_TEMPORAL_ADDRESS: cluster.address,
    };
    const args = ['--data-dir', join(folder, 'data')];
    await using running = await startServerProcess(args, environment);
    const mortal = { ...environment, FOREBAY_FAILPOINTS: 'letters.insideIndex=kill' };
    await using first = await startWorkerProcess(args, mortal);
    await running.setUp();
    const make = async (path: string, content: object): Promise<string> => {
      const { status, body } = await running.post(`/api/v1/${path}`, content);
      expect({ status, body }).toMatchObject({ status: 201 });
      return String(body['id']);
    };
    const connect = (name: string, database: string) =>
      make('connections', {
        name,
        connector_type: 'postgres',
        config: { connection_string: server.url(database) },
      });
    const id = await make('pipelines', {
      name: 'follow',
      kind: 'replication',
      source_connection_id: await connect('source', source),
      destination_connection_id: await connect('copy', copy),
      streams: ['public.people'],
    });
    await running.post(`/api/v1/pipelines/${id}/start`);
    await first.ended;
    await using second = await startWorkerProcess(args, environment);
    const [letter] = await eventually(async () => {
      const { body } = await running.get('/api/v1/dead-letters');
      const letters = body['dead_letters'] as { execution_id: string }[];
      expect(letters).toHaveLength(1);
      return letters;
    }, LONG);
    const execution = letter?.execution_id ?? '';
    expect(await running.execution(execution)).toMatchObject({ records_failed: 1 });
    const replayed = await running.post('/api/v1/dead-letters/replay', { pipeline_id: id });
    expect(replayed.body).toMatchObject({ replayed: 0, failed: 1, remaining: 1 });
    await running.post(`/api/v1/pipelines/${id}/stop`);
    await eventually(
      async () => (await running.execution(execution))['status'] === 'completed',
      LONG,
    );
    expect(await running.execution(execution)).toMatchObject({ records_failed: 1 });
    const { events } = (await running.get('/api/v1/events')).body;
    const told = (events as { type: string }[]).filter(({ type }) => type === 'records.rejected');
    expect(told, second.stderr()).toHaveLength(1);
    rmSync(folder, { recursive: true });
  });
});

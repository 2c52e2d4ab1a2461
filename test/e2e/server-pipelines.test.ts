// Pipelines that follow their source under the server, backfills, incremental reads, and what is refused.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };

describe.skipIf(server === null)('pipelines of the server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-server-'));
  let source: string;
  let copy: string;
  let running: ServerProcess;
  const ids: string[] = [];

  const connect = async (name: string, database: string): Promise<string> => {
    const { status, body } = await running.post('/api/v1/connections', {
      name,
      connector_type: 'postgres',
      config: { connection_string: server.url(database) },
    });
    expect(status).toBe(201);
    return String(body['id']);
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
  const rows = async (sql: string): Promise<unknown> => {
    await using client = await server.connect(copy);
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  };

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
    await server.query(
      source,
      `create table items (id int primary key, name text);
       insert into items select i, 'name ' || i from generate_series(1, 50) i;
       create table events (id int primary key, happened timestamptz, what text);
       insert into events select i, timestamptz '2024-01-01 00:00+00' + i * interval '1 hour', 'e' || i
       from generate_series(0, 239) i`,
    );
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    await running.setUp();
    ids.push(await connect('source', source), await connect('copy', copy));
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('a replication follows, pauses, goes on, outlives the server and stops', async () => {
    const id = await pipeline({ name: 'follow', kind: 'replication', streams: ['public.items'] });
    const act = async (action: string): Promise<unknown> =>
      (await running.post(`/api/v1/pipelines/${id}/${action}`)).body['state'];
    const until = (sql: string, wanted: unknown): Promise<unknown> =>
      eventually(async () => {
        expect(await rows(sql)).toEqual(wanted);
        return true;
      }, LONG);
    expect(await act('start')).toBe('starting');
    await until('select count(*)::int from items', [[50]]);
    await server.query(source, `update items set name = 'new' where id = 1`);
    await until('select name from items where id = 1', [['new']]);
    await eventually(async () => (await act('pause')) === 'paused', LONG);
    await eventually(async () => {
      const slots = await server.query(
        'postgres',
        'select active from pg_replication_slots where database = $1',
        [source],
      );
      return slots.every(({ active }) => active === false);
    }, LONG);
    await server.query(source, `insert into items values (51, 'later')`);
    expect(await rows('select count(*)::int from items')).toEqual([[50]]);
    expect(await act('resume')).toBe('running');
    await until('select count(*)::int from items', [[51]]);
    const token = running.token();
    await running.kill('SIGKILL');
    await server.query(source, `insert into items values (52, 'while it was gone')`);
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    running.useToken(token);
    await until('select count(*)::int from items', [[52]]);
    const compared = await running.post(`/api/v1/pipelines/${id}/compare`);
    expect(compared).toMatchObject({
      status: 200,
      body: { identical: true, streams: [{ source_rows: 52, destination_rows: 52 }] },
    });
    await rows(`update items set name = 'bent' where id = 7`);
    const bent = await running.post(`/api/v1/pipelines/${id}/compare`);
    expect(bent.body).toMatchObject({ identical: false, streams: [{ differing_rows: 1 }] });
    await act('stop');
    await eventually(async () => {
      const { body } = await running.get(`/api/v1/etl/executions?pipeline_id=${id}`);
      const [last] = body['executions'] as { status: string }[];
      return last?.status === 'completed';
    }, LONG);
  });

  test('a stream with a cursor goes on from its last value; days can be read again', async () => {
    const id = await pipeline({
      name: 'events',
      streams: [{ stream: 'public.events', cursor_column: 'happened', lookback_seconds: 3600 }],
      layers: { gold: false },
    });
    expect(await running.execute(id)).toMatchObject({
      status: 'completed',
      layers: { bronze: { records: 240 }, silver: { records: 240 } },
    });
    await server.query(
      source,
      `insert into events values (240, timestamptz '2024-01-11 00:00+00', 'new');
       update events set what = 'late' where id = 3`,
    );
    // The last hour is looked at again: two rows that were there, and the new one.
    expect(await running.execute(id)).toMatchObject({
      status: 'completed',
      layers: { bronze: { records: 3 } },
    });
    expect(await rows('select what from silver.events where id = 3')).toEqual([['e3']]);
    const ranged = { date_range: { start: '2024-01-01', end: '2024-01-01' } };
    expect(await running.execute(id, ranged)).toMatchObject({
      status: 'completed',
      layers: { bronze: { records: 24 } },
    });
    expect(await rows('select what from silver.events where id = 3')).toEqual([['late']]);
    await server.query(source, `update events set what = 'filled' where id between 48 and 71`);
    const started = await running.post(`/api/v1/pipelines/${id}/backfill`, {
      date_range: { start: '2024-01-02', end: '2024-01-05' },
      range_days: 1,
      parallel: 2,
    });
    expect(started.status).toBe(200);
    const execution = String(started.body['execution_id']);
    await eventually(
      async () => (await running.execution(execution))['status'] === 'completed',
      LONG,
    );
    const filled = `select count(*)::int from silver.events where what = 'filled'`;
    expect(await rows(filled)).toEqual([[24]]);
    expect(await rows('select count(*)::int, count(distinct id)::int from silver.events')).toEqual([
      [241, 241],
    ]);
    const refused = await running.post('/api/v1/etl/trigger', {
      pipeline_id: await pipeline({ name: 'no days', streams: ['public.items'] }),
      parameters: ranged,
    });
    expect(refused).toMatchObject({ status: 422, body: { code: 'request_unprocessable' } });
  });

  test('an ingestion lands rows in bronze, and builds nothing of them', async () => {
    await server.query(
      source,
      `create table landed (id int primary key, name text); insert into landed values (1, 'a'), (2, 'b')`,
    );
    const id = await pipeline({ name: 'landed', kind: 'ingestion', streams: ['public.landed'] });
    expect(await running.execute(id)).toMatchObject({
      status: 'completed',
      run_id: expect.any(String),
      layers: {
        bronze: { status: 'completed', records: 2 },
        silver: { status: 'skipped' },
        gold: { status: 'skipped' },
      },
    });
    const tables = `select table_schema::text from information_schema.tables where table_name = 'landed'`;
    expect(await rows(tables)).toEqual([['bronze']]);
    expect(await rows('select name from bronze.landed order by id')).toEqual([['a'], ['b']]);
  });

  test('a table without a key is in silver as it was read last', async () => {
    await server.query(
      source,
      `create table loose (name text); insert into loose values ('a'), ('a'), ('b');
       alter table loose replica identity full`,
    );
    const id = await pipeline({ name: 'loose', streams: ['public.loose'] });
    const expectSilver = async (names: readonly string[]): Promise<void> => {
      expect(await running.execute(id)).toMatchObject({ status: 'completed' });
      const found = await rows(`select name from silver.loose order by 1`);
      expect(found).toEqual(names.map((name) => [name]));
    };
    await expectSilver(['a', 'a', 'b']);
    await expectSilver(['a', 'a', 'b']);
    await server.query(
      source,
      `delete from loose where name = 'b'; insert into loose values ('c')`,
    );
    await expectSilver(['a', 'a', 'c']);
    await server.query(source, `update loose set name = 'd' where name = 'c'`);
    await expectSilver(['a', 'a', 'd']);
    await server.query(source, 'delete from loose');
    await expectSilver([]);
  });

  test('without a key and without silver changes are followed; with silver they are not, and no slot is left', async () => {
    await server.query(
      source,
      `create table log (name text); insert into log values ('a'), ('b');
       alter table log replica identity full`,
    );
    const id = await pipeline({
      name: 'log',
      streams: ['public.log'],
      layers: { silver: false, gold: false },
    });
    const slots = async (): Promise<number> => {
      const name = `forebay_p_${id.replaceAll('-', '')}`;
      const sql = 'select 1 from pg_replication_slots where slot_name = $1';
      return (await server.query(source, sql, [name])).length;
    };
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    await server.query(source, `update log set name = 'c' where name = 'b'`);
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    expect(await rows(`select _forebay_op, name from bronze.log order by 1, 2`)).toEqual([
      ['r', 'a'],
      ['r', 'b'],
      ['u', 'c'],
    ]);
    expect(await slots()).toBe(1);
    const layers = { silver: true, gold: false };
    const changed = await running.patch(`/api/v1/pipelines/${id}`, { layers }, { 'if-match': '*' });
    expect(changed).toMatchObject({ status: 200 });
    await server.query(source, `delete from log where name = 'a'; insert into log values ('d')`);
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    expect(await rows(`select name from silver.log order by 1`)).toEqual([['c'], ['d']]);
    expect(await slots()).toBe(0);
  });

  test('without a key, with a cursor: rows that are read again stand once, rows without a value come', async () => {
    await server.query(
      source,
      `create table visits (at timestamptz, page text);
       insert into visits values ('2024-01-01', 'a'), ('2024-01-02', 'b'), ('2024-01-02', 'b'), (null, 'c')`,
    );
    const streams = [{ stream: 'public.visits', cursor_column: 'at' }];
    const id = await pipeline({ name: 'visits', streams });
    const expectEqual = async (): Promise<void> => {
      const all = `select at::text, page from`;
      const there = await server.query(source, `${all} visits order by 1, 2`);
      const here = await server.query(copy, `${all} silver.visits order by 1, 2`);
      expect(here).toEqual(there);
    };
    for (const change of [
      'select 1',
      'select 1',
      `insert into visits values ('2024-01-02', 'b'), (null, 'c'), (null, 'd'), ('2024-01-03', 'e')`,
    ]) {
      await server.query(source, change);
      expect(await running.execute(id)).toMatchObject({ status: 'completed' });
      await expectEqual();
    }
    const { body } = await running.post(`/api/v1/pipelines/${id}/backfill`, {
      date_range: { start: '2024-01-01', end: '2024-01-03' },
      range_days: 1,
    });
    const backfill = String(body['execution_id']);
    await eventually(
      async () => (await running.execution(backfill))['status'] === 'completed',
      LONG,
    );
    await expectEqual();
  });

  test('an execution whose source is gone is tried again, says so, and can be cancelled', async () => {
    const id = await pipeline({ name: 'lost', streams: ['public.items'] });
    const gone = await running.post('/api/v1/connections', {
      name: 'gone',
      connector_type: 'postgres',
      config: { host: '127.0.0.1', port: 1, database: 'd', user: 'u', password: 'nobody knows' },
    });
    const tested = await running.post(`/api/v1/connections/${String(gone.body['id'])}/test`);
    expect(tested).toMatchObject({ status: 200, body: { success: false } });
    const lost = await running.post('/api/v1/pipelines', {
      name: 'lost source',
      source_connection_id: gone.body['id'],
      destination_connection_id: ids[1],
      streams: ['public.items'],
    });
    const started = await running.post('/api/v1/etl/trigger', { pipeline_id: lost.body['id'] });
    const execution = String(started.body['execution_id']);
    const told = await eventually(async () => {
      const found = await running.execution(execution);
      return found['retry'] === null ? null : found;
    }, LONG);
    expect(told).toMatchObject({ status: 'running', retry: { error: { code: 'unreachable' } } });
    const next = await running.post('/api/v1/etl/trigger', { pipeline_id: lost.body['id'] });
    const waiting = String(next.body['execution_id']);
    await running.post(`/api/v1/etl/executions/${waiting}/cancel`);
    expect(await running.execution(waiting)).toMatchObject({
      status: 'cancelled',
      started_at: null,
      layers: { bronze: { status: 'skipped' } },
    });
    expect(await running.execution(execution)).toMatchObject({ status: 'running' });
    await running.post(`/api/v1/etl/executions/${execution}/cancel`);
    await eventually(
      async () => (await running.execution(execution))['status'] === 'cancelled',
      LONG,
    );
    expect(id).not.toBe('');
  });

  test('start executes what does not follow its source, and stop cancels what runs and what waits', async () => {
    const nowhere = await running.post('/api/v1/connections', {
      name: 'nowhere',
      connector_type: 'postgres',
      config: { host: '127.0.0.1', port: 1, database: 'd', user: 'u', password: 'nobody knows' },
    });
    const id = await pipeline({
      name: 'started',
      source_connection_id: nowhere.body['id'],
      streams: ['public.items'],
    });
    const act = (action: string) => running.post(`/api/v1/pipelines/${id}/${action}`);
    const status = async (execution: unknown): Promise<unknown> =>
      (await running.execution(String(execution)))['status'];
    const first = await act('start');
    expect(first).toMatchObject({ status: 200, body: { pipeline_id: id, state: 'starting' } });
    const one = first.body['execution_id'];
    await eventually(async () => (await status(one)) === 'running', LONG);
    const two = (await act('start')).body['execution_id'];
    expect(await act('start')).toMatchObject({ status: 409, body: { code: 'execution_waits' } });
    for (const action of ['pause', 'resume', 'compare']) {
      expect(await act(action)).toMatchObject({
        status: 422,
        body: { code: 'request_unprocessable', detail: expect.stringContaining(action) },
      });
    }
    expect((await act('stop')).body).toMatchObject({ state: 'stopping', execution_id: one });
    expect(await status(two)).toBe('cancelled');
    await eventually(async () => (await status(one)) === 'cancelled', LONG);
    expect((await act('stop')).body).toMatchObject({ state: 'stopped', execution_id: null });
  });

  test('onboarding makes two connections and a pipeline that runs', async () => {
    const config = (database: string) => ({ connection_string: server.url(database) });
    const onboard = async (): Promise<Record<string, unknown>> => {
      const answer = await running.post('/api/v1/onboarding', {
        source: { name: 'first source', connector_type: 'postgres', config: config(source) },
        destination: { name: 'first copy', connector_type: 'postgres', config: config(copy) },
        pipeline: 'first pipeline',
        streams: ['public.items'],
      });
      expect(answer).toMatchObject({ status: 202, body: { status: 'running' } });
      const path = `/api/v1/onboarding/${String(answer.body['workflow_id'])}`;
      return eventually(async () => {
        const { body } = await running.get(path);
        return body['status'] === 'running' ? null : body;
      }, LONG);
    };
    const made = await onboard();
    expect(made).toMatchObject({ status: 'completed', error: null });
    const pipelines = await running.get(`/api/v1/pipelines/${String(made['pipeline_id'])}`);
    expect(pipelines.body).toMatchObject({ name: 'first pipeline', streams: ['public.items'] });
    expect(await onboard()).toMatchObject({
      status: 'failed',
      pipeline_id: null,
      error: { code: 'already_exists' },
    });
    expect(running.stderr()).not.toContain(new URL(server.url(source)).password);
  });
});

// One stream of a replication that is read again while the others go on, and a stream that is added to it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };

describe.skipIf(server === null)('streams of a replication under the server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-resync-'));
  const data = join(folder, 'data');
  let source: string;
  let copy: string;
  let running: ServerProcess;
  let token: string;
  const ids: string[] = [];

  const rows = async (database: string, sql: string): Promise<unknown[]> => {
    await using client = await server.connect(database);
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  };
  const restart = async (environment: Readonly<Record<string, string>> = {}): Promise<void> => {
    await running[Symbol.asyncDispose]();
    running = await startServerProcess(['--data-dir', data], environment);
    running.useToken(token);
  };
  const equal = (schema: string, table: string): Promise<unknown> =>
    eventually(async () => {
      const read = (database: string, of: string) =>
        rows(database, `select * from ${of}.${table} t order by id`);
      expect(await read(copy, schema)).toEqual(await read(source, 'public'));
      return true;
    }, LONG);
  const replicating = async (
    name: string,
    streams: readonly unknown[],
    more: object = {},
  ): Promise<string> => {
    const { status, body } = await running.post('/api/v1/pipelines', {
      name,
      kind: 'replication',
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      schema: name,
      streams,
      ...more,
    });
    expect({ status, body }).toMatchObject({ status: 201 });
    const id = String(body['id']);
    await running.post(`/api/v1/pipelines/${id}/start`);
    return id;
  };
  const following: string[] = [];
  const started = async (name: string, streams: readonly unknown[]): Promise<string> => {
    const id = await replicating(name, streams);
    following.push(id);
    for (const stream of streams) await equal(name, String(stream).split('.')[1] ?? '');
    return id;
  };
  const logOf = async (execution: string): Promise<readonly string[]> => {
    const { body } = await running.get(`/api/v1/etl/executions/${execution}/logs`);
    return (body['logs'] as { message: string }[]).map(({ message }) => message);
  };
  const toldTimes = async (execution: string, line: string): Promise<number> =>
    (await logOf(execution)).filter((message) => message === line).length;

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key, note text);
       insert into orders select i, 'note ' || i from generate_series(1, 2000) i;
       create table items (id int primary key, note text);
       insert into items select i, 'item ' || i from generate_series(1, 30) i;
       create table late (id int primary key, note text);
       insert into late select i, 'late ' || i from generate_series(1, 40) i`,
    );
    running = await startServerProcess(['--data-dir', data]);
    token = await running.setUp();
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
  afterEach(async () => {
    for (const id of following.splice(0)) await running.post(`/api/v1/pipelines/${id}/stop`);
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('only the stream that was asked for is read again, once per key', async () => {
    const id = await started('again', ['public.orders', 'public.items']);
    await rows(
      copy,
      `with gone as (delete from again.orders where id % 3 = 0),
         more as (insert into again.orders values (-1, 'nobody has it'))
       update again.items set note = 'bent' where id = 1`,
    );
    const ask = () =>
      running.post(
        `/api/v1/pipelines/${id}/resync`,
        { streams: ['public.orders'] },
        { 'idempotency-key': 'one' },
      );
    const first = await ask();
    expect(first).toMatchObject({
      status: 200,
      body: { pipeline_id: id, state: 'running', streams: ['public.orders'] },
    });
    await rows(source, `insert into orders values (3001, 'while it was read')`);
    await equal('again', 'orders');
    expect(await rows(copy, 'select note from again.items where id = 1')).toEqual([['bent']]);
    const again = await ask();
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    const execution = String(first.body['execution_id']);
    await eventually(
      async () => (await toldTimes(execution, 'public.orders: has been read again')) === 1,
      LONG,
    );
    expect(await toldTimes(execution, 'public.orders: is read again')).toBe(1);
    expect(await toldTimes(execution, 'public.items: is read again')).toBe(0);
    await rows(source, `update items set note = 'followed' where id = 2`);
    await eventually(async () => {
      expect(await rows(copy, 'select note from again.items where id = 2')).toEqual([['followed']]);
      return true;
    }, LONG);
  });

  test('what cannot be read again is told, with the place of it', async () => {
    const id = await started('refusing', ['public.items']);
    const path = `/api/v1/pipelines/${id}/resync`;
    expect(await running.post(path, { streams: ['public.items', 'public.nope'] })).toMatchObject({
      status: 422,
      body: { code: 'stream_not_found', errors: [{ in: 'body', pointer: '/streams/1' }] },
    });
    expect(await running.post(path, { streams: ['public.orders'] })).toMatchObject({
      status: 422,
      body: { code: 'stream_not_found', errors: [{ pointer: '/streams/0' }] },
    });
    expect(await running.post(path, { streams: [] })).toMatchObject({ status: 400 });
    await running.post(`/api/v1/pipelines/${id}/stop`);
    const refused = () => running.post(path, { streams: ['public.items'] });
    await eventually(async () => {
      expect(await refused()).toMatchObject({
        status: 422,
        body: { code: 'request_unprocessable' },
      });
      return true;
    }, LONG);
  });

  test('a demand of a paused replication waits for it', async () => {
    const id = await started('resting', ['public.items']);
    await running.post(`/api/v1/pipelines/${id}/pause`);
    await rows(copy, 'delete from resting.items where id < 10');
    const asked = await eventually(async () => {
      const answer = await running.post(`/api/v1/pipelines/${id}/resync`, {
        streams: ['public.items'],
      });
      return answer.body['state'] === 'paused' ? answer : null;
    }, LONG);
    expect(asked.status).toBe(200);
    expect(await rows(copy, 'select count(*)::int from resting.items')).toEqual([[21]]);
    await running.post(`/api/v1/pipelines/${id}/resume`);
    await equal('resting', 'items');
  });

  test('a server that is killed while a stream is read again goes on with it', async () => {
    const id = await started('killed', ['public.orders', 'public.items']);
    await restart({ FOREBAY_FAILPOINTS: 'resync.afterChunk=kill@1' });
    await rows(
      copy,
      `with gone as (delete from killed.orders where id % 2 = 0),
         more as (insert into killed.orders select -i, 'nobody has it' from generate_series(1, 50) i)
       update killed.items set note = 'bent' where id = 1`,
    );
    const asked = await running.post(`/api/v1/pipelines/${id}/resync`, {
      streams: ['public.orders'],
    });
    expect(asked.status).toBe(200);
    await running.exited;
    await rows(source, `update orders set note = 'while it was gone' where id = 4`);
    await restart();
    await equal('killed', 'orders');
    expect(await rows(copy, 'select note from killed.items where id = 1')).toEqual([['bent']]);
    const twice = 'select id from killed.orders group by id having count(*) > 1';
    expect(await rows(copy, twice)).toEqual([]);
  });

  test('a stream that is added is read, and the others are left as they are', async () => {
    const id = await started('growing', ['public.items']);
    await rows(copy, `update growing.items set note = 'bent' where id = 1`);
    const path = `/api/v1/pipelines/${id}`;
    const found = await running.get(path);
    const changed = await running.patch(
      path,
      { streams: ['public.items', 'public.late'] },
      {
        'content-type': 'application/merge-patch+json',
        'if-match': found.headers.get('etag') ?? '',
      },
    );
    expect(changed).toMatchObject({ status: 200 });
    await equal('growing', 'late');
    await rows(
      source,
      `insert into late values (100, 'followed'); update items set note = 'followed' where id = 5`,
    );
    await equal('growing', 'late');
    await eventually(async () => {
      expect(await rows(copy, 'select note from growing.items where id in (1, 5)')).toEqual(
        expect.arrayContaining([['bent'], ['followed']]),
      );
      return true;
    }, LONG);
  });

  test('a stream that is added and is not there ends nothing, and joins when it is', async () => {
    const id = await started('hoping', ['public.items']);
    const path = `/api/v1/pipelines/${id}`;
    const { headers } = await running.get(path);
    const changed = await running.patch(
      path,
      { streams: ['public.items', 'public.coming'] },
      {
        'content-type': 'application/merge-patch+json',
        'if-match': headers.get('etag') ?? '',
      },
    );
    expect(changed).toMatchObject({ status: 200 });
    const { body } = await running.get(`/api/v1/etl/executions?pipeline_id=${id}`);
    const [execution] = body['executions'] as { id: string }[];
    await eventually(async () => {
      const told = 'public.coming: is not there at the source; it joins when that has changed';
      return (await toldTimes(execution?.id ?? '', told)) === 1;
    }, LONG);
    await rows(source, `update items set note = 'still followed' where id = 7`);
    await equal('hoping', 'items');
    await rows(source, 'create table coming (id int primary key, note text)');
    await rows(source, `insert into coming values (1, 'here')`);
    await equal('hoping', 'coming');
  });

  test('the command asks for it', async () => {
    const id = await started('commanded', ['public.items']);
    await rows(copy, 'delete from commanded.items where id < 10');
    const exit = await runForebay(
      ['pipelines', 'resync', 'commanded', 'public.items', '--server', running.url, '-o', 'json'],
      { env: { FOREBAY_TOKEN: token } },
    );
    expectExit(exit, 0);
    expect(exit.json).toMatchObject({ pipeline_id: id, streams: ['public.items'] });
    await equal('commanded', 'items');
  });
});

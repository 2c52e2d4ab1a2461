// Backfills by days and keys: previewed, limited, failed in part, tried again, cancelled and killed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };

interface Output {
  readonly ranges: Readonly<Record<'total' | 'done' | 'failed' | 'not_begun', number>>;
  readonly rows: number;
  readonly stopped_by: string | null;
  readonly left: string;
}

describe.skipIf(server === null)('backfills of the server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-backfill-'));
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
  /** A table of its own: all pipelines land in one schema. */
  const pipeline = async (table: string, more: object = {}): Promise<string> => {
    await server.query(
      source,
      `create table ${table} (id int primary key, happened date, what text);
       insert into ${table} select i, date '2024-01-01' + i / 10, 'old' from generate_series(1, 1000) i`,
    );
    const { status, body } = await running.post('/api/v1/pipelines', {
      name: table,
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      streams: [`public.${table}`],
      layers: { gold: false },
      event_time_column: 'happened',
      ...more,
    });
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  };
  const ask = (id: string, body: object) => running.post(`/api/v1/pipelines/${id}/backfill`, body);
  const begin = async (id: string, body: object): Promise<string> => {
    const answer = await ask(id, body);
    expect(answer).toMatchObject({ status: 200, body: { status: 'scheduled' } });
    return String(answer.body['execution_id']);
  };
  const ended = (execution: string): Promise<Record<string, unknown> & { output: Output }> =>
    eventually(async () => {
      const found = await running.execution(execution);
      const over = ['completed', 'failed', 'cancelled'].includes(String(found['status']));
      return over ? (found as Record<string, unknown> & { output: Output }) : null;
    }, LONG);
  const backfill = async (id: string, body: object) => ended(await begin(id, body));
  /** Rows whose key is in the range are refused by the warehouse until `accept`. */
  const refuse = (table: string, from: number, to: number): Promise<unknown> =>
    server.query(
      copy,
      `create function refuse_${table}() returns trigger language plpgsql as $$
         begin
           if new.id between ${from} and ${to} then
             raise exception 'not this one' using errcode = '42501';
           end if;
           return new;
         end $$;
       create trigger refuse before insert on bronze.${table}
         for each row execute function refuse_${table}();
       alter table bronze.${table} enable always trigger refuse`,
    );
  const accept = (table: string): Promise<unknown> =>
    server.query(copy, `drop trigger refuse on bronze.${table}`);
  const inSilver = (table: string, what: string): Promise<unknown[]> =>
    rows(copy, `select count(*)::int from silver.${table} where what = '${what}'`);
  const restart = async (environment: Readonly<Record<string, string>> = {}): Promise<void> => {
    await running[Symbol.asyncDispose]();
    running = await startServerProcess(['--data-dir', data], environment);
    running.useToken(token);
  };

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
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
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('keys are read in ranges, and of a pipeline that was never executed, too', async () => {
    const id = await pipeline('fresh');
    const end = await backfill(id, {
      key_range: { column: 'id', start: 101, end: 450 },
      range_size: 100,
      parallel: 3,
    });
    expect(end).toMatchObject({
      status: 'completed',
      output: {
        ranges: { total: 4, done: 4, failed: 0, not_begun: 0 },
        rows: 350,
        stopped_by: null,
        done: [{ start: 101, end: 450 }],
        failed: [],
        not_begun: [],
        left: '',
      },
    });
    const found = 'select min(id), max(id), count(*)::int, count(distinct id)::int from';
    expect(await rows(copy, `${found} bronze.fresh`)).toEqual([[101, 450, 350, 350]]);
    expect(await rows(copy, `${found} silver.fresh`)).toEqual([[101, 450, 350, 350]]);
  });

  test('a preview tells what would be read, and starts nothing', async () => {
    const id = await pipeline('looked');
    const keys = { key_range: { column: 'id', start: 901, end: 1100 }, range_size: 150 };
    expect(await ask(id, { ...keys, preview: true })).toMatchObject({
      status: 200,
      body: {
        preview: true,
        total_ranges: 2,
        ranges: [
          { start: 901, end: 1050 },
          { start: 1051, end: 1100 },
        ],
        streams: [{ stream: 'public.looked', column: 'id', rows: 100 }],
      },
    });
    await server.query(source, 'update looked set happened = null where id = 25');
    const days = { date_range: { start: '2024-01-02', end: '2024-01-03' }, preview: true };
    expect(await ask(id, days)).toMatchObject({
      body: {
        ranges: [
          { start: '2024-01-02', end: '2024-01-02' },
          { start: '2024-01-03', end: '2024-01-03' },
        ],
        streams: [{ column: 'happened', rows: 19 }],
      },
    });
    const none = await ask(id, { key_range: { column: 'nope', start: 1, end: 2 }, preview: true });
    expect(none).toMatchObject({ status: 422, body: { code: 'column_missing' } });
    const { body } = await running.get(`/api/v1/etl/executions?pipeline_id=${id}`);
    expect(body['executions']).toEqual([]);
    expect(await rows(copy, 'select to_regclass($$bronze.looked$$)::text')).toEqual([[null]]);
    const audit = await running.get('/api/v1/audit-log');
    const actions = (audit.body['audit_log'] as { action: string; resource_id: string }[])
      .filter(({ resource_id }) => resource_id === id)
      .map(({ action }) => action);
    expect(new Set(actions)).toEqual(new Set(['pipeline.create', 'pipeline.backfill_preview']));
  });

  test('a range that fails stops no other, and alone is tried again', async () => {
    const id = await pipeline('partly');
    await running.execute(id);
    await server.query(source, `update partly set what = 'new'`);
    await refuse('partly', 301, 320);
    const keys = { key_range: { column: 'id', start: 1, end: 1000 }, range_size: 100 };
    const execution = await begin(id, { ...keys, parallel: 2 });
    expect(await ended(execution)).toMatchObject({
      status: 'failed',
      error: { code: 'privilege_missing' },
      output: {
        ranges: { total: 10, done: 9, failed: 1, not_begun: 0 },
        rows: 900,
        done: [
          { start: 1, end: 300 },
          { start: 401, end: 1000 },
        ],
        failed: [{ start: 301, end: 400, ranges: 1, code: 'privilege_missing' }],
        left: '3',
      },
    });
    expect(await inSilver('partly', 'new')).toEqual([[900]]);
    await accept('partly');
    const looked = await ask(id, { retry_of: execution, preview: true });
    expect(looked.body).toMatchObject({
      ranges: [{ start: 301, end: 400 }],
      streams: [{ rows: 100 }],
    });
    const retry = await backfill(id, { retry_of: execution });
    expect(retry).toMatchObject({
      status: 'completed',
      output: { ranges: { total: 1, done: 1 }, rows: 100, done: [{ start: 301, end: 400 }] },
    });
    expect(await inSilver('partly', 'new')).toEqual([[1000]]);
    expect(await rows(copy, 'select count(*)::int from silver.partly')).toEqual([[1000]]);
    // Of each execution that read it, a row stands in bronze once.
    const twice = `select id, _forebay_execution_id from bronze.partly
      where _forebay_execution_id like '%..%' group by 1, 2 having count(*) > 1`;
    expect(await rows(copy, twice)).toEqual([]);
    const done = await ask(id, { retry_of: String(retry['id']) });
    expect(done).toMatchObject({ status: 422, body: { errors: [{ pointer: '/retry_of' }] } });
  });

  test('with enough rows no further range is begun; what is left can be read later', async () => {
    const id = await pipeline('limited');
    const keys = { key_range: { column: 'id', start: 1, end: 1000 }, range_size: 100 };
    const first = await backfill(id, { ...keys, max_rows: 250 });
    expect(first).toMatchObject({
      status: 'completed',
      output: {
        ranges: { total: 10, done: 3, failed: 0, not_begun: 7 },
        rows: 300,
        stopped_by: 'max_rows',
        not_begun: [{ start: 301, end: 1000 }],
        left: '3-9',
      },
    });
    const rest = await backfill(id, { retry_of: String(first['id']), parallel: 4 });
    expect(rest).toMatchObject({ status: 'completed', output: { rows: 700, left: '' } });
    expect(await rows(copy, 'select count(*)::int from silver.limited')).toEqual([[1000]]);
  });

  test('one that was cancelled goes on where it was', async () => {
    const id = await pipeline('broken_off');
    await running.execute(id);
    await server.query(source, `update broken_off set what = 'new'`);
    await using holder = await server.connect(source);
    await holder.query('begin; lock table broken_off');
    const keys = { key_range: { column: 'id', start: 1, end: 1000 }, range_size: 250 };
    const execution = await begin(id, keys);
    await eventually(async () => (await running.execution(execution))['status'] === 'running');
    await running.post(`/api/v1/etl/executions/${execution}/cancel`);
    const end = await ended(execution);
    await holder.query('rollback');
    expect(end).toMatchObject({ status: 'cancelled', output: { stopped_by: 'cancel' } });
    expect(await backfill(id, { retry_of: execution })).toMatchObject({ status: 'completed' });
    expect(await inSilver('broken_off', 'new')).toEqual([[1000]]);
    // What was read again stands before what the changes bring later, though it was brought after them.
    await server.query(
      source,
      `update broken_off set what = 'newer' where id <= 10; delete from broken_off where id > 990`,
    );
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    expect(await inSilver('broken_off', 'newer')).toEqual([[10]]);
    expect(await inSilver('broken_off', 'new')).toEqual([[980]]);
  });

  test('a server that is killed in the middle goes on, and every row is there once', async () => {
    const id = await pipeline('killed');
    await restart({ FOREBAY_FAILPOINTS: 'snapshot.insideChunk=kill@3' });
    const execution = await begin(id, {
      key_range: { column: 'id', start: 1, end: 1000 },
      range_size: 250,
    });
    await running.exited;
    await restart();
    expect(await ended(execution)).toMatchObject({
      status: 'completed',
      output: { ranges: { total: 4, done: 4 }, rows: 1000 },
    });
    const found = 'select count(*)::int, count(distinct id)::int from';
    expect(await rows(copy, `${found} bronze.killed`)).toEqual([[1000, 1000]]);
    expect(await rows(copy, `${found} silver.killed`)).toEqual([[1000, 1000]]);
  });

  test('what cannot be done is told, with the place of it', async () => {
    const id = await pipeline('refusing');
    const pointers = async (body: object): Promise<unknown> => {
      const answer = await ask(id, body);
      const errors = answer.body['errors'] as { pointer: string }[] | undefined;
      return [answer.status, ...(errors ?? []).map(({ pointer }) => pointer)];
    };
    const keys = { key_range: { column: 'id', start: 1, end: 1_000_000 } };
    const days = { date_range: { start: '2024-01-01', end: '2024-01-02' } };
    expect(await pointers({})).toEqual([400, '']);
    expect(await pointers({ ...keys, ...days })).toEqual([400, '']);
    expect(await pointers({ ...days, range_size: 5 })).toEqual([400, '/range_size']);
    expect(await pointers({ ...keys, range_size: 10 })).toEqual([422, '/range_size']);
    expect(await pointers({ retry_of: '01900000-0000-7000-8000-000000000000' })).toEqual([
      422,
      '/retry_of',
    ]);
    const execution = await backfill(id, { key_range: { column: 'what', start: 1, end: 5 } });
    expect(execution).toMatchObject({
      status: 'failed',
      error: { code: 'request_unprocessable' },
      output: { ranges: { not_begun: 1 } },
    });
    const follow = await running.post('/api/v1/pipelines', {
      name: 'follows',
      kind: 'replication',
      source_connection_id: ids[0],
      destination_connection_id: ids[1],
      streams: ['public.refusing'],
    });
    const refused = await ask(String(follow.body['id']), keys);
    expect(refused).toMatchObject({ status: 422, body: { code: 'request_unprocessable' } });
  });

  test('the command previews, reads keys and what is left', async () => {
    await pipeline('commanded');
    const forebay = (...args: string[]) =>
      runForebay(['backfill', 'commanded', '--server', running.url, '-o', 'json', ...args], {
        env: { FOREBAY_TOKEN: token },
      });
    const keys = ['--key', 'id', '--from-key', '1', '--to-key', '400', '--range-size', '100'];
    const preview = await forebay(...keys, '--preview');
    expectExit(preview, 0);
    expect(preview.json).toMatchObject({ total_ranges: 4, streams: [{ rows: 400 }] });
    const first = await forebay(...keys, '--max-rows', '100', '--wait');
    expectExit(first, 0);
    const { execution } = first.json as { execution: { id: string; output: Output } };
    expect(execution.output).toMatchObject({ rows: 100, left: '1-3' });
    const rest = await forebay('--retry-of', execution.id, '--wait');
    expectExit(rest, 0);
    expect(await rows(copy, 'select count(*)::int from silver.commanded')).toEqual([[400]]);
    expectExit(await forebay('--from', '2024-01-01'), 2);
    expectExit(await forebay(...keys, '--from', '2024-01-01', '--to', '2024-01-02'), 2);
    expectExit(await forebay(), 2);
  });
});

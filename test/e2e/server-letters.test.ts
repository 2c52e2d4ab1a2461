// Rows that a destination refuses, under the server: listed, counted and told of once, shown, written again, dropped.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { dropSlots } from '../support/slots.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };
const ROW = 'canary-of-a-row-77c2';

type Body = Record<string, unknown>;
interface Letter extends Body {
  readonly id: string;
  readonly execution_id: string | null;
  readonly letter_id: string;
  readonly resolved_at: string | null;
}

describe.skipIf(server === null)('dead letters of the server', { timeout: 180_000 }, () => {
  if (server === null) return;
  let folder: string;
  let source: string;
  let copy: string;
  let running: ServerProcess;
  /** Of all servers of a test. */
  let shared: Readonly<Record<string, string>>;
  /** Everything that was answered, but payloads. */
  let answers: string[];

  const start = async (environment: Readonly<Record<string, string>> = {}): Promise<void> => {
    const all = { ...shared, ...environment };
    running = await startServerProcess(['--data-dir', join(folder, 'data')], all);
  };
  const get = async (path: string): Promise<Body> => {
    const { status, body } = await running.get(`/api/v1/${path}`);
    expect({ path, status }).toEqual({ path, status: 200 });
    const { payload: _, ...rest } = body;
    answers.push(JSON.stringify(rest));
    return body;
  };
  const make = async (path: string, content: Body): Promise<string> => {
    const { status, body } = await running.post(`/api/v1/${path}`, content);
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  };
  const connection = (name: string, config: Body, connector_type = 'postgres') =>
    make('connections', { name, connector_type, config });
  const letters = async (query = ''): Promise<Letter[]> => {
    const found: Letter[] = [];
    for (let cursor = ''; ;) {
      const page = await get(`dead-letters?limit=200${query}${cursor}`);
      found.push(...(page['dead_letters'] as Letter[]));
      if (page['next_cursor'] === null) return found;
      cursor = `&cursor=${page['next_cursor'] as string}`;
    }
  };
  const untilLetters = async (count: number, query = ''): Promise<Letter[]> =>
    await eventually(async () => {
      const found = await letters(query);
      expect(found.length).toBe(count);
      return found;
    }, LONG);
  const lastExecution = async (pipeline: string): Promise<Body> => {
    const { executions } = await get(`etl/executions?pipeline_id=${pipeline}`);
    const [last] = executions as Letter[];
    return await get(`etl/executions/${last?.id}`);
  };
  const untilStatus = async (pipeline: string, status: string): Promise<Body> =>
    await eventually(async () => {
      const execution = await lastExecution(pipeline);
      expect(execution['status']).toBe(status);
      return execution;
    }, LONG);
  const warnings = async (executionId: unknown): Promise<string[]> => {
    const { logs } = await get(`etl/executions/${String(executionId)}/logs?limit=200`);
    return (logs as { level: string; message: string }[])
      .filter(({ level }) => level === 'warning' || level === 'error')
      .map(({ message }) => message);
  };
  const rejected = async (): Promise<{ stream: string; code: string; count: number }[]> => {
    const { events } = await get('events?limit=200');
    const of = (events as { type: string; data: Body }[]).filter(
      ({ type }) => type === 'records.rejected',
    );
    return of.flatMap(({ data }) => data['rejected'] as never[]);
  };
  const change = (action: string, content: Body, headers = {}) =>
    running.post(`/api/v1/dead-letters/${action}`, content, headers);
  const rows = async (sql: string): Promise<unknown[]> => {
    await using client = await server.connect(copy);
    return (await client.query({ text: sql, rowMode: 'array' })).rows.map(([first]) => first);
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'fb-letters-'));
    answers = [];
    shared = {};
    source = await server.createDatabase();
    copy = await server.createDatabase();
    await server.query(
      source,
      `create table people (id int primary key, name text);
       insert into people select i, '${ROW}-' || i from generate_series(1, 9) i`,
    );
    await server.query(
      copy,
      `create schema checked;
       create table checked.people (id int primary key, name text check (name not like '%-4'));
       alter table checked.people add constraint short check (length(name) < 30)`,
    );
  });
  afterEach(async () => {
    const log = running.stderr();
    await running[Symbol.asyncDispose]();
    await dropSlots(server, source);
    rmSync(folder, { recursive: true });
    for (const text of [...answers, log]) {
      const at = text.indexOf(ROW);
      expect(at < 0 ? '' : text.slice(Math.max(0, at - 200), at + 100)).toBe('');
    }
  });

  const follow = async (more: Body = {}): Promise<string> => {
    const from = await connection('source', { connection_string: server.url(source) });
    const into = await connection('copy', { connection_string: server.url(copy) });
    const id = await make('pipelines', {
      name: 'follow',
      kind: 'replication',
      source_connection_id: from,
      destination_connection_id: into,
      streams: ['public.people'],
      schema: 'checked',
      ...more,
    });
    expect((await running.post(`/api/v1/pipelines/${id}/start`)).status).toBe(200);
    return id;
  };
  const stop = async (id: string): Promise<Body> => {
    await running.post(`/api/v1/pipelines/${id}/stop`);
    return await untilStatus(id, 'completed');
  };

  test('a replication tells of them as it runs; they are shown, written again and dropped', async () => {
    await start();
    await running.setUp();
    const id = await follow();
    const [first] = await untilLetters(1);
    const execution = await lastExecution(id);
    expect(execution).toMatchObject({ status: 'running', records_failed: 1 });
    expect(first).toMatchObject({
      pipeline_id: id,
      execution_id: execution['id'],
      stream: 'public.people',
      code: 'constraint_violated',
      reason: 'check_violation (23514), constraint people_name_check',
      resolved_at: null,
    });

    // Rows that changes bring; the row of the first letter is mended.
    await server.query(
      source,
      `insert into people select i, '${ROW}-long-' || repeat('x', i) from generate_series(20, 22) i;
       update people set name = 'mended' where id = 4`,
    );
    const all = await untilLetters(4);
    expect(await lastExecution(id)).toMatchObject({ status: 'running', records_failed: 4 });
    await eventually(async () => {
      expect((await letters('&resolved=true')).map((letter) => letter.id)).toEqual([first?.id]);
      return true;
    }, LONG);
    expect(await warnings(execution['id'])).toEqual([
      '1 row of public.people was rejected: check_violation (23514), constraint people_name_check; see the dead letters',
      '3 rows of public.people were rejected: check_violation (23514), constraint short; see the dead letters',
    ]);
    expect(await rejected()).toEqual([
      { stream: 'public.people', code: 'constraint_violated', count: 1 },
      { stream: 'public.people', code: 'constraint_violated', count: 3 },
    ]);

    const open = all.filter((letter) => letter.id !== first?.id);
    const shown = await get(`dead-letters/${open[0]?.id}`);
    expect(shown).toMatchObject({ payload_state: 'shown', op: 'i', payload: { id: '22' } });
    expect((shown['payload'] as Body)['name']).toContain(ROW);
    const issued = await running.post('/api/v1/tokens', { name: 'looks', role: 'viewer' });
    const admin = running.token();
    running.useToken(String(issued.body['token']));
    expect(await get(`dead-letters/${open[0]?.id}`)).toMatchObject({
      id: open[0]?.id,
      payload: null,
      payload_state: 'withheld',
    });
    expect((await change('replay', { pipeline_id: id })).status).toBe(403);
    running.useToken(admin);

    expect(await change('replay', { pipeline_id: id })).toMatchObject({
      status: 200,
      body: { replayed: 0, failed: 3, superseded: 0, remaining: 3, letters: null },
    });
    await server.query(copy, 'alter table checked.people drop constraint short');
    const named = { pipeline_id: id, ids: [first?.id, open[2]?.id] };
    const key = { 'idempotency-key': 'once' };
    const replayed = await change('replay', named, key);
    expect(replayed).toMatchObject({
      status: 200,
      body: { replayed: 1, failed: 0, superseded: 1, remaining: 2 },
    });
    expect(replayed.body['letters']).toEqual([
      { id: first?.id, outcome: 'superseded' },
      { id: open[2]?.id, outcome: 'replayed' },
    ]);
    expect((await change('replay', named, key)).body).toEqual(replayed.body);
    expect(await rows('select id from checked.people where id > 9')).toEqual([20]);
    expect(await rows('select name from checked.people where id = 4')).toEqual(['mended']);

    const other = { pipeline_id: id, stream: 'public.others' };
    expect((await change('replay', other)).body).toMatchObject({ replayed: 0, remaining: 0 });
    expect((await change('drop', { pipeline_id: id, ids: [open[0]?.id] })).body).toEqual({
      dropped: 1,
      remaining: 1,
    });
    expect(await get(`dead-letters/${open[0]?.id}`)).toMatchObject({
      payload: null,
      payload_state: 'removed',
      resolved_at: expect.any(String),
    });
    expect((await change('replay', { pipeline_id: id })).body).toMatchObject({
      replayed: 1,
      remaining: 0,
    });
    expect(await rows('select id from checked.people where id > 9 order by 1')).toEqual([20, 21]);
    const { audit_log: audited } = (await running.get('/api/v1/audit-log')).body;
    const actions = (audited as { action: string }[]).map(({ action }) => action);
    expect(actions).toContain('dead_letters.replay');
    expect(actions).toContain('dead_letters.drop');
    expect(await stop(id)).toMatchObject({ records_failed: 4 });
    expect(await letters('&resolved=false')).toEqual([]);
  });

  test.each([
    ['letters.beforeIndex', 'SQLite'],
    ['letters.insideIndex', 'SQLite'],
    ['letters.afterIndex', 'SQLite'],
    ['letters.insideIndex', 'PostgreSQL'],
    ['letters.afterIndex', 'PostgreSQL'],
  ])(
    'after one was killed at %s, the next one enters each letter once (%s)',
    async (place, metadata) => {
      if (metadata === 'PostgreSQL')
        shared = {
          FOREBAY_DATABASE_URL: server.url(await server.createDatabase()),
          FOREBAY_SECRET_KEY: Buffer.alloc(32, 8).toString('base64'),
        };
      await start();
      const token = await running.setUp();
      await running.kill('SIGTERM');
      await start({ FOREBAY_FAILPOINTS: `${place}=kill` });
      running.useToken(token);
      await server.query(source, `update people set name = '${ROW}-4' where id > 5`);
      // It may die before it answers.
      const id = await follow().catch(() => null);
      await running.ended;
      await start();
      running.useToken(token);
      const found = await untilLetters(5);
      const kept = await rows('select id from _forebay.dead_letters');
      expect(found.map(({ letter_id }) => letter_id).toSorted()).toEqual(
        kept.map(String).toSorted(),
      );
      expect(new Set(found.map(({ execution_id }) => execution_id)).size).toBe(1);
      const [{ pipeline_id = '' } = {}] = found as { pipeline_id?: string }[];
      if (id !== null) expect(pipeline_id).toBe(id);
      const ended = await stop(pipeline_id);
      expect(ended).toMatchObject({ id: found[0]?.execution_id, records_failed: 5 });
      const counts = (await rejected()).map(({ count }) => count);
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5);
      const lines = (await warnings(ended['id'])).filter((line) => line.includes('rejected'));
      const told = lines.map((line) => Number.parseInt(line, 10));
      expect(told.reduce((sum, count) => sum + count, 0)).toBe(5);
      expect(await letters()).toHaveLength(5);
    },
  );

  test('more refused changes than the budget allows end the execution, which says so', async () => {
    await start();
    await running.setUp();
    const id = await follow();
    await untilLetters(1);
    await server.query(
      source,
      `insert into people select i, '${ROW}-long-' || repeat('x', 40) from generate_series(1001, 2101) i`,
    );
    const failed = await untilStatus(id, 'failed');
    expect(failed['error']).toMatchObject({ code: 'error_budget', stream: 'public.people' });
    expect((await warnings(failed['id'])).join('\n')).toContain(
      'more than 1000 rows were refused by the destination',
    );
    const kept = await rows('select id from _forebay.dead_letters');
    expect((await letters()).map(({ letter_id }) => letter_id).toSorted()).toEqual(
      kept.map(String).toSorted(),
    );
  });

  test('rows that bronze refuses are counted with the execution, in pages', async () => {
    await start();
    await running.setUp();
    const from = await connection('source', { connection_string: server.url(source) });
    const into = await connection('copy', { connection_string: server.url(copy) });
    const id = await make('pipelines', {
      name: 'land',
      layers: { silver: false, gold: false },
      source_connection_id: from,
      destination_connection_id: into,
      streams: ['public.people'],
    });
    expect(await running.execute(id)).toMatchObject({ status: 'completed', records_failed: 0 });
    await server.query(
      copy,
      `alter table bronze.people add constraint "no long one" check (name not like 'x%')`,
    );
    await server.query(
      source,
      `insert into people select i, 'x' || i || '${ROW}' from generate_series(1001, 1700) i`,
    );
    const execution = await running.execute(id);
    expect(execution).toMatchObject({ status: 'completed', records_failed: 700 });
    const found = await letters();
    expect(found).toHaveLength(700);
    expect(new Set(found.map(({ execution_id }) => execution_id))).toEqual(
      new Set([execution['id']]),
    );
    const counts = (await rejected()).map(({ count }) => count);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(700);
    expect((await warnings(execution['id'])).at(-1)).toContain('constraint no long one');
  });

  test('a DuckDB file is left to the execution that has it; then they are written again', async () => {
    const path = join(folder, 'copy.duckdb');
    await start();
    await running.setUp();
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(path);
    const client = await instance.connect();
    await client.run(`create schema checked;
      create table checked.people (id integer primary key, name varchar unique, check (name not like '%-4'))`);
    client.closeSync();
    instance.closeSync();
    const id = await follow({
      destination_connection_id: await connection('file', { path }, 'duckdb'),
    });
    const [letter] = await untilLetters(1);
    expect(letter?.['code']).toBe('constraint_violated');
    await server.query(source, `insert into people values (30, '${ROW}-9'), (31, '${ROW}-31')`);
    const [duplicate] = await untilLetters(2);
    expect(duplicate?.['reason']).toContain('UNIQUE');
    expect(await get(`dead-letters/${letter?.id}`)).toMatchObject({
      payload_state: 'shown',
      payload: { id: '4' },
    });
    expect(await change('replay', { pipeline_id: id })).toMatchObject({
      status: 409,
      body: { code: 'file_locked' },
    });
    await running.post(`/api/v1/pipelines/${id}/pause`);
    await eventually(async () => {
      expect(await change('replay', { pipeline_id: id })).toMatchObject({
        status: 200,
        body: { replayed: 0, failed: 2, superseded: 0, remaining: 2 },
      });
      return true;
    }, LONG);
    await running.post(`/api/v1/pipelines/${id}/resume`);
    await server.query(source, `update people set name = 'other' where id in (4)`);
    await untilLetters(1, '&resolved=true');
    await stop(id);
    expect(await change('drop', { pipeline_id: id })).toMatchObject({
      body: { dropped: 2, remaining: 0 },
    });
    expect(await letters('&resolved=false')).toEqual([]);
  });
});

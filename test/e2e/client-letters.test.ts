// `forebay dlq` where a server is asked: the same commands, the same output.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);

interface Listed {
  readonly deadLetters: readonly Record<string, unknown>[];
}

describe.skipIf(server === null)('forebay dlq at a server', { timeout: 120_000 }, () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-dlq-'));
  let running: ServerProcess;
  let copy: string;
  let env: Record<string, string>;
  const forebay = (...args: string[]): Promise<ForebayExit> =>
    runForebay(['dlq', ...args], { env });
  const listed = async (): Promise<Listed['deadLetters']> =>
    ((await forebay('list', '--name', 'shop', '--json')).json as Listed).deadLetters;

  beforeAll(async () => {
    const source = await server.createDatabase();
    copy = await server.createDatabase();
    await server.query(
      source,
      `create table people (id int primary key, name text);
       insert into people select i, 'name ' || i from generate_series(1, 9) i`,
    );
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    env = { FOREBAY_SERVER: running.url, FOREBAY_TOKEN: await running.setUp() };
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
      name: 'shop',
      source_connection_id: await connect('source', source),
      destination_connection_id: await connect('copy', copy),
      streams: ['public.people'],
      layers: { silver: false, gold: false },
    });
    await running.execute(id);
    await server.query(copy, 'alter table bronze.people add constraint small check (id < 10)');
    await server.query(
      source,
      `insert into people select i, 'n' || i from generate_series(10, 13) i`,
    );
    await running.execute(id);
    await eventually(async () => (await listed()).length === 4);
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('lists, shows, replays and drops', async () => {
    const letters = await listed();
    expect(letters[0]).toEqual({
      id: expect.any(String),
      pipeline: 'shop',
      stream: 'public.people',
      op: null,
      code: 'constraint_violated',
      reason: 'check_violation (23514), constraint small',
      position: null,
      at: expect.any(String),
      replayedAt: null,
      transformation: null,
    });
    const ids = letters.map(({ id }) => String(id));
    const table = await forebay('list');
    expect(table.stdout).toContain('constraint small');
    const shown = await forebay('show', ids[0] ?? '', '--json');
    expect(shown.json).toMatchObject({ id: ids[0], op: 'i', payload: { id: '10', name: 'n10' } });

    const refused = await forebay('replay', ids[1] ?? '', '--json');
    expect(refused).toMatchObject({ code: 5, json: { replayed: [{ id: ids[1] }] } });
    await server.query(copy, 'alter table bronze.people drop constraint small');
    const replayed = await forebay('replay', ids[1] ?? '', '--json');
    expect(replayed).toMatchObject({
      code: 0,
      json: { v: 1, replayed: [{ id: ids[1], error: null }] },
    });
    const asked = await forebay('drop', ids[0] ?? '');
    expect(asked).toMatchObject({ code: 2 });
    expect(asked.stderr).toContain('confirmation_missing');
    const dropped = await forebay('drop', ids[0] ?? '', '--yes', '--json');
    expect(dropped).toMatchObject({ code: 0, json: { removed: 1 } });
    const rest = await forebay('replay', '--all', '--name', 'shop', '--json');
    expect(rest).toMatchObject({
      code: 0,
      json: { replayed: ids.slice(2).map((id) => ({ id, error: null })) },
    });
    expect((await listed()).every(({ replayedAt }) => replayedAt !== null)).toBe(true);
    const there = await server.query(copy, 'select id from bronze.people where id > 9 order by 1');
    expect(there.map(({ id }) => id)).toEqual([11, 12, 13]);
    expect(await forebay('drop', '--all', '--yes')).toMatchObject({
      code: 0,
      stdout: 'Removed 0 dead letters.\n',
    });
  });

  test.each([
    [['show', '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49'], 'dlq_entry_missing'],
    [['replay'], 'usage'],
    [['show'], 'usage'],
    [['list', '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49'], 'usage'],
    [['list', 'duckdb:file', '--server', 'http://127.0.0.1:1'], 'usage'],
    [['list', '--set', 'a=b'], 'usage'],
    [['list', '--name', 'nobody'], 'not_found'],
  ])('%j is %s', async (args, code) => {
    const exit = await forebay(...args);
    expect(exit.code).toBe(2);
    expect(exit.stderr).toContain(code);
  });
});

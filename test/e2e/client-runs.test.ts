// The command line against a server of its own: from the login to the log of an execution.
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { type ForebayExit, runForebay, startForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);

describe.skipIf(server === null)('a client of a server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-client-'));
  const env = {
    XDG_CONFIG_HOME: join(folder, 'config'),
    FOREBAY_SERVER: undefined,
    FOREBAY_TOKEN: undefined,
    SHOP_PASSWORD: '',
  };
  let running: ServerProcess;
  let url: URL;

  const forebay = (...args: string[]): Promise<ForebayExit> => runForebay(args, { env });
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const exit = await forebay(...args, '-o', 'json');
    expectExit(exit, 0);
    return exit.json as Record<string, unknown>;
  };

  const create = (
    name: string,
    type: string,
    config: Readonly<Record<string, string>>,
  ): Promise<ForebayExit> => {
    const set = Object.entries(config).flatMap(([field, value]) => ['--set', `${field}=${value}`]);
    return forebay('connections', 'create', name, '--type', type, ...set);
  };

  beforeAll(async () => {
    const source = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key, status text, day timestamptz default now());
       insert into orders select i, 'paid' from generate_series(1, 100) i`,
    );
    url = new URL(server.url(source));
    env.SHOP_PASSWORD = decodeURIComponent(url.password);
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    await running.setUp();
    const login = await runForebay(['login', running.url, '--token-stdin'], {
      env,
      stdin: `${running.token()}\n`,
    });
    expectExit(login, 0);
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('a login is kept where only its owner can read it', () => {
    const file = join(env.XDG_CONFIG_HOME, 'forebay', 'servers.json');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('connections are made, tried and looked into', async () => {
    const made = await create('shop', 'postgres', {
      host: url.searchParams.get('host') ?? url.hostname,
      port: url.port || (url.searchParams.get('port') ?? ''),
      database: url.pathname.slice(1),
      user: decodeURIComponent(url.username),
      password: '${env:SHOP_PASSWORD}',
    });
    expectExit(made, 0);
    const tested = await json('connections', 'test', 'shop');
    expect(tested).toMatchObject({ v: 1, success: true });
    const catalog = await json('connections', 'catalog', 'shop');
    expect(catalog['streams']).toMatchObject([{ stream: 'public.orders', key: ['id'] }]);
    const warehouse = join(folder, 'warehouse.duckdb');
    const other = await create('warehouse', 'duckdb', { path: warehouse });
    expectExit(other, 0);
    const listed = await forebay('connections', 'list');
    expectExit(listed, 0);
    expect(listed.stdout).toMatch(/shop +postgres +active/);
    expect(listed.stdout + made.stdout + made.stderr).not.toContain(env.SHOP_PASSWORD);
  });

  test('a connection that cannot be opened ends its test with 3', async () => {
    const address = { host: '127.0.0.1', port: '1', database: 'x', user: 'x' };
    expectExit(await create('gone', 'postgres', address), 0);
    expectExit(await forebay('connections', 'test', 'gone'), 3);
  });

  test('a pipeline runs, is waited for, and tells what it did', async () => {
    const files = join(folder, 'files');
    mkdirSync(files);
    writeFileSync(
      join(files, 'orders.yaml'),
      `kind: pipeline
name: orders
source_connection: shop
destination_connection: warehouse
streams: [public.orders]
layers: { gold: false }
`,
    );
    expectExit(await forebay('apply', '-f', files, '--yes'), 0);
    const run = await forebay('trigger', 'orders', '--wait', '-o', 'json');
    expectExit(run, 0);
    expect(run.json).toMatchObject({ execution: { status: 'completed', records_processed: 100 } });
    expect(run.stderr).toContain('silver completed: 100 records');
    const list = await json('executions', 'list', '--pipeline', 'orders');
    expect(list['executions']).toMatchObject([{ status: 'completed', pipeline_name: 'orders' }]);
    const { lineage } = await json('executions', 'lineage', 'orders');
    expect(lineage).toContainEqual({
      layer: 'silver',
      table: 'orders',
      column: 'status',
      source_table: 'bronze.orders',
      source_column: 'status',
    });
    const logs = await forebay('logs', 'orders');
    expectExit(logs, 0);
    expect(logs.stdout).toContain('Fetched 100 records');
    const followed = await forebay('logs', 'orders', '-f');
    expectExit(followed, 0);
    expect(followed.stdout).toBe(logs.stdout);
    const status = await forebay('status');
    expectExit(status, 0);
    expect(status.stdout).toMatch(/orders +idle +completed/);
  });

  test('an execution that fails ends the waiting with its own exit code', async () => {
    writeFileSync(
      join(folder, 'broken.yaml'),
      `kind: pipeline
name: broken
source_connection: gone
destination_connection: warehouse
streams: [public.orders]
retry_policy: { max_attempts: 1, initial_delay_ms: 1, max_delay_ms: 1 }
`,
    );
    expectExit(await forebay('apply', '-f', join(folder, 'broken.yaml'), '--yes'), 0);
    const run = await forebay('pipelines', 'execute', 'broken', '--wait', '-o', 'json');
    expectExit(run, 3);
    expect(run.json).toMatchObject({
      execution: { status: 'failed', error: { code: 'unreachable' } },
    });
    expect(run.stderr).toContain('error unreachable');
  });

  test('schedules and pipelines are paused, disabled and deleted', async () => {
    const paused = await json('schedules', 'pause', 'orders');
    expect(paused).toMatchObject({ schedule: { is_paused: true } });
    const resumed = await json('schedules', 'resume', 'orders');
    expect(resumed).toMatchObject({ schedule: { is_paused: false } });
    const disabled = await json('pipelines', 'disable', 'orders');
    expect(disabled).toMatchObject({ pipeline: { is_active: false } });
    const inUse = await forebay('connections', 'delete', 'gone', '--yes');
    expectExit(inUse, 2);
    expect(inUse.stderr).toContain('in_use');
    expectExit(await forebay('pipelines', 'delete', 'broken'), 2);
    // Its source cannot be asked what it keeps of it.
    const kept = await forebay('pipelines', 'delete', 'broken', '--yes');
    expectExit(kept, 3);
    expect(kept.stderr).toContain('--leave');
    expectExit(await forebay('pipelines', 'delete', 'broken', '--yes', '--leave'), 0);
    expectExit(await forebay('connections', 'delete', 'gone', '--yes'), 0);
  });

  test('what is not there is named with what was probably meant', async () => {
    const exit = await forebay('trigger', 'order');
    expectExit(exit, 2);
    expect(exit.stderr).toContain('Did you mean orders?');
  });

  test('a watch goes on while the server is away, and ends with Ctrl-C', async () => {
    await using watching = startForebay(['status', '-w', '-o', 'json'], { env });
    await eventually(() => watching.stdout().includes('"pipeline":"orders"'));
    const { port } = new URL(running.url);
    const token = running.token();
    await running.kill('SIGTERM');
    await eventually(() => watching.stderr().includes('trying again'));
    running = await startServerProcess(['--data-dir', join(folder, 'data'), '--port', port]);
    running.useToken(token);
    expectExit(await forebay('pipelines', 'enable', 'orders'), 0);
    expectExit(await forebay('trigger', 'orders', '--force', '--wait'), 0);
    await eventually(() => watching.stdout().trimEnd().split('\n').length > 1);
    watching.kill('SIGINT');
    expectExit(await watching.exit, 130);
  });

  test('after a logout nobody is asked in vain', async () => {
    expectExit(await forebay('logout', '--server', running.url), 0);
    const exit = await runForebay(['status', '--server', running.url], { env });
    expectExit(exit, 4);
    expect(exit.stderr).toContain(`forebay login ${running.url}`);
  });
});

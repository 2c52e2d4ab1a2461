// Files that say what a server shall have, against a server of its own.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { expectExit } from '../support/exit.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-apply-'));
const file = join(folder, 'all.yaml');
const SECRET = 'hunter2-of-the-shop';
let running: ServerProcess;
let env: Record<string, string | undefined>;

const forebay = (...args: string[]): Promise<ForebayExit> => runForebay(args, { env });
const apply = (...args: string[]): Promise<ForebayExit> =>
  forebay('apply', '-f', file, '-o', 'json', ...args);

const SHOP = `- kind: connection
  name: shop
  connector_type: postgres
  config:
    host: shop-db
    port: 5432
    database: shop
    user: forebay
    password: \${env:SHOP_PASSWORD}
`;
const WAREHOUSE = `- kind: connection
  name: warehouse
  connector_type: duckdb
  config: { path: /tmp/warehouse.duckdb }
`;
const ORDERS = `- kind: pipeline
  name: orders
  source_connection: shop
  destination_connection: warehouse
  streams: [public.orders]
  schedule_type: cron
  cron_expression: 0 6 * * *
`;

function changesOf({ json }: ForebayExit): readonly string[] {
  const { changes } = json as {
    changes: { action: string; kind: string; name: string; fields: { field: string }[] }[];
  };
  return changes.map(({ action, kind, name, fields }) =>
    [action, kind, name, ...fields.map(({ field }) => field)].join(' '),
  );
}

beforeAll(async () => {
  running = await startServerProcess(['--data-dir', join(folder, 'data')]);
  const token = await running.setUp();
  env = {
    XDG_CONFIG_HOME: join(folder, 'config'),
    FOREBAY_SERVER: running.url,
    FOREBAY_TOKEN: token,
    SHOP_PASSWORD: undefined,
  };
});
afterAll(async () => {
  await running[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

test('a plan says what would be made, and makes nothing', async () => {
  writeFileSync(file, SHOP + WAREHOUSE + ORDERS);
  const plan = await apply('--plan', '--detailed-exitcode');
  expectExit(plan, 2);
  expect(changesOf(plan)).toEqual([
    'create connection shop',
    'create connection warehouse',
    'create pipeline orders',
  ]);
  expect(await running.get('/api/v1/connections')).toMatchObject({ body: { connections: [] } });
});

test('a secret that is not there is told before anything is made', async () => {
  const exit = await apply('--yes');
  expectExit(exit, 2);
  expect(exit.stderr).toContain('the environment variable SHOP_PASSWORD is not set');
  expect(await running.get('/api/v1/connections')).toMatchObject({ body: { connections: [] } });
});

test('nothing is changed that was not confirmed', async () => {
  env['SHOP_PASSWORD'] = SECRET;
  const exit = await apply();
  expectExit(exit, 2);
  expect(exit.stderr).toContain('confirmation_missing');
});

test('it is made once; the same files again change nothing, without the secret too', async () => {
  const made = await apply('--yes');
  expectExit(made, 0);
  expect(made.json).toMatchObject({ done: 3 });
  expect(made.stdout + made.stderr).not.toContain(SECRET);
  delete env['SHOP_PASSWORD'];
  const again = await apply('--plan', '--detailed-exitcode');
  expectExit(again, 0);
  expect(changesOf(again)).toEqual([
    'unchanged connection shop',
    'unchanged connection warehouse',
    'unchanged pipeline orders',
  ]);
});

test('only what differs is changed, and no secret is lost', async () => {
  writeFileSync(
    file,
    SHOP.replace('5432', '5433') +
      WAREHOUSE +
      ORDERS.replace('0 6', '30 7').replace('public.orders', 'public.*'),
  );
  const exit = await apply('--yes');
  expectExit(exit, 0);
  expect(changesOf(exit)).toEqual([
    'update connection shop config.port',
    'unchanged connection warehouse',
    'update pipeline orders cron_expression streams',
  ]);
  const { body } = await running.get('/api/v1/connections');
  expect(body['connections']).toContainEqual(
    expect.objectContaining({
      name: 'shop',
      config: expect.objectContaining({ port: 5433, password: null }),
      has_secret: true,
    }),
  );
});

test('a pipeline that was disabled by hand stays so', async () => {
  expectExit(await forebay('pipelines', 'disable', 'orders'), 0);
  const exit = await apply('--plan', '--detailed-exitcode');
  expectExit(exit, 0);
  expectExit(await forebay('pipelines', 'enable', 'orders'), 0);
});

test('a secret is sent again when that is asked for', async () => {
  const exit = await apply('--plan', '--secrets-again');
  expectExit(exit, 0);
  expect(changesOf(exit)[0]).toBe('update connection shop config.password');
});

test('a connection of another type is refused before anything is changed', async () => {
  const before = readFileSync(file, 'utf8');
  const other =
    '- { kind: connection, name: warehouse, connector_type: file, config: { path: /x } }\n';
  writeFileSync(file, SHOP + other);
  const exit = await apply('--yes');
  expectExit(exit, 2);
  expect(exit.stderr).toContain('of another type');
  writeFileSync(file, before);
});

test('a secret that no file names any more is taken away', async () => {
  writeFileSync(file, SHOP.replace(/ +password.*\n/, '').replace('5432', '5433') + WAREHOUSE);
  const exit = await apply('--yes');
  expectExit(exit, 0);
  expect(changesOf(exit)[0]).toBe('update connection shop config.password');
  const { body } = await running.get('/api/v1/connections');
  expect(body['connections']).toContainEqual(
    expect.objectContaining({ name: 'shop', has_secret: false }),
  );
});

test('every mistake is told at once, with its place', async () => {
  writeFileSync(
    file,
    `- kind: connection
  name: shop
  connector_type: postgres
  config: { host: a, database: b, user: c, password: literal }
- kind: pipeline
  name: orders
  source_connection: shp
  destination_connection: warehouse
  streams: [a]
- kind: pipeline
  name: more
  source_connection: warehouse
  destination_connection: warehouse
  streams: [a]
  schedule_type: cron
  cron_expression: 99 * * * *
- kind: pipline
- kind: pipeline
  name: orders
  source_connection: warehouse
  destination_connection: warehouse
  stream: [a]
  streams: [{ stream: a, load: never }]
`,
  );
  const exit = await apply('--yes');
  expectExit(exit, 2);
  const lines = exit.stderr.trimEnd().split('\n');
  expect(lines.map((line) => line.replace(`${file}:`, '').split(' — ')[0])).toEqual([
    '4:54 [0].config.password: is a secret, and must not stand here as it is (reference)',
    '7:22 [1].source_connection: there is no "shp" (known-id)',
    expect.stringContaining('16:20 [2].cron_expression: '),
    '17:9 [3].kind: kind must be connection or pipeline (one-of)',
    expect.stringContaining('[4].stream: is not known here (unknown-key)'),
    expect.stringContaining('[4].streams[0].load: '),
  ]);
});

test('what no file names is deleted with --prune alone, pipelines before their connections', async () => {
  writeFileSync(file, WAREHOUSE);
  const kept = await apply('--plan');
  expect(changesOf(kept)).toEqual(['unchanged connection warehouse']);
  writeFileSync(file, ORDERS + WAREHOUSE);
  const refused = await apply('--prune', '--plan');
  expectExit(refused, 2);
  expect(refused.stderr).toContain('would be deleted');
  writeFileSync(file, WAREHOUSE);
  const pruned = await apply('--prune', '--yes');
  expectExit(pruned, 0);
  expect(changesOf(pruned)).toEqual([
    'unchanged connection warehouse',
    'delete pipeline orders',
    'delete connection shop',
  ]);
});

test('an export applies without a change, holds no secret, and replaces nothing unasked', async () => {
  env['SHOP_PASSWORD'] = SECRET;
  writeFileSync(file, SHOP + WAREHOUSE + ORDERS);
  expectExit(await apply('--yes'), 0);
  const out = join(folder, 'exported');
  const exit = await forebay('export', '-d', out, '-o', 'json');
  expectExit(exit, 0);
  expect(exit.json).toMatchObject({
    files: [
      { file: 'connection-shop.yaml', outcome: 'written', variables: ['SHOP_PASSWORD'] },
      { file: 'connection-warehouse.yaml', outcome: 'written' },
      { file: 'pipeline-orders.yaml', outcome: 'written' },
    ],
  });
  const texts = readdirSync(out).map((name) => readFileSync(join(out, name), 'utf8'));
  expect(texts.join('')).not.toContain(SECRET);
  const plan = await forebay('apply', '-f', out, '--prune', '--plan', '--detailed-exitcode');
  expectExit(plan, 0);
  writeFileSync(join(out, 'pipeline-orders.yaml'), '# mine\n');
  expectExit(await forebay('export', '-d', out), 2);
  expect(readFileSync(join(out, 'pipeline-orders.yaml'), 'utf8')).toBe('# mine\n');
  expectExit(await forebay('export', '-d', out, '--force'), 0);
});

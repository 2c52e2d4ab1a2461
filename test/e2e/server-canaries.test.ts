// No secret and no row value is where it does not belong: in a log, an error, an event, a history, the metadata or a
// file beside the warehouse, also where things go wrong because of that value.
import {
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  type ServerProcess,
  startServerProcess,
  startWorkerProcess,
} from '../support/control-server.ts';
import { startReceiver } from '../support/receiver.ts';
import type { ServerConnection } from '../support/server-connection.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { findTemporal, startTemporal } from '../support/temporal-server.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const ROW = 'canary-of-a-row-5b1d';
const PASSWORD = 'canary-of-a-password-88e0';
const BEARER = 'canary-of-a-bearer-41c7';
const SIGNING = `whsec_${Buffer.from('canary-of-a-signature-3e9b-------').toString('base64')}`;
const SHAPES =
  findTemporal() === null ? (['one machine'] as const) : (['one machine', 'cluster'] as const);

/** Everything in the tables of a database, as text. */
async function dump(server: ServerConnection, database: string): Promise<string> {
  await using client = await server.connect(database);
  const { rows } = await client.query<{ name: string }>(
    `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
     where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
  );
  const texts: string[] = [];
  for (const { name } of rows) {
    const found = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
    texts.push(name, ...found.rows.map(({ row }) => row));
  }
  return texts.join('\n');
}

function filesOf(folder: string): string {
  return globSync('**/*', { cwd: folder })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .map((path) => `${path}\n${readFileSync(path, 'latin1')}`)
    .join('\n');
}

async function everyAnswer(running: ServerProcess): Promise<string> {
  const texts: string[] = [];
  const get = async (path: string): Promise<Record<string, unknown>> => {
    const { body } = await running.get(path);
    texts.push(`${path} ${JSON.stringify(body)}`);
    return body;
  };
  const { executions } = await get('/api/v1/etl/executions?limit=100');
  for (const { id } of executions as readonly { readonly id: string }[]) {
    await get(`/api/v1/etl/executions/${id}`);
    await get(`/api/v1/etl/executions/${id}/logs`);
  }
  for (const path of [
    'events',
    'connections',
    'pipelines',
    'audit',
    'dead-letters',
    'etl/data-quality',
  ])
    await get(`/api/v1/${path}`);
  return texts.join('\n');
}

describe.skipIf(server === null)('secrets and rows of a server', () => {
  if (server === null) return;
  test.each(SHAPES)(
    'are nowhere but where they belong (%s)',
    { timeout: 240_000 },
    async (shape) => {
      const folder = mkdtempSync(join(tmpdir(), 'fb-canaries-'));
      const dataDir = join(folder, 'data');
      const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
      await server.query(
        source,
        `create table people (id int primary key, name text);
       insert into people select i, '${ROW}-' || i from generate_series(1, 9) i;
       create table wide (id int primary key, name text);
       insert into wide select i, '${ROW}-' || i from generate_series(1, 9) i;
       create table cursors (id text primary key, at timestamptz);
       insert into cursors select '${ROW}-' || i, now() from generate_series(1, 9) i`,
      );
      await server.query(
        copy,
        `create schema checked;
       create table checked.people (id int primary key, name text check (name not like '%-4'));
       create table checked.wide (id int primary key, name text unique);
       insert into checked.wide values (100, '${ROW}-7')`,
      );
      mkdirSync(join(dataDir, 'models'), { recursive: true });
      writeFileSync(
        join(dataDir, 'models', 'numbers.sql'),
        '---\nname: numbers\n---\nselect id, cast(name as integer) as n from people\n',
      );
      writeFileSync(
        join(dataDir, 'models', 'tested.sql'),
        `---
name: tested
tests:
  - {test: accepted_values, column: name, values: [nobody]}
---
select id, name from people
`,
      );
      await using webhook = await startReceiver();
      writeFileSync(
        join(folder, 'forebay.yaml'),
        `etl:
  retry: {max_attempts: 2, initial_interval: 10ms}
events:
  - {type: webhook, url: "${webhook.url}/in", secret: "\${env:SIGNING}"}
  - {type: openlineage, url: "${webhook.url}/lineage", token: ${BEARER}}
  - {type: webhook, id: dead, url: "http://127.0.0.1:1/", secret: "\${env:SIGNING}"}
`,
      );
      await using cluster = shape === 'cluster' ? await startTemporal(['platform-etl']) : null;
      const metadata = cluster === null ? null : await server.createDatabase();
      const environment = {
        SIGNING,
        FOREBAY_CONFIG: join(folder, 'forebay.yaml'),
        ...(metadata === null
          ? {}
          : {
              FOREBAY_DATABASE_URL: server.url(metadata),
              FOREBAY_SECRET_KEY: Buffer.alloc(32, 8).toString('base64'),
              FOREBAY_TEMPORAL_ADDRESS: cluster?.address ?? '',
            }),
      };
      const args = ['--data-dir', dataDir];
      const worker = cluster === null ? null : await startWorkerProcess(args, environment);
      const running = await startServerProcess(args, environment);
      await running.setUp();

      const made = async (path: string, body: unknown): Promise<string> => {
        const answer = await running.post(path, body);
        expect([answer.status, answer.body]).toEqual([201, answer.body]);
        return String(answer.body['id']);
      };
      const postgres = { connector_type: 'postgres' };
      const connection_string = server.url(source);
      const from = await made('/api/v1/connections', {
        name: 'source',
        ...postgres,
        config: { connection_string },
      });
      const stranger = await made('/api/v1/connections', {
        name: 'stranger',
        ...postgres,
        config: { connection_string: server.url(source).replace(/:[^:@]+@/, `:${PASSWORD}@`) },
      });
      const into = await made('/api/v1/connections', {
        name: 'copy',
        ...postgres,
        config: { connection_string: server.url(copy) },
      });
      const warehouse =
        shape === 'cluster'
          ? into
          : await made('/api/v1/connections', {
              name: 'warehouse',
              connector_type: 'duckdb',
              config: { path: join(folder, 'warehouse.duckdb') },
            });
      await running.post(`/api/v1/connections/${stranger}/test`);
      await running.post('/api/v1/login', { email: 'admin@example.org', password: PASSWORD });

      const execute = async (name: string, more: Record<string, unknown>): Promise<unknown> => {
        const pipeline = await made('/api/v1/pipelines', {
          name,
          source_connection_id: from,
          destination_connection_id: warehouse,
          streams: ['public.people'],
          ...more,
        });
        return (await running.execute(pipeline))['status'];
      };
      const rule = (action: string) => ({
        quality_rules: [{ rule: 'accepted_values', column: 'name', values: ['nobody'], action }],
        layers: { gold: false },
      });
      const ends = {
        gold: await execute('gold', { layers: { models: ['numbers'] } }),
        tests: await execute('tests', { layers: { models: ['tested'] } }),
        filtered: await execute('filtered', rule('filter')),
        failed: await execute('failed', rule('fail')),
        cursors: await execute('cursors', {
          streams: [{ stream: 'public.cursors', cursor_column: 'at' }],
          layers: { gold: false },
        }),
        stranger: await execute('stranger', { source_connection_id: stranger }),
      };
      expect(ends).toEqual({
        gold: 'failed',
        tests: 'failed',
        filtered: 'completed',
        failed: 'failed',
        cursors: 'completed',
        stranger: 'failed',
      });
      const follow = await made('/api/v1/pipelines', {
        name: 'follow',
        kind: 'replication',
        source_connection_id: from,
        destination_connection_id: into,
        streams: ['public.people', 'public.wide'],
        schema: 'checked',
      });
      await running.post(`/api/v1/pipelines/${follow}/start`);
      await eventually(
        async () => {
          const { body } = await running.get('/api/v1/dead-letters');
          return (body['dead_letters'] as unknown[]).length >= 1;
        },
        { timeoutMs: 60_000 },
      );
      await running.post(`/api/v1/pipelines/${follow}/stop`);
      await eventually(
        async () => {
          const { body } = await running.get(`/api/v1/etl/executions?pipeline_id=${follow}`);
          const [last] = body['executions'] as { readonly status: string }[];
          return last?.status !== 'running';
        },
        { timeoutMs: 60_000 },
      );
      const answers = await everyAnswer(running);
      await eventually(() => webhook.received.length > 12);
      const token = running.token();
      await running[Symbol.asyncDispose]();
      await worker?.[Symbol.asyncDispose]();

      const places: Record<string, string> = {
        answers,
        log: running.stderr(),
        workerLog: worker?.stderr() ?? '',
        events: webhook.received.map(({ body }) => body).join('\n'),
        files: filesOf(dataDir),
        metadata: metadata === null ? '' : await dump(server, metadata),
        cluster: cluster === null ? '' : filesOf(cluster.folder),
      };
      for (const [place, text] of Object.entries(places)) {
        if (shape === 'cluster' || !['workerLog', 'metadata', 'cluster'].includes(place))
          expect(text.length, place).toBeGreaterThan(place.endsWith('og') ? -1 : 100);
        for (const canary of [ROW, PASSWORD, BEARER, SIGNING, token, server.password]) {
          const at = text.indexOf(canary);
          expect(at < 0 ? '' : text.slice(Math.max(0, at - 300), at + 100), place).toBe('');
        }
      }
      rmSync(folder, { recursive: true });
    },
  );
});

// What receivers are told while a server works, and what they must never be told.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { startReceiver, type Receiver } from '../support/receiver.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const ROW_CANARY = 'canary-of-a-row-9f3b';
const SECRET_CANARY = 'canary-of-a-secret-71cd';
const SIGNING = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;

describe.skipIf(server === null)('events of a server', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-events-'));
  const dataDir = join(folder, 'data');
  let source: string;
  let webhook: Receiver;
  let lineage: Receiver;
  let running: ServerProcess;

  beforeAll(async () => {
    source = await server.createDatabase();
    await server.query(
      source,
      `create table people (id int primary key, name text, updated_at timestamptz default now());
       insert into people select i, case when i = 3 then null else '${ROW_CANARY}' end from generate_series(1, 9) i`,
    );
    webhook = await startReceiver();
    lineage = await startReceiver();
    writeFileSync(
      join(folder, 'forebay.yaml'),
      `etl:
  workers: {max_concurrent_activities: 4}
  retry: {max_attempts: 2, initial_interval: 10ms}
events:
  - {type: webhook, url: "${webhook.url}/in", secret: "\${env:SIGNING}"}
  - {type: openlineage, url: "${lineage.url}/api/v1/lineage", token: ${SECRET_CANARY}}
  - {type: webhook, id: dead, url: "http://127.0.0.1:1/", secret: "\${env:SIGNING}"}
`,
    );
    running = await startServerProcess(['--data-dir', dataDir], { SIGNING });
    await running.setUp();
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await webhook[Symbol.asyncDispose]();
    await lineage[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const made = async (path: string, body: unknown): Promise<string> => {
    const answer = await running.post(path, body);
    expect([answer.status, answer.body]).toEqual([201, answer.body]);
    return String(answer.body['id']);
  };

  test('runs and their quality are told, without a row or a secret', async () => {
    const url = new URL(server.url(source));
    const fields = {
      host: url.searchParams.get('host') ?? url.hostname,
      port: Number(url.port || url.searchParams.get('port')),
      database: source,
      user: decodeURIComponent(url.username),
    };
    const source_connection_id = await made('/api/v1/connections', {
      name: 'people',
      connector_type: 'postgres',
      config: { ...fields, password: decodeURIComponent(url.password) },
    });
    const stranger = await made('/api/v1/connections', {
      name: 'stranger',
      connector_type: 'postgres',
      config: { ...fields, database: 'no_such_database', password: SECRET_CANARY },
    });
    const destination_connection_id = await made('/api/v1/connections', {
      name: 'warehouse',
      connector_type: 'duckdb',
      config: { path: join(folder, 'warehouse.duckdb') },
    });
    const pipeline = (name: string, from: string, action: string) =>
      made('/api/v1/pipelines', {
        name,
        source_connection_id: from,
        destination_connection_id,
        kind: 'etl',
        streams: [
          {
            stream: 'public.people',
            quality_rules: [{ rule: 'not_null', columns: ['name'], action }],
          },
        ],
      });
    await running.execute(await pipeline('well', source_connection_id, 'filter'));
    await running.execute(await pipeline('refused', source_connection_id, 'fail'));
    await running.execute(await pipeline('lost', stranger, 'filter'));

    const told = (): { readonly type: string; readonly data: Record<string, unknown> }[] =>
      webhook.received.map(({ body }) => JSON.parse(body));
    await eventually(() => {
      const ends = told().filter(({ type }) => /^execution\.(?:completed|failed)$/.test(type));
      return ends.length === 3 ? true : null;
    });
    const types = told().map(({ type, data }) =>
      `${type} ${typeof data['layer'] === 'string' ? data['layer'] : ''}`.trim(),
    );
    expect(types).toEqual(
      expect.arrayContaining([
        'execution.started',
        'layer.completed bronze',
        'layer.completed silver',
        'quality.issue_detected',
        'execution.completed',
        'execution.failed',
      ]),
    );
    await eventually(() => (lineage.received.length === 6 ? true : null));
    const runs = lineage.received.map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(runs.map((run) => run['eventType'])).toEqual([
      'START',
      'COMPLETE',
      'START',
      'FAIL',
      'START',
      'FAIL',
    ]);
    expect(runs[1]).toMatchObject({
      job: { namespace: 'forebay', name: 'well' },
      inputs: [{ inputFacets: { dataQualityMetrics: { rowCount: 9 } } }],
    });
    const everything = JSON.stringify([
      webhook.received,
      lineage.received.map(({ body }) => body),
      (await running.get('/api/v1/events')).body,
      running.stderr(),
    ]);
    expect(everything).not.toContain(ROW_CANARY);
    expect(everything).not.toContain(SECRET_CANARY);
    expect(everything).not.toContain(SIGNING);
    expect(running.stderr()).toContain('event_postponed');
  });

  test('a mistake in the file is told with its place, and nothing starts', async () => {
    const config = join(folder, 'wrong.yaml');
    writeFileSync(config, 'etl:\n  worker: {}\n');
    const started = startServerProcess(['--data-dir', join(folder, 'other'), '--config', config]);
    await expect(started).rejects.toThrow(/wrong\.yaml:2:3 .*Did you mean workers\?/s);
  });
});

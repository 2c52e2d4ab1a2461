// `node test/support/record-histories.ts`: runs each flow on both engines, with real systems, and writes what their
// histories hold to test/fixtures/histories. Recorded anew only with a release: the tests replay what earlier ones left.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, stdout } from 'node:process';
import { DatabaseSync } from 'node:sqlite';

import { type ServerProcess, startServerProcess, startWorkerProcess } from './control-server.ts';
import { historiesFolder, recordedKey } from './recorded-histories.ts';
import { findServer, type RunningServer, startServer } from './servers.ts';
import { startTemporal } from './temporal-server.ts';
import { eventually } from './wait.ts';

const LONG = { timeoutMs: 120_000 };
const root = join(import.meta.dirname, '..', '..');
const require = createRequire(import.meta.url);
const { version } = require('../../package.json') as { readonly version: string };

class Recording {
  readonly #server: RunningServer;
  readonly #running: ServerProcess;
  readonly #source: string;
  readonly #copy: string;
  /** Of what ran, with a word for each. */
  readonly workflows = new Map<string, string>();

  constructor(
    server: RunningServer,
    running: ServerProcess,
    databases: readonly [source: string, copy: string],
  ) {
    this.#server = server;
    this.#running = running;
    [this.#source, this.#copy] = databases;
  }

  #config(database: string) {
    return {
      connector_type: 'postgres',
      config: { connection_string: this.#server.url(database) },
    };
  }

  async #made(path: string, body: unknown): Promise<string> {
    const answer = await this.#running.post(path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return String(answer.body['id']);
  }

  async #execution(id: string, ...ends: readonly string[]): Promise<Record<string, unknown>> {
    return eventually(async () => {
      const found = await this.#running.execution(id);
      return ends.includes(String(found['status'])) ? found : null;
    }, LONG);
  }

  async #keep(word: string, id: string): Promise<void> {
    const { workflow_id: workflow } = await this.#execution(id, 'completed', 'failed', 'cancelled');
    this.workflows.set(word, String(workflow));
  }

  async perform(): Promise<void> {
    const source = await this.#made('/api/v1/connections', {
      name: 'source',
      ...this.#config(this.#source),
    });
    const copy = await this.#made('/api/v1/connections', {
      name: 'copy',
      ...this.#config(this.#copy),
    });
    const gone = await this.#made('/api/v1/connections', {
      name: 'gone',
      connector_type: 'postgres',
      config: { host: '127.0.0.1', port: 1, database: 'd', user: 'u', password: 'p' },
    });
    const pipeline = (name: string, more: object): Promise<string> =>
      this.#made('/api/v1/pipelines', {
        name,
        source_connection_id: source,
        destination_connection_id: copy,
        streams: [{ stream: 'public.events', cursor_column: 'happened' }],
        ...more,
      });
    const trigger = async (id: string): Promise<string> => {
      const { body } = await this.#running.post('/api/v1/etl/trigger', { pipeline_id: id });
      return String(body['execution_id']);
    };
    const etl = await pipeline('etl', {});
    await this.#keep('etl', await trigger(etl));
    await this.#keep('sync', await trigger(await pipeline('sync', { kind: 'sync' })));
    const retry_policy = { max_attempts: 3, initial_delay_ms: 20, max_delay_ms: 20 };
    const failing = { source_connection_id: gone, retry_policy };
    await this.#keep('etl-failed', await trigger(await pipeline('failing', failing)));
    const patient = { source_connection_id: gone };
    const cancelled = await trigger(await pipeline('patient', patient));
    await eventually(
      async () => (await this.#running.execution(cancelled))['retry'] !== null,
      LONG,
    );
    await this.#running.post(`/api/v1/etl/executions/${cancelled}/cancel`);
    await this.#keep('etl-cancelled', cancelled);
    const ranges = { date_range: { start: '2024-01-01', end: '2024-01-04' }, parallel: 2 };
    for (const [word, more] of [
      ['backfill', {}],
      ['backfill-limited', { max_rows: 30, parallel: 1 }],
    ] as const) {
      const { body } = await this.#running.post(`/api/v1/pipelines/${etl}/backfill`, {
        ...ranges,
        ...more,
      });
      await this.#keep(word, String(body['execution_id']));
    }
    await this.#onboarding();
    await this.#replication(
      await pipeline('follow', {
        kind: 'replication',
        streams: ['public.live'],
        schema: 'copied',
      }),
    );
  }

  async #onboarding(): Promise<void> {
    const { body } = await this.#running.post('/api/v1/onboarding', {
      source: { name: 'first source', ...this.#config(this.#source) },
      destination: { name: 'first copy', ...this.#config(this.#copy) },
      pipeline: 'first',
      streams: ['public.live'],
    });
    const id = String(body['workflow_id']);
    await eventually(async () => {
      const found = await this.#running.get(`/api/v1/onboarding/${id}`);
      return found.body['status'] === 'completed';
    }, LONG);
    this.workflows.set('onboarding', id);
  }

  async #replication(id: string): Promise<void> {
    const act = async (action: string, body?: object): Promise<unknown> =>
      (await this.#running.post(`/api/v1/pipelines/${id}/${action}`, body)).body['state'];
    const rows = async (): Promise<number> => {
      const sql = 'select count(*)::int as n from copied.live';
      const [row] = await this.#server.query(this.#copy, sql);
      return Number(row?.['n']);
    };
    await act('start');
    await eventually(async () => (await rows()) === 10, LONG);
    await eventually(async () => (await act('pause')) === 'paused', LONG);
    await act('resume');
    await act('resync', { streams: ['public.live'] });
    await this.#server.query(this.#source, 'insert into live values (11)');
    await eventually(async () => (await rows()) === 11, LONG);
    await act('stop');
    await eventually(async () => {
      const { body } = await this.#running.get(`/api/v1/etl/executions?pipeline_id=${id}`);
      return (body['executions'] as readonly { status: string }[])[0]?.status === 'completed';
    }, LONG);
    this.workflows.set('replication', id);
  }
}

async function prepare(server: RunningServer): Promise<readonly [string, string]> {
  const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
  await server.query(
    source,
    `create table events (id int primary key, happened timestamptz not null);
     insert into events select i, timestamptz '2024-01-01 00:00+00' + i * interval '1 hour' from generate_series(0, 95) i;
     create table live (id int primary key);
     insert into live select i from generate_series(1, 10) i`,
  );
  return [source, copy];
}

function write(engine: string, word: string, text: string): void {
  const file = join(historiesFolder, `${engine}-${word}-${version}.json`);
  writeFileSync(file, text);
  stdout.write(`${file}\n`);
}

async function recordEmbedded(server: RunningServer, folder: string): Promise<void> {
  const dataDir = join(folder, 'embedded');
  let workflows: ReadonlyMap<string, string>;
  {
    await using running = await startServerProcess(['--data-dir', dataDir], {
      FOREBAY_SECRET_KEY: recordedKey,
    });
    await running.setUp();
    const recording = new Recording(server, running, await prepare(server));
    await recording.perform();
    ({ workflows } = recording);
  }
  const file = new DatabaseSync(join(dataDir, 'forebay.db'), { readOnly: true });
  for (const [word, id] of workflows) {
    const runs = file
      .prepare('select * from journal_runs where workflow_id = ? order by id')
      .all(id)
      .map((run) => ({
        run,
        entries: file
          .prepare('select * from journal_entries where run_id = ? order by seq')
          .all(String(run['id'])),
      }));
    write('embedded', word, `${JSON.stringify(runs, null, 1)}\n`);
  }
  file.close();
}

async function recordTemporal(server: RunningServer, folder: string): Promise<void> {
  await using cluster = await startTemporal(['platform-etl']);
  if (cluster === null) throw new Error('Temporal is not installed');
  const environment = {
    FOREBAY_SECRET_KEY: recordedKey,
    FOREBAY_DATABASE_URL: server.url(await server.createDatabase()),
    FOREBAY_TEMPORAL_ADDRESS: cluster.address,
  };
  const args = ['--data-dir', join(folder, 'temporal')];
  await using running = await startServerProcess(args, environment);
  await using _worker = await startWorkerProcess(args, environment);
  await running.setUp();
  const recording = new Recording(server, running, await prepare(server));
  await recording.perform();
  const { Client, Connection } = await import('@temporalio/client');
  const { historyToJSON } = await import('@temporalio/common/lib/proto-utils.js');
  const connection = await Connection.connect({ address: cluster.address });
  const { workflow } = new Client({ connection, namespace: 'platform-etl' });
  for (const [word, id] of recording.workflows) {
    const text = historyToJSON(await workflow.getHandle(id).fetchHistory());
    // Whose machine it was is nobody's concern.
    const own = text.replaceAll(/"\d+@[^"]+"/g, '"worker"').replaceAll(`${root}/`, '');
    write('temporal', word, `${own}\n`);
  }
  await connection.close();
}

const spec = findServer(17);
if (spec === null) throw new Error('PostgreSQL 17 is not installed: npm run test:setup');
const folder = mkdtempSync(join(tmpdir(), 'fb-histories-'));
mkdirSync(historiesFolder, { recursive: true });
{
  await using server = await startServer(spec, { settings: { wal_level: 'logical' } });
  const wanted = argv.slice(2);
  if (wanted.length === 0 || wanted.includes('embedded')) await recordEmbedded(server, folder);
  if (wanted.length === 0 || wanted.includes('temporal')) await recordTemporal(server, folder);
}
rmSync(folder, { recursive: true });

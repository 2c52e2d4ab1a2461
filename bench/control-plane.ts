/** The server: its start, lists over a million executions, a thousand schedules at once, ten thousand that wait, and what it costs a copy. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { type ServerProcess, startServerProcess } from '../test/support/control-server.ts';
import { eventually } from '../test/support/wait.ts';
import { type Bed, freshDatabase, url } from './bed.ts';
import { forebay, type Measured } from './measure.ts';
import { compareTimes, type Outcome } from './report.ts';

const EXECUTIONS = 1_000_000;
const REQUESTS_PER_SECOND = 200;
const SECONDS = 20;
const P99_LIMIT_MS = 50;
const START_LIMIT_MS = 2000;
const SCHEDULES = 1000;
const DUE_LIMIT_MS = 10_000;
const WAITING = 10_000;
const MEMORY_LIMIT_MIB = 300;
const MAIN = 'dist/cli/main.js';

class Ground implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'forebay-bench-'));
  #server: ServerProcess | null = null;
  #token = '';

  get server(): ServerProcess {
    if (this.#server === null) throw new Error('the server is not started');
    return this.#server;
  }

  /** Milliseconds until it listens. */
  async start(): Promise<number> {
    const begun = performance.now();
    this.#server = await startServerProcess(['--data-dir', join(this.folder, 'data')], {}, MAIN);
    const took = performance.now() - begun;
    if (this.#token === '') this.#token = await this.#server.setUp();
    else this.#server.useToken(this.#token);
    return took;
  }

  async stop(): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = null;
  }

  metadata(): DatabaseSync {
    return new DatabaseSync(join(this.folder, 'data', 'forebay.db'));
  }

  async make(path: string, body: unknown): Promise<string> {
    const answer = await this.server.post(path, body);
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.body)}`);
    return String(answer.body['id']);
  }

  connection(name: string, connection_string: string): Promise<string> {
    const config = { connection_string };
    return this.make('/api/v1/connections', { name, connector_type: 'postgres', config });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true });
  }
}

const measured = (ms: number): Measured => ({ seconds: ms / 1000, cpuSeconds: null, rssMiB: null });

function limit(name: string, peer: string, values: { ms: number; atMostMs: number }): Outcome {
  const { ms, atMostMs } = values;
  const told = `${ms.toFixed(1)} ms`;
  return {
    name,
    peer,
    ratio: atMostMs / ms,
    atLeast: 1,
    ours: [measured(ms)],
    theirs: [],
    notes: [told],
  };
}

/** Ended ones, one a minute, a hundredth of them failed, over ten pipelines. */
function fill(file: DatabaseSync): void {
  file.exec(`
    insert into executions (id, organization_id, pipeline_id, pipeline_name, workflow, workflow_id, run_id, trigger,
      parameters, status, error, output, retry, control, records_processed, records_failed, size_bytes,
      scheduled_at, started_at, completed_at, duration_ms)
    with recursive n(i) as (select 1 union all select i + 1 from n where i < ${EXECUTIONS}),
      p as (select id, organization_id, name, row_number() over (order by id) - 1 as place from pipelines),
      t as (select i, strftime('%Y-%m-%dT%H:%M:%fZ', 1700000000 + i * 60, 'unixepoch') as at from n)
    select printf('%08x-0000-7000-8000-%012x', i, i), p.organization_id, p.id, p.name, 'ETLWorkflow',
      'execution-' || i, null, 'schedule', '{}', case i % 100 when 0 then 'failed' else 'completed' end,
      null, null, null, null, 1000, 0, 1000, at, at, at, 500
    from t join p on p.place = t.i % 10`);
}

interface Page {
  readonly executions: readonly { readonly id: string }[];
  readonly next_cursor: string | null;
}

/** Milliseconds from when each request was due to its answer, sorted. */
async function load(paths: (turn: number) => string, server: ServerProcess): Promise<number[]> {
  const took: number[] = [];
  const pending: Promise<void>[] = [];
  const begun = performance.now();
  for (let turn = 0; turn < REQUESTS_PER_SECOND * SECONDS; turn += 1) {
    const due = begun + (turn * 1000) / REQUESTS_PER_SECOND;
    const waitMs = due - performance.now();
    if (waitMs > 0) await delay(waitMs);
    const ask = async (): Promise<void> => {
      const { status } = await server.get(paths(turn));
      if (status !== 200) throw new Error(`${paths(turn)} answers ${status}`);
      took.push(performance.now() - due);
    };
    pending.push(ask());
  }
  await Promise.all(pending);
  return took.toSorted((a, b) => a - b);
}

export async function apiLists(bed: Bed): Promise<Outcome[]> {
  await using ground = new Ground();
  await ground.start();
  const from = await ground.connection('source', url(bed, 'source'));
  const pipelines: string[] = [];
  for (let place = 0; place < 10; place += 1) {
    const pipeline = {
      name: `pipeline ${place}`,
      source_connection_id: from,
      destination_connection_id: from,
      streams: ['public.orders'],
    };
    pipelines.push(await ground.make('/api/v1/pipelines', pipeline));
  }
  await ground.stop();
  const file = ground.metadata();
  fill(file);
  file.close();
  const startMs = await ground.start();
  const list = '/api/v1/etl/executions';
  const { body } = await ground.server.get(`${list}?limit=100`);
  const { next_cursor: second, executions } = body as unknown as Page;
  const kinds = [
    () => `${list}?limit=50`,
    (turn: number) => `${list}?limit=50&pipeline_id=${pipelines[turn % 10] ?? ''}`,
    () => `${list}?limit=50&status=failed`,
    (turn: number) => `${list}?limit=50&pipeline_id=${pipelines[turn % 10] ?? ''}&status=failed`,
    () => `${list}?limit=50&date_from=2024-02-01&date_to=2024-02-02`,
    () => `${list}?limit=100&cursor=${second ?? ''}`,
    (turn: number) => `${list}/${executions[turn % executions.length]?.id ?? ''}`,
  ];
  const took = await load((turn) => kinds[turn % kinds.length]?.(turn) ?? list, ground.server);
  const p99 = took[Math.ceil(took.length * 0.99) - 1] ?? Number.NaN;
  const median = took[Math.floor(took.length / 2)] ?? Number.NaN;
  const lists = limit(
    `lists over ${EXECUTIONS} executions at ${REQUESTS_PER_SECOND} requests/s, slowest of a hundred`,
    `${P99_LIMIT_MS} ms`,
    { ms: p99, atMostMs: P99_LIMIT_MS },
  );
  return [
    { ...lists, notes: [...lists.notes, `median ${median.toFixed(1)} ms`] },
    limit('start of the server, on such a database', `${START_LIMIT_MS} ms`, {
      ms: startMs,
      atMostMs: START_LIMIT_MS,
    }),
  ];
}

export async function schedulesDue(bed: Bed): Promise<Outcome[]> {
  await using ground = new Ground();
  await ground.start();
  await freshDatabase(bed, 'small');
  await freshDatabase(bed, 'target');
  await bed.server.query(
    'small',
    'create table items (id int primary key); insert into items values (1)',
  );
  const from = await ground.connection('source', url(bed, 'small'));
  const into = await ground.connection('copy', url(bed, 'target'));
  for (let place = 0; place < SCHEDULES; place += 1) {
    await ground.make('/api/v1/pipelines', {
      name: `pipeline ${place}`,
      source_connection_id: from,
      destination_connection_id: into,
      streams: ['public.items'],
      layers: { silver: false, gold: false },
      schedule_type: 'interval',
      interval_seconds: 86_400,
    });
  }
  await ground.stop();
  const file = ground.metadata();
  const due = new Date(Date.now() + 4000).toISOString();
  file.prepare('update schedules set next_fire_at = ?').run(due);
  file.close();
  await ground.start();
  const reader = ground.metadata();
  const count = reader.prepare(
    'select count(*) as n, max(started_at) as last from executions where started_at is not null',
  );
  const last = await eventually(
    () => {
      const row = count.get();
      return Number(row?.['n']) >= SCHEDULES ? String(row?.['last']) : null;
    },
    { timeoutMs: 120_000, intervalMs: 200 },
  );
  const all = reader
    .prepare('select count(*) as n, count(distinct pipeline_id) as p from executions')
    .get();
  reader.close();
  if (Number(all?.['n']) !== SCHEDULES || Number(all?.['p']) !== SCHEDULES)
    throw new Error(`not once each: ${JSON.stringify(all)}`);
  return [
    limit(
      `${SCHEDULES} schedules due at once, until the last one has begun`,
      `${DUE_LIMIT_MS} ms`,
      {
        ms: Date.parse(last) - Date.parse(due),
        atMostMs: DUE_LIMIT_MS,
      },
    ),
  ];
}

/** Copies of one pipeline with an execution each that is to begin, without a request for each. */
function multiply(file: DatabaseSync, pipeline: string): void {
  const columnsOf = (table: string): string[] =>
    file
      .prepare(`select name from pragma_table_info('${table}')`)
      .all()
      .map(({ name }) => String(name));
  const copy = (table: string, changed: Readonly<Record<string, string>>, where: string): void => {
    const columns = columnsOf(table);
    const values = columns.map((column) => changed[column] ?? `t.${column}`);
    file.exec(`with recursive n(i) as (select 1 union all select i + 1 from n where i < ${WAITING - 1})
      insert into ${table} (${columns.join()}) select ${values.join()} from ${table} t, n where ${where} = '${pipeline}'`);
  };
  const id = `printf('%08x-0000-7000-8000-%012x', i, i)`;
  file.exec('pragma foreign_keys = off; begin');
  copy('pipelines', { id, name: `t.name || ' ' || i` }, 't.id');
  copy('pipeline_streams', { pipeline_id: id }, 't.pipeline_id');
  file.exec(`
    insert into executions (id, organization_id, pipeline_id, pipeline_name, workflow, workflow_id, trigger, parameters,
      status, scheduled_at)
    select id, organization_id, id, name, 'ETLWorkflow', 'execution-' || id, 'manual', '{}', 'scheduled',
      '2026-01-01T00:00:00.000Z' from pipelines;
    commit`);
}

function peakMiB(pid: number): number {
  const peak = /VmHWM:\s+(\d+) kB/u.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(peak) / 1024;
}

/** Executions whose source is away: each begins, fails, and waits an hour for its next try. */
export async function waitingExecutions(): Promise<Outcome[]> {
  await using ground = new Ground();
  await ground.start();
  const away = await ground.connection('away', 'postgres://nobody:none@127.0.0.1:9/none');
  const pipeline = await ground.make('/api/v1/pipelines', {
    name: 'waits',
    source_connection_id: away,
    destination_connection_id: away,
    streams: ['public.orders'],
    retry_policy: { max_attempts: 5, initial_delay_ms: 3_600_000, max_delay_ms: 3_600_000 },
  });
  await ground.stop();
  const file = ground.metadata();
  multiply(file, pipeline);
  file.close();
  const startMs = await ground.start();
  const begun = performance.now();
  const reader = ground.metadata();
  const count = reader.prepare(
    `select count(*) as n from executions where status = 'running' and retry is not null`,
  );
  await eventually(() => Number(count.get()?.['n']) === WAITING, {
    timeoutMs: 600_000,
    intervalMs: 500,
  });
  reader.close();
  const seconds = (performance.now() - begun) / 1000;
  const rssMiB = peakMiB(ground.server.pid);
  return [
    {
      name: `${WAITING} executions that wait for their next try, peak memory of the server`,
      peer: `${MEMORY_LIMIT_MIB} MiB`,
      ratio: MEMORY_LIMIT_MIB / rssMiB,
      atLeast: 1,
      ours: [{ seconds, cpuSeconds: null, rssMiB }],
      theirs: [],
      notes: ['seconds until all wait'],
    },
    limit('start of the server before so many', `${START_LIMIT_MS} ms`, {
      ms: startMs,
      atMostMs: START_LIMIT_MS,
    }),
  ];
}

/** The same copy by the command and as an execution of a server that stands ready. */
export async function underServer(bed: Bed): Promise<Outcome[]> {
  await using ground = new Ground();
  await ground.start();
  const from = await ground.connection('source', url(bed, 'source'));
  const into = await ground.connection('copy', url(bed, 'target'));
  const ours: Measured[] = [];
  const copied: Measured[] = [];
  const followed: Measured[] = [];
  for (let turn = 0; turn < bed.sizes.runs; turn += 1) {
    await freshDatabase(bed, 'target');
    copied.push(await forebay('copy', url(bed, 'source'), url(bed, 'target')));
    await freshDatabase(bed, 'target');
    const args = [url(bed, 'source'), url(bed, 'target'), '--name', `command_${turn}`];
    followed.push(await forebay('replicate', ...args, '--until-caught-up'));
    await forebay('drop', ...args, '--yes');
    await freshDatabase(bed, 'target');
    const pipeline = await ground.make('/api/v1/pipelines', {
      name: `copy ${turn}`,
      kind: 'replication',
      source_connection_id: from,
      destination_connection_id: into,
      streams: ['public.orders'],
    });
    // As the destination remembers it, on one connection: the copy needs both cores.
    const watcher = await bed.server.connect('target');
    const begun = performance.now();
    await ground.server.post(`/api/v1/pipelines/${pipeline}/start`);
    await eventually(
      async () => {
        const { rows } = await watcher.query<{ state: string }>(
          'select state from _forebay.streams',
        );
        return rows[0]?.state === 'streaming';
      },
      { timeoutMs: 600_000, intervalMs: 50 },
    );
    await watcher.end();
    ours.push(measured(performance.now() - begun));
    await ground.server.post(`/api/v1/pipelines/${pipeline}/stop`);
    await eventually(
      async () => {
        const { body } = await ground.server.get(`/api/v1/etl/executions?pipeline_id=${pipeline}`);
        return (
          (body['executions'] as readonly { readonly status: string }[])[0]?.status === 'completed'
        );
      },
      { timeoutMs: 60_000 },
    );
  }
  const name = 'snapshot under the server';
  return [
    compareTimes(name, 'replicate, by the command', { ours, theirs: followed, atLeast: 0.95 }),
    compareTimes(name, 'copy, by the command', { ours, theirs: copied, atLeast: 0.95 }),
  ];
}

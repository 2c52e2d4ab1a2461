// Work for a control plane that is killed meanwhile: pipelines on schedules, one that follows its source, executions
// and backfills by hand, onboarding; and what has to hold when all has ended.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';

import { expect } from 'vitest';

import type { ServerProcess } from './control-server.ts';
import { readDuckdb } from './duckdb-read.ts';
import type { Random } from './random.ts';
import type { ServerConnection } from './server-connection.ts';
import { eventually } from './wait.ts';

export type ServerShape =
  | 'one process'
  | 'two servers on one PostgreSQL'
  | 'a server and two workers of Temporal';

const ENDED = ['completed', 'failed', 'cancelled'];
const EVENT_ROWS = 400;
const LONG = { timeoutMs: 150_000, intervalMs: 200 };

interface Place {
  readonly server: ServerConnection;
  readonly folder: string;
  /** Database of the metadata; null: a file. The warehouse is then a file, too. */
  readonly metadata: string | null;
  readonly kills: number;
}

interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export class ServerWork {
  readonly place: Place;
  readonly source: string;
  readonly copy: string;
  readonly #intervalSeconds: number;
  #token = '';
  #writes = 0;
  /** Ids by the keys of requests that were answered. */
  readonly #executions = new Map<string, string>();
  readonly #onboardings = new Map<string, string>();
  readonly #pipelines = new Map<string, string>();

  private constructor(place: Place, source: string, copy: string) {
    this.place = place;
    this.source = source;
    this.copy = copy;
    // What is due is done within its time even while everything dies all the time.
    this.#intervalSeconds = place.kills < 20 ? 3 : 15;
  }

  static async create(place: Place): Promise<ServerWork> {
    const { server } = place;
    const [source, copy] = [await server.createDatabase(), await server.createDatabase()];
    await server.query(
      source,
      `create table orders_0 (id int primary key, note text, n int);
       create table orders_1 (id int primary key, note text, n int);
       create table live (id int primary key, note text, n int);
       create table events (id int primary key, happened timestamptz not null, what text);
       insert into events select i, timestamptz '2024-01-01 00:00+00' + i * interval '1 hour', 'e' || i
       from generate_series(0, ${EVENT_ROWS - 1}) i`,
    );
    return new ServerWork(place, source, copy);
  }

  acknowledged(): number {
    return this.#executions.size;
  }

  pipeline(name: string): string {
    return this.#pipelines.get(name) ?? '';
  }

  answered(): { readonly executions: readonly string[]; readonly onboardings: number } {
    return { executions: [...this.#executions.values()], onboardings: this.#onboardings.size };
  }

  get intervalMs(): number {
    return this.#intervalSeconds * 1000;
  }

  get warehouse(): string | null {
    return this.place.metadata === null ? join(this.place.folder, 'warehouse.duckdb') : null;
  }

  #postgres(name: string, database: string) {
    const config = { connection_string: this.place.server.url(database) };
    return { name, connector_type: 'postgres', config };
  }

  async setUp(first: ServerProcess): Promise<void> {
    this.#token = await first.setUp();
    const make = async (path: string, body: unknown): Promise<string> => {
      const answer = await first.post(path, body);
      expect(answer).toMatchObject({ status: 201 });
      return String(answer.body['id']);
    };
    const source_connection_id = await make(
      '/api/v1/connections',
      this.#postgres('source', this.source),
    );
    const copy = await make('/api/v1/connections', this.#postgres('copy', this.copy));
    const path = this.warehouse;
    const warehouse =
      path === null
        ? copy
        : await make('/api/v1/connections', {
            name: 'warehouse',
            connector_type: 'duckdb',
            config: { path },
          });
    const schedule = {
      schedule_type: 'interval',
      interval_seconds: this.#intervalSeconds,
      overlap_policy: 'allow',
      catchup_window_seconds: 86_400,
      retry_policy: { max_attempts: 1000, initial_delay_ms: 100, max_delay_ms: 2000 },
    };
    const streams = [{ stream: 'public.events', cursor_column: 'happened' }];
    const pipelines = {
      etl: { kind: 'etl', streams: ['public.orders_0'], ...schedule },
      sync: { kind: 'sync', streams: ['public.orders_1'], ...schedule },
      events: { kind: 'etl', streams, retry_policy: schedule.retry_policy },
      follow: { kind: 'replication', streams: ['public.live'], schema: 'copied' },
    };
    for (const [name, more] of Object.entries(pipelines)) {
      const destination_connection_id = name === 'follow' ? copy : warehouse;
      const body = { name, source_connection_id, destination_connection_id, ...more };
      this.#pipelines.set(name, await make('/api/v1/pipelines', body));
    }
    await first.post(`/api/v1/pipelines/${this.pipeline('follow')}/start`);
  }

  async #askOnce(port: number, path: string, init: RequestInit): Promise<Reply> {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      ...init,
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(init.headers as object | undefined),
      },
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
    };
  }

  /** One of the servers answers at last; until then the same request is sent again. */
  #ask(ports: readonly number[], path: string, init: RequestInit = {}): Promise<Reply> {
    let turn = 0;
    return eventually(() => {
      turn += 1;
      return this.#askOnce(ports[turn % ports.length] ?? 0, path, init);
    }, LONG);
  }

  #post(ports: readonly number[], path: string, body: unknown, key: string): Promise<Reply> {
    return this.#ask(ports, path, {
      method: 'POST',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: { 'idempotency-key': key },
    });
  }

  /** Until nobody is killed any more. */
  async goOn(options: {
    readonly ports: readonly number[];
    readonly random: Random;
    readonly until: () => boolean;
    readonly output: () => string;
  }): Promise<void> {
    const { ports, random, until, output } = options;
    const writing = async (): Promise<void> => {
      while (!until()) {
        await this.#write();
        await delay(60);
      }
    };
    const asking = async (): Promise<void> => {
      for (let turn = 0; !until(); turn += 1) {
        const answer = await this.#request(ports, random, `key-${turn}`);
        expect(answer.status, `${JSON.stringify(answer.body)}\n${output().slice(-4000)}`).toBeOneOf(
          [200, 202, 409],
        );
        await delay(random.below(700));
      }
    };
    await Promise.all([writing(), asking()]);
  }

  async #write(): Promise<void> {
    this.#writes += 1;
    const n = this.#writes;
    const statements = ['orders_0', 'orders_1', 'live'].map(
      (table) => `insert into ${table} values (${n}, 'note ${n}', 0);
        update ${table} set n = n + 1 where id % 17 = ${n % 17};
        update ${table} set id = id + 1000000 where id = ${n - 30} and id % 7 = 0;
        delete from ${table} where id = ${n - 40} and id % 5 = 0;`,
    );
    await this.place.server.query(this.source, statements.join('\n'));
  }

  async #request(ports: readonly number[], random: Random, key: string): Promise<Reply> {
    if (random.chance(6)) {
      const name = `onboarding ${key}`;
      const answer = await this.#post(
        ports,
        '/api/v1/onboarding',
        {
          source: this.#postgres(`${name} source`, this.source),
          destination: this.#postgres(`${name} copy`, this.copy),
          pipeline: name,
          streams: ['public.events'],
        },
        key,
      );
      if (answer.status === 202) this.#onboardings.set(name, String(answer.body['workflow_id']));
      return answer;
    }
    const pipeline = this.pipeline('events');
    const backfill = random.chance(15);
    const range = { start: '2024-01-02', end: '2024-01-05' };
    const answer = backfill
      ? await this.#post(
          ports,
          `/api/v1/pipelines/${pipeline}/backfill`,
          { date_range: range, range_days: 2, parallel: 2 },
          key,
        )
      : await this.#post(ports, '/api/v1/etl/trigger', { pipeline_id: pipeline }, key);
    if (answer.status === 200) this.#executions.set(key, String(answer.body['execution_id']));
    return answer;
  }

  async #ended(ports: readonly number[], id: string): Promise<Record<string, unknown>> {
    return eventually(async () => {
      const { body } = await this.#ask(ports, `/api/v1/etl/executions/${id}`);
      return ENDED.includes(String(body['status'])) ? body : null;
    }, LONG);
  }

  /** Nothing new comes; everything that was begun ends; a last execution of each takes what is left. */
  async settle(ports: readonly number[]): Promise<void> {
    const { body } = await this.#ask(ports, '/api/v1/schedules');
    for (const { id } of body['schedules'] as readonly { readonly id: string }[])
      await this.#post(ports, `/api/v1/schedules/${id}/pause`, undefined, `pause-${id}`);
    for (const { id } of await this.#open(ports)) await this.#ended(ports, id);
    for (const name of ['etl', 'sync', 'events']) {
      const pipeline_id = this.pipeline(name);
      const last = await this.#post(ports, '/api/v1/etl/trigger', { pipeline_id }, `last-${name}`);
      expect(last).toMatchObject({ status: 200 });
      expect(await this.#ended(ports, String(last.body['execution_id']))).toMatchObject({
        status: 'completed',
      });
    }
    await eventually(async () => {
      expect(await this.#rows(this.copy, 'copied.live')).toEqual(
        await this.#rows(this.source, 'public.live'),
      );
      return true;
    }, LONG);
    const path = `/api/v1/pipelines/${this.pipeline('follow')}/stop`;
    await this.#post(ports, path, undefined, 'stop');
    await eventually(async () => (await this.#open(ports, '')).length === 0, LONG);
    await this.#onboarded(ports);
  }

  async #onboarded(ports: readonly number[]): Promise<void> {
    for (const id of this.#onboardings.values()) {
      await eventually(async () => {
        const { body } = await this.#ask(ports, `/api/v1/onboarding/${id}`);
        expect(body).toMatchObject({ status: 'completed' });
        return true;
      }, LONG);
    }
  }

  async #open(
    ports: readonly number[],
    without = this.pipeline('follow'),
  ): Promise<readonly { readonly id: string }[]> {
    const found: { readonly id: string; readonly pipeline_id: string }[] = [];
    for (const status of ['running', 'scheduled']) {
      const path = `/api/v1/etl/executions?limit=100&status=${status}`;
      const { body } = await this.#ask(ports, path);
      found.push(...(body['executions'] as typeof found));
    }
    return found.filter(({ pipeline_id }) => pipeline_id !== without);
  }

  async #rows(database: string, table: string): Promise<readonly unknown[]> {
    await using client = await this.place.server.connect(database);
    const text = `select id::text, note, n::text from ${table} order by id`;
    return (await client.query({ text, rowMode: 'array' })).rows;
  }

  /** Of the warehouse; each expression is a text. */
  async inWarehouse(sql: string): Promise<readonly (readonly unknown[])[]> {
    if (this.warehouse !== null) return readDuckdb(this.warehouse, sql);
    await using client = await this.place.server.connect(this.copy);
    return (await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows;
  }

  inSource(table: string): Promise<readonly unknown[]> {
    return this.#rows(this.source, table);
  }

  inMetadata(sql: string): Promise<readonly Record<string, unknown>[]> {
    const { metadata, server, folder } = this.place;
    if (metadata !== null) return server.query(metadata, sql);
    const file = new DatabaseSync(join(folder, 'data', 'forebay.db'), { readOnly: true });
    const rows = file.prepare(sql).all();
    file.close();
    return Promise.resolve(rows);
  }
}

/** No time of a schedule is missing, none is there twice. */
async function expectSchedules(work: ServerWork): Promise<void> {
  const executions = await work.inMetadata(
    `select pipeline_id, parameters from executions where trigger = 'schedule'`,
  );
  for (const schedule of await work.inMetadata(
    `select * from schedules where schedule_type = 'interval'`,
  )) {
    const begun = Date.parse(String(schedule['created_at']));
    const times = executions
      .filter(({ pipeline_id }) => pipeline_id === schedule['pipeline_id'])
      .map(({ parameters }) => {
        const { scheduledFor } = JSON.parse(String(parameters)) as { scheduledFor: string };
        return (Date.parse(scheduledFor) - begun) / work.intervalMs;
      })
      .toSorted((a, b) => a - b);
    expect(times).toEqual(times.map((_, index) => index + 1));
    const paused = Date.parse(String(schedule['updated_at']));
    expect(times.length).toBeGreaterThanOrEqual(Math.floor((paused - begun) / work.intervalMs) - 1);
  }
  expect(
    await work.inMetadata(`select * from events_outbox where type = 'schedule.skipped'`),
  ).toEqual([]);
}

export async function expectOnce(work: ServerWork): Promise<void> {
  await expectSchedules(work);
  const executions = await work.inMetadata('select id, status, error from executions');
  expect(executions.filter(({ status }) => status !== 'completed')).toEqual([]);
  const ids = executions.map(({ id }) => String(id));
  const { executions: byHand, onboardings } = work.answered();
  expect(new Set(byHand).size).toBe(byHand.length);
  expect(byHand.filter((id) => !ids.includes(id))).toEqual([]);
  for (const type of ['execution.started', 'execution.completed']) {
    const events = await work.inMetadata(
      `select subject from events_outbox where type = '${type}'`,
    );
    expect(events.map(({ subject }) => String(subject)).toSorted()).toEqual(ids.toSorted());
  }
  for (const name of ['orders_0', 'orders_1']) {
    const silver = `select cast(id as varchar), note, cast(n as varchar) from silver.${name} order by 1`;
    expect(await work.inWarehouse(silver)).toEqual(await work.inSource(`public.${name}`));
    // Each change was brought once, by one execution.
    const twice = `select cast(count(*) as varchar) from (select id, _forebay_op, _forebay_position
      from bronze.${name} group by 1, 2, 3 having count(*) > 1) t`;
    expect(await work.inWarehouse(twice)).toEqual([['0']]);
  }
  expect(
    await work.inWarehouse(`select cast(count(*) as varchar) from (select id, _forebay_execution_id
      from bronze.events group by 1, 2 having count(*) > 1) t`),
  ).toEqual([['0']]);
  expect(
    await work.inWarehouse(
      'select cast(count(*) as varchar), cast(count(distinct id) as varchar) from silver.events',
    ),
  ).toEqual([[String(EVENT_ROWS), String(EVENT_ROWS)]]);
  const made = await work.inMetadata(
    `select name, count(*) as n from pipelines where name like 'onboarding %' group by name`,
  );
  expect(made.map(({ n }) => Number(n))).toEqual(made.map(() => 1));
  expect(made.length).toBeGreaterThanOrEqual(onboardings);
}

// The service of a configuration file as a process, with its file, its ports and its health.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { stringify } from 'yaml';

import { freePort } from './ports.ts';
import { type ForebayProcess, startForebay } from './process.ts';
import { openReplication, type Replication } from './replication.ts';
import type { ServerConnection } from './server-connection.ts';
import { eventually } from './wait.ts';

export interface HealthStream {
  readonly id: string;
  readonly state: string;
  readonly lag_ms: number | null;
  readonly position: string | null;
  readonly last_error: { readonly code: string; readonly message: string } | null;
  readonly next_retry_at: string | null;
  readonly events: Readonly<Record<string, number>>;
}

export interface Health {
  readonly status: string;
  readonly configuration: {
    readonly loaded_at: string;
    readonly hash: string;
    readonly error: string | null;
  };
  readonly streams: readonly HealthStream[];
}

export type StreamEntry = Readonly<Record<string, unknown>>;

export interface ServiceFile extends Disposable {
  readonly path: string;
  readonly healthPort: number;
  readonly metricsPort: number;
  /** Puts another file in its place. */
  write(streams: readonly StreamEntry[], more?: Readonly<Record<string, unknown>>): void;
  writeText(text: string): void;
  start(...args: readonly string[]): ForebayProcess;
  health(): Promise<Health>;
  metrics(): Promise<string>;
  /** Resolves with the first health that the predicate takes. */
  until(predicate: (health: Health) => boolean): Promise<Health>;
}

export async function openServiceFile(): Promise<ServiceFile> {
  const folder = mkdtempSync(join(tmpdir(), 'fb-service-'));
  const path = join(folder, 'forebay.yaml');
  const [healthPort, metricsPort] = [await freePort(), await freePort()];
  const get = async (port: number, at: string): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}${at}`);
  const health = async (): Promise<Health> =>
    (await (await get(healthPort, '/health')).json()) as Health;
  const writeText = (text: string): void => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  return {
    path,
    healthPort,
    metricsPort,
    writeText,
    write: (streams, { service, ...more } = {}) =>
      writeText(
        stringify({
          version: '1',
          service: {
            health_port: healthPort,
            metrics_port: metricsPort,
            ...(service as object | undefined),
          },
          streams,
          ...more,
        }),
      ),
    start: (...args) => startForebay(['run', path, ...args]),
    health,
    metrics: async () => await (await get(metricsPort, '/metrics')).text(),
    until: async (predicate) => {
      let last: Health | null = null;
      try {
        const probe = async (): Promise<Health | null> => {
          last = await health().catch(() => null);
          return last !== null && predicate(last) ? last : null;
        };
        return await eventually(probe, { timeoutMs: 60_000 });
      } catch (error) {
        throw new Error(`health is ${JSON.stringify(last)}`, { cause: error });
      }
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** One table of a pair as an entry of `streams`. */
export function tableEntry(
  server: ServerConnection,
  pair: Replication,
  table: string,
  more: StreamEntry = {},
): StreamEntry {
  const side = (database: string): StreamEntry => ({
    type: 'postgres',
    connection_string: server.url(database),
    database,
  });
  return {
    id: `${pair.source}-${table}`,
    source: { ...side(pair.source), collection_table: `public.${table}` },
    destination: side(pair.copy),
    ...more,
  };
}

/** Three small tables, two of them with a row. */
export async function openNotes(server: ServerConnection): Promise<Replication> {
  const pair = await openReplication(server);
  await pair.sql(
    `create table a (id int primary key, note text); insert into a values (1, 'one')`,
    `create table b (id int primary key, note text); insert into b values (1, 'one')`,
    'create table c (id int primary key, note text)',
  );
  return pair;
}

export async function noteRows(pair: Replication, table: string): Promise<readonly string[]> {
  const sql = `select id || ' ' || note from ${table} order by id`;
  return (await pair.read('postgres', sql)).map(([text]) => text ?? '');
}

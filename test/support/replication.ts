// A source database and two destinations, and the command between them.
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readDuckdb, type TextRow } from './duckdb-read.ts';
import { type ForebayExit, runForebay } from './process.ts';
import type { ServerConnection } from './server-connection.ts';
import { dropSlots } from './slots.ts';

export const destinationKinds = ['postgres', 'duckdb'] as const;
export type DestinationKind = (typeof destinationKinds)[number];

export interface Replication extends AsyncDisposable {
  readonly source: string;
  readonly copy: string;
  readonly file: string;
  urlOf(kind: DestinationKind): string;
  /** Replicates until caught up. */
  run(kind: DestinationKind, ...args: readonly string[]): Promise<ForebayExit>;
  /** Replays all dead letters. */
  replay(kind: DestinationKind): Promise<ForebayExit>;
  /** Runs statements in the source. */
  sql(...statements: readonly string[]): Promise<void>;
  /** Rows of a query as texts; every expression must be text. */
  read(kind: DestinationKind | 'source', sql: string): Promise<readonly TextRow[]>;
}

export interface ReplicationOptions {
  /** After CREATE DATABASE, e.g. an encoding. */
  readonly createSource?: string;
}

export async function openReplication(
  server: ServerConnection,
  options: ReplicationOptions = {},
): Promise<Replication> {
  const dir = mkdtempSync(join(tmpdir(), 'fb-replication-'));
  const file = join(dir, 'copy.duckdb');
  const source = `t_${randomBytes(6).toString('hex')}`;
  await server.query(
    'postgres',
    `create database ${source} template template0 ${options.createSource ?? ''}`,
  );
  const copy = await server.createDatabase();
  const urlOf = (kind: DestinationKind): string =>
    kind === 'postgres' ? server.url(copy) : `duckdb:${file}`;
  return {
    source,
    copy,
    file,
    urlOf,
    run: (kind, ...args) => {
      const name = `${kind}_${source}`;
      const systems = [server.url(source), urlOf(kind)];
      return runForebay([
        'replicate',
        ...systems,
        '--until-caught-up',
        '--json',
        '--name',
        name,
        ...args,
      ]);
    },
    replay: (kind) => runForebay(['dlq', 'replay', urlOf(kind), '--all']),
    sql: async (...statements) => {
      await using client = await server.connect(source);
      for (const statement of statements) await client.query(statement);
    },
    read: async (kind, sql) => {
      if (kind === 'duckdb') return await readDuckdb(file, sql);
      await using client = await server.connect(kind === 'source' ? source : copy);
      const { rows } = await client.query<(string | null)[]>({ text: sql, rowMode: 'array' });
      return rows;
    },
    [Symbol.asyncDispose]: async () => {
      rmSync(dir, { recursive: true, force: true });
      await dropSource(server, source);
      await server.dropDatabase(copy);
    },
  };
}

/** Drops a database with the slots in it. */
export async function dropSource(server: ServerConnection, database: string): Promise<void> {
  await dropSlots(server, database);
  await server.dropDatabase(database);
}

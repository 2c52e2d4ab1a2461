import { randomBytes } from 'node:crypto';

import pg from 'pg';

import type { PostgresMajor } from './server-binaries.ts';

/** Plain data, so that it can pass from the global setup to the test processes. */
export interface ServerDetails {
  readonly major: PostgresMajor;
  readonly binDir: string;
  readonly port: number;
  /** The Unix socket's folder. */
  readonly socketDir: string;
  readonly dataDir: string;
  /** Of the superuser `postgres`; both loopback and socket ask for it (scram-sha-256). */
  readonly password: string;
}

export interface ServerConnection extends ServerDetails {
  url(database: string): string;
  socketUrl(database: string): string;
  /** A fresh empty database with a name that no other test has. */
  createDatabase(): Promise<string>;
  dropDatabase(database: string): Promise<void>;
  /** An open client as superuser; it closes itself when disposed of. */
  connect(database?: string): Promise<DisposableClient>;
  /** One statement on a connection of its own. */
  query(database: string, sql: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
}

export type DisposableClient = pg.Client & AsyncDisposable;

export function connectionOf(details: ServerDetails): ServerConnection {
  const { port, socketDir, password } = details;

  const connect = async (database = 'postgres'): Promise<DisposableClient> => {
    const client = new pg.Client({
      host: '127.0.0.1',
      port,
      user: 'postgres',
      password,
      database,
      connectionTimeoutMillis: 20_000,
    });
    // Servers are stopped under open clients on purpose; the next query reports it.
    client.on('error', () => {});
    await client.connect();
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
  };

  const query = async (database: string, sql: string, values: unknown[] = []) => {
    await using client = await connect(database);
    const { rows } = await client.query<Record<string, unknown>>(sql, values);
    return rows;
  };

  return {
    ...details,
    url: (database) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    socketUrl: (database) =>
      `postgres://postgres:${password}@/${database}?host=${encodeURIComponent(socketDir)}&port=${port}`,
    connect,
    query,
    createDatabase: async () => {
      const database = `t_${randomBytes(6).toString('hex')}`;
      await query('postgres', `create database ${database} template template0`);
      return database;
    },
    dropDatabase: async (database) => {
      await query('postgres', `drop database if exists ${pg.escapeIdentifier(database)} (force)`);
    },
  };
}

import { findServer, type RunningServer, startServer } from '../test/support/servers.ts';

/** One server with source and destinations, as in the measurements that the limits come from. */
export interface Bed extends AsyncDisposable {
  readonly server: RunningServer;
  readonly bin: (program: string) => string;
  /** Environment for PostgreSQL's own programs. */
  readonly env: Readonly<Record<string, string>>;
  readonly sizes: Sizes;
}

export interface Sizes {
  readonly rows: number;
  readonly changes: number;
  readonly runs: number;
}

export async function openBed(sizes: Sizes): Promise<Bed> {
  const spec = findServer(15);
  if (spec === null)
    throw new Error('the bench needs PostgreSQL 15 with its client programs: npm run test:setup');
  const server = await startServer(spec, {
    settings: {
      shared_buffers: '1GB',
      max_wal_size: '8GB',
      autovacuum: 'off',
      max_replication_slots: '50',
      max_wal_senders: '50',
    },
  });
  return {
    server,
    sizes,
    bin: (program) => `${spec.binDir}/${program}`,
    env: {
      PGHOST: server.socketDir,
      PGPORT: String(server.port),
      PGUSER: 'postgres',
      PGPASSWORD: server.password,
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export function url(bed: Bed, database: string): string {
  return bed.server.socketUrl(database);
}

/** A database of this name with nothing in it. */
export async function freshDatabase(bed: Bed, name: string, template = 'template0'): Promise<void> {
  await bed.server.dropDatabase(name);
  await bed.server.query('postgres', `CREATE DATABASE ${name} TEMPLATE ${template}`);
  await bed.server.query('postgres', 'CHECKPOINT');
}

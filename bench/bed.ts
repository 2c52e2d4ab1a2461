import { findServer, type RunningServer, startServer } from '../test/support/servers.ts';

export interface Bed extends AsyncDisposable {
  /** Source, and destination of snapshots, as in the measurements that the limits come from. */
  readonly server: RunningServer;
  /**
   * Where changes are applied. On the source's own server whoever reads the log would also read what the
   * destination, its copies for the next run and the peer write, and one of the two more of it than the other.
   */
  readonly replicas: RunningServer;
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
  const settings = {
    shared_buffers: '1GB',
    max_wal_size: '8GB',
    autovacuum: 'off',
    max_replication_slots: '50',
    max_wal_senders: '50',
  };
  const server = await startServer(spec, { settings });
  const replicas = await startServer(spec, { settings });
  return {
    server,
    replicas,
    sizes,
    bin: (program) => `${spec.binDir}/${program}`,
    env: {
      PGHOST: server.socketDir,
      PGPORT: String(server.port),
      PGUSER: 'postgres',
      PGPASSWORD: server.password,
    },
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await replicas[Symbol.asyncDispose]();
    },
  };
}

export function url(bed: Bed, database: string): string {
  return bed.server.socketUrl(database);
}

/** A database of this name on the first server, with nothing in it. */
export function freshDatabase(bed: Bed, name: string): Promise<void> {
  return databaseFrom(bed.server, name, 'template0');
}

export async function databaseFrom(
  server: RunningServer,
  name: string,
  template: string,
): Promise<void> {
  await server.dropDatabase(name);
  await server.query('postgres', `CREATE DATABASE ${name} TEMPLATE ${template}`);
  await server.query('postgres', 'CHECKPOINT');
}

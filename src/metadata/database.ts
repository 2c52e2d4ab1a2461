/** Opens the metadata database: a SQLite file, or PostgreSQL. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely, PostgresDialect } from 'kysely';
import { ForebayError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { guardedDialect } from './guarded-driver.ts';
import { migrate } from './migrate.ts';
import { postgresGuard } from './postgres-guard.ts';
import { openSqlite, sqliteDialect } from './sqlite-dialect.ts';
import type { MetadataTables } from './tables.ts';

export type MetadataPlace =
  | { readonly kind: 'sqlite'; readonly path: string }
  | { readonly kind: 'postgres'; readonly url: Secret; readonly poolSize?: number };

export type MetadataDb = Kysely<MetadataTables>;

export interface Metadata extends AsyncDisposable {
  readonly dialect: 'sqlite' | 'postgres';
  readonly db: MetadataDb;
}

const POOL_SIZE = 10;
const INT8 = 20;

/** Brings it to this release. Fails with `metadata_newer`, `metadata_unreadable` or `metadata_unreachable`. */
export async function openMetadata(place: MetadataPlace): Promise<Metadata> {
  const db = place.kind === 'sqlite' ? openFile(place.path) : await openServer(place);
  try {
    await migrate(db as unknown as Kysely<unknown>, place.kind);
  } catch (error) {
    await db.destroy();
    throw openFailure(place, error);
  }
  return {
    dialect: place.kind,
    db,
    [Symbol.asyncDispose]: () => db.destroy(),
  };
}

function openFile(path: string): MetadataDb {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return new Kysely({ dialect: sqliteDialect(openSqlite(path)) });
  } catch (error) {
    throw openFailure({ kind: 'sqlite', path }, error);
  }
}

async function openServer(
  place: Extract<MetadataPlace, { readonly kind: 'postgres' }>,
): Promise<MetadataDb> {
  const { default: pg } = await import('pg');
  const types = new pg.TypeOverrides();
  // Counts and sizes stay below 2^53.
  types.setTypeParser(INT8, Number);
  const pool = new pg.Pool({
    connectionString: place.url.reveal(),
    max: place.poolSize ?? POOL_SIZE,
    types,
    application_name: 'forebay-metadata',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // Without a listener a connection that is lost while nothing is asked, in the pool or in a transaction, would end the
  // process; the next query tells it.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  return new Kysely({ dialect: guardedDialect(new PostgresDialect({ pool }), postgresGuard) });
}

function openFailure(place: MetadataPlace, error: unknown): ForebayError {
  if (error instanceof ForebayError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return place.kind === 'sqlite'
    ? new ForebayError('metadata_unreadable', {
        message: `the metadata file ${place.path} cannot be used`,
        why,
        cause: error,
      })
    : new ForebayError('metadata_unreachable', {
        message: 'the metadata database cannot be used',
        why,
        cause: error,
      });
}

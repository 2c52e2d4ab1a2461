/** Brings a metadata database to this release, forward only, one process at a time. */
import { type Kysely, sql } from 'kysely';
import { ForebayError } from '../core/errors.ts';
import { MIGRATIONS } from './migrations/index.ts';

/** Of `pg_advisory_xact_lock`; any number that nobody else takes. */
const LOCK = 7_315_904_221;

export async function migrate(db: Kysely<unknown>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    if (dialect === 'postgres')
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCK)})`.execute(transaction);
    await transaction.schema
      .createTable('forebay_migrations')
      .ifNotExists()
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('applied_at', 'text', (column) => column.notNull())
      .execute();
    const { rows } = await sql<{ name: string }>`select name from forebay_migrations`.execute(
      transaction,
    );
    const applied = new Set(rows.map(({ name }) => name));
    const known = new Set(MIGRATIONS.map(({ name }) => name));
    const newer = [...applied].find((name) => !known.has(name));
    if (newer !== undefined) throw tooNew(newer);
    for (const { name, up } of MIGRATIONS) {
      if (applied.has(name)) continue;
      await up(transaction, dialect);
      await sql`insert into forebay_migrations (name, applied_at) values (${name}, ${new Date().toISOString()})`.execute(
        transaction,
      );
    }
  });
}

function tooNew(migration: string): ForebayError {
  return new ForebayError('metadata_newer', {
    message: `the metadata database was brought to a newer release (${migration})`,
  });
}

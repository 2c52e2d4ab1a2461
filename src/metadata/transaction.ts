/** Transactions and locks that behave the same on both stores. */
import { PostgresAdapter, sql, type Transaction } from 'kysely';
import type { MetadataDb } from './database.ts';
import type { MetadataTables, Time } from './tables.ts';

export type MetadataTransaction = Transaction<MetadataTables>;

/**
 * Joins the transaction that the caller is in, else makes one. Inside of it only the transaction may be used: SQLite has
 * one connection, and a query through the database itself would wait for the transaction to end, for ever.
 */
export function inTransaction<T>(
  db: MetadataDb,
  act: (transaction: MetadataTransaction) => Promise<T>,
): Promise<T> {
  // Kysely tells by `isTransaction` which of the two it is.
  return db.isTransaction ? act(db as MetadataTransaction) : db.transaction().execute(act);
}

/**
 * Until the transaction ends nobody else holds the lock of this name. In SQLite a transaction is alone anyway.
 * Who takes several takes them in alphabetical order.
 */
export async function lockUntilCommit(
  transaction: MetadataTransaction,
  name: string,
): Promise<void> {
  if (!(transaction.getExecutor().adapter instanceof PostgresAdapter)) return;
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(transaction);
}

/** Several may share it; none of them beside one that holds it alone. */
export async function shareUntilCommit(
  transaction: MetadataTransaction,
  name: string,
): Promise<void> {
  if (!(transaction.getExecutor().adapter instanceof PostgresAdapter)) return;
  await sql`select pg_advisory_xact_lock_shared(hashtextextended(${name}, 0))`.execute(transaction);
}

export function timeOf(nowMs: number = Date.now()): Time {
  return new Date(nowMs).toISOString();
}

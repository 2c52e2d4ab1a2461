/** Kysely over Node's own SQLite. Statements run on the calling thread: each is short, and one writer is all there is. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Dialect, SqliteDialect, type SqliteStatement } from 'kysely';
import { guardedDialect } from './guarded-driver.ts';
import { sqliteGuard } from './sqlite-guard.ts';

/** Statements that are kept prepared. */
const MOST_PREPARED = 500;
/** The thread stands still for as long; then `sqliteGuard` waits. */
const BUSY_TIMEOUT_MS = 2;

/** Kysely binds the values that its types allow; these are the ones that SQLite takes. */
function bound(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0;
    return value as SQLInputValue;
  });
}

function adapt(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...bound(parameters)),
    run: (parameters) => statement.run(...bound(parameters)),
    iterate: (parameters) => statement.iterate(...bound(parameters)) as IterableIterator<unknown>,
  };
}

/** A full disk ends a transaction before anybody can: to fail then would hide why. */
function unlessOver(database: DatabaseSync, rollback: SqliteStatement): SqliteStatement {
  const nothing = { changes: 0, lastInsertRowid: 0 };
  return {
    ...rollback,
    run: (parameters) => (database.isTransaction ? rollback.run(parameters) : nothing),
  };
}

/**
 * Opens the file, which is made where it is missing, in WAL mode with full synchronisation: a commit that was answered
 * outlives a loss of power.
 */
export function openSqlite(path: string): DatabaseSync {
  // Hashes and sealed secrets stand in it: what SQLite makes beside it has its mode, too.
  closeSync(openSync(path, 'a', 0o600));
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY',
  );
  return database;
}

export function sqliteDialect(database: DatabaseSync): Dialect {
  const prepared = new Map<string, SqliteStatement>();
  const dialect = new SqliteDialect({
    database: {
      prepare: (sql) => {
        const known = prepared.get(sql);
        if (known !== undefined) return known;
        const statement = adapt(database.prepare(sql));
        if (sql === 'rollback') return unlessOver(database, statement);
        const [oldest] = prepared.keys();
        if (prepared.size >= MOST_PREPARED && oldest !== undefined) prepared.delete(oldest);
        prepared.set(sql, statement);
        return statement;
      },
      close: () => database.close(),
    },
  });
  return guardedDialect(dialect, sqliteGuard);
}

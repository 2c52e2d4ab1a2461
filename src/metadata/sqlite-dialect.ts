/** Kysely over Node's own SQLite. Statements run on the calling thread: each is short, and one writer is all there is. */
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type Dialect, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler } from 'kysely';
import { SharedCommitDriver, type SqliteStatements } from './shared-commit.ts';

/** Statements that are kept prepared. */
const MOST_PREPARED = 500;
/** The thread stands still for as long; then `whileBusy` waits. */
const BUSY_TIMEOUT_MS = 2;

/** Kysely binds the values that its types allow; these are the ones that SQLite takes. */
function bound(parameters: readonly unknown[]): SQLInputValue[] {
  return parameters.map((value) => {
    if (typeof value === 'boolean') return value ? 1 : 0;
    return value as SQLInputValue;
  });
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

/** The driver lets them take turns itself. */
class Adapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

interface Prepared {
  readonly statement: StatementSync;
  readonly givesRows: boolean;
}

/** The statements that were used last are kept prepared. */
function statementsOf(database: DatabaseSync): SqliteStatements {
  const kept = new Map<string, Prepared>();
  const prepare = (sql: string): Prepared => {
    const statement = database.prepare(sql);
    return { statement, givesRows: statement.columns().length > 0 };
  };
  const find = (sql: string): Prepared => {
    const found = kept.get(sql) ?? prepare(sql);
    kept.delete(sql);
    kept.set(sql, found);
    const [oldest] = kept.keys();
    if (kept.size > MOST_PREPARED && oldest !== undefined) kept.delete(oldest);
    return found;
  };
  return {
    database,
    run: <R>(sql: string, parameters: readonly unknown[]) => {
      const { statement, givesRows } = find(sql);
      const values = bound(parameters);
      if (givesRows) return { rows: statement.all(...values) as R[] };
      return { rows: [], numAffectedRows: BigInt(statement.run(...values).changes) };
    },
  };
}

export function sqliteDialect(database: DatabaseSync): Dialect {
  return {
    createDriver: () => new SharedCommitDriver(statementsOf(database)),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new Adapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

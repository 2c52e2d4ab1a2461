/** Puts something around every statement that goes to the database. */
import type { CompiledQuery, DatabaseConnection, Dialect, Driver, QueryResult } from 'kysely';

export type Guard = <T>(act: () => Promise<T>) => Promise<T>;

export function guardedDialect(dialect: Dialect, guard: Guard): Dialect {
  return {
    createDriver: () => guardedDriver(dialect.createDriver(), guard),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
  };
}

function guardedDriver(driver: Driver, around: Guard): Driver {
  // The driver wants its own connections back.
  const inner = new WeakMap<DatabaseConnection, DatabaseConnection>();
  const own = (connection: DatabaseConnection): DatabaseConnection =>
    inner.get(connection) ?? connection;
  const guarded = (connection: DatabaseConnection): DatabaseConnection => {
    const outer: DatabaseConnection = {
      executeQuery: <R>(query: CompiledQuery): Promise<QueryResult<R>> =>
        around(() => connection.executeQuery<R>(query)),
      streamQuery: <R>(query: CompiledQuery, chunkSize: number) =>
        connection.streamQuery<R>(query, chunkSize),
    };
    inner.set(outer, connection);
    return outer;
  };
  return {
    init: () => driver.init(),
    acquireConnection: async () => guarded(await around(() => driver.acquireConnection())),
    beginTransaction: (connection, settings) =>
      around(() => driver.beginTransaction(own(connection), settings)),
    commitTransaction: (connection) => around(() => driver.commitTransaction(own(connection))),
    rollbackTransaction: (connection) => around(() => driver.rollbackTransaction(own(connection))),
    releaseConnection: (connection) => driver.releaseConnection(own(connection)),
    destroy: () => driver.destroy(),
  };
}

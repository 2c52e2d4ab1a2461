/** Waits for another process that writes to the file, without holding up this one meanwhile. */
import { setTimeout as wait } from 'node:timers/promises';
import { CompiledQuery, type DatabaseConnection, type Driver, type QueryResult } from 'kysely';
import { ForebayError } from '../core/errors.ts';

/** Result code of SQLite; extended ones have it in their lowest byte. */
const BUSY = 5;
const LONGEST_WAIT_MS = 5000;
const LONGEST_PAUSE_MS = 50;

/** The statement has done nothing: it can be sent again. */
function isBusy(error: unknown): boolean {
  if (!(error instanceof Error && 'errcode' in error)) return false;
  return typeof error.errcode === 'number' && (error.errcode & 0xff) === BUSY;
}

async function whenFree<T>(act: () => Promise<T>): Promise<T> {
  const until = performance.now() + LONGEST_WAIT_MS;
  for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await act();
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (performance.now() > until)
        throw new ForebayError('metadata_unreachable', {
          message: `another process has held the metadata file for ${LONGEST_WAIT_MS / 1000} s`,
          fix: 'See which process it is; what was asked for can be sent again.',
          cause: error,
        });
    }
    await wait(pauseMs);
  }
}

export function patientDriver(driver: Driver): Driver {
  const patient = (connection: DatabaseConnection): DatabaseConnection => ({
    executeQuery: <R>(query: CompiledQuery): Promise<QueryResult<R>> =>
      whenFree(() => connection.executeQuery<R>(query)),
    streamQuery: <R>(query: CompiledQuery, chunkSize: number) =>
      connection.streamQuery<R>(query, chunkSize),
  });
  return {
    init: () => driver.init(),
    acquireConnection: async () => patient(await driver.acquireConnection()),
    // A transaction that reads first and writes then would fail where another process wrote meanwhile.
    beginTransaction: async (connection) => {
      await connection.executeQuery(CompiledQuery.raw('begin immediate'));
    },
    commitTransaction: (connection) => driver.commitTransaction(connection),
    rollbackTransaction: (connection) => driver.rollbackTransaction(connection),
    releaseConnection: (connection) => driver.releaseConnection(connection),
    destroy: () => driver.destroy(),
  };
}

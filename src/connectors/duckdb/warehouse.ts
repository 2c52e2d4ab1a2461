/** A DuckDB file as a warehouse: a session of its own in the worker that has the file open. */
import type { OpenWarehouse } from '../../core/warehouse.ts';
import type { DuckdbFile } from './connection.ts';

/** Takes the file over; others in this process may have it open too. */
export async function openDuckdbWarehouse(file: DuckdbFile): Promise<OpenWarehouse> {
  const client = await file.client();
  const id = await client.call('openWarehouse');
  const execute = (sql: string, parameters: readonly (string | null)[] = []): Promise<number> =>
    client.call('warehouseExecute', id, sql, parameters);
  return {
    dialect: 'duckdb',
    query: (sql, parameters = []) => client.call('warehouseQuery', id, sql, parameters),
    execute,
    transaction: async (act) => {
      await execute('BEGIN TRANSACTION');
      try {
        const value = await act();
        await execute('COMMIT');
        return value;
      } catch (error) {
        // DuckDB may have ended the transaction itself; the first failure is the one to tell.
        await execute('ROLLBACK').catch(() => {});
        throw error;
      }
    },
    [Symbol.asyncDispose]: async () => {
      await client.call('closeWarehouse', id);
      await file[Symbol.asyncDispose]();
    },
  };
}

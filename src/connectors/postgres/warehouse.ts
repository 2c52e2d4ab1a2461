/** PostgreSQL as a warehouse, over a connection that it takes over. */
import type { OpenWarehouse } from '../../core/warehouse.ts';
import type { PgConnection } from './connection.ts';

export function postgresWarehouse(connection: PgConnection): OpenWarehouse {
  return {
    dialect: 'postgres',
    query: async (sql, parameters = []) => {
      const { columns, rows } = await connection.query(sql, parameters);
      return rows.map((row) =>
        Object.fromEntries(columns.map((column, index) => [column, row[index] ?? null])),
      );
    },
    execute: async (sql, parameters = []) => (await connection.query(sql, parameters)).rowCount,
    transaction: async (act) => {
      await connection.execute('BEGIN');
      try {
        const value = await act();
        await connection.execute('COMMIT');
        return value;
      } catch (error) {
        // The first failure is the one to tell; a connection that is lost has rolled back by itself.
        await connection.execute('ROLLBACK').catch(() => {});
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

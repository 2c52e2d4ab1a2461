/**
 * DuckDB commits no transaction in which a table was altered after rows that stood in it before were updated or
 * deleted ("another transaction has altered this table"). A table made in the transaction has no such rows, so
 * one that was written is made anew with the same definition before it is altered.
 */
import type { Connection } from './database.ts';
import { quoteName, quoteTable } from './types.ts';

const OLD_SUFFIX = '__forebay_old';

export async function renewTable(
  connection: Connection,
  namespace: string,
  name: string,
): Promise<void> {
  const found = await connection.scalar(
    `SELECT sql FROM duckdb_tables() WHERE database_name = current_database()
       AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)`,
    [namespace, name],
  );
  if (typeof found !== 'string') return;
  const table = quoteTable(namespace, name);
  const old = quoteTable(namespace, `${name}${OLD_SUFFIX}`);
  await connection.run(`ALTER TABLE ${table} RENAME TO ${quoteName(`${name}${OLD_SUFFIX}`)}`);
  await connection.run(found);
  await connection.run(`INSERT INTO ${table} BY NAME FROM ${old}`);
  await connection.run(`DROP TABLE ${old}`);
}

/** Tables of the users, with their columns and primary keys; in the worker. */
import type { Column, StreamSchema } from '../../core/stream-schema.ts';
import type { Connection } from './database.ts';
import { readColumns } from './tables.ts';
import { logicalTypeOf, printColumnType } from './types.ts';

export interface DiscoveredTable {
  readonly schema: StreamSchema;
  readonly estimatedRows: number;
}

async function primaryKey(
  connection: Connection,
  table: { readonly namespace: string; readonly name: string },
  columns: readonly Column[],
): Promise<number[]> {
  const rows = await connection.all(
    `SELECT unnest(constraint_column_names) FROM duckdb_constraints()
     WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
       AND constraint_type = 'PRIMARY KEY'`,
    [table.namespace, table.name],
  );
  const places = rows.map(([name]) => columns.findIndex((column) => column.name === name));
  return places.includes(-1) ? [] : places;
}

export async function discoverTables(connection: Connection): Promise<DiscoveredTable[]> {
  const tables = await connection.all(
    `SELECT schema_name, table_name, table_oid, estimated_size FROM duckdb_tables()
     WHERE database_name = current_database() AND NOT internal AND NOT temporary
       AND schema_name <> '_forebay' ORDER BY schema_name, table_name`,
  );
  const found: DiscoveredTable[] = [];
  for (const [namespace, name, oid, rows] of tables) {
    const stream = { namespace: String(namespace), name: String(name) };
    const present = await readColumns(connection, stream.namespace, stream.name);
    const columns = present.map((column, index): Column => ({
      name: column.name,
      type: logicalTypeOf(column.type),
      nativeType: printColumnType(column.type),
      nullable: !column.notNull,
      ref: String(index),
    }));
    const key = await primaryKey(connection, stream, columns);
    found.push({
      schema: {
        stream,
        ref: String(oid),
        version: 1,
        columns,
        computed: [],
        identity: key.length > 0 ? 'key' : 'none',
        key,
        family: 'duckdb',
      },
      estimatedRows: Number(rows),
    });
  }
  return found;
}

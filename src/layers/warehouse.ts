/** What differs between the dialects of warehouses. Every identifier of a layer becomes SQL here. */
import type { Warehouse, WarehouseDialect, WarehouseParameter } from '../core/warehouse.ts';

export type { Warehouse, WarehouseDialect, WarehouseRow } from '../core/warehouse.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface TableColumn {
  readonly name: string;
  /** As the dialect writes it. */
  readonly type: string;
}

export const BRONZE = 'bronze';
export const SILVER = 'silver';
export const GOLD = 'gold';
export const QUARANTINE = 'silver_quarantine';
export const CHANGES = 'silver_changes';
export const OWN = '_forebay';

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(table: TableName): string {
  return `${quote(table.schema)}.${quote(table.name)}`;
}

/** A table that only this session sees. */
export function temporary(dialect: WarehouseDialect, name: string): string {
  return `${dialect === 'duckdb' ? 'temp' : 'pg_temp'}.${quote(name)}`;
}

/** Byte order, whatever the database's collation: positions sort so. */
export function byteOrder(dialect: WarehouseDialect, expression: string): string {
  return dialect === 'duckdb' ? expression : `(${expression}) COLLATE "C"`;
}

/** Values of a statement, numbered as they are asked for. */
export class Values {
  readonly list: WarehouseParameter[] = [];

  /** SQL for the value in that type. */
  add(value: WarehouseParameter, type = 'text'): string {
    this.list.push(value);
    return `CAST($${this.list.length} AS ${type})`;
  }
}

/** Columns in their order; none where there is no such table or view. */
export async function readColumns(
  warehouse: Warehouse,
  { schema, name }: TableName,
): Promise<readonly TableColumn[]> {
  const rows =
    warehouse.dialect === 'duckdb'
      ? await warehouse.query(
          `SELECT column_name AS name, data_type AS type FROM duckdb_columns()
           WHERE database_name = current_database() AND lower(schema_name) = lower($1) AND lower(table_name) = lower($2)
           ORDER BY column_index`,
          [schema, name],
        )
      : await warehouse.query(
          `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
           FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
           ORDER BY a.attnum`,
          [schema, name],
        );
  return rows.map((row) => ({ name: row['name'] ?? '', type: row['type'] ?? '' }));
}

export type RelationKind = 'table' | 'view';

/** Tables and views of a schema. */
export async function readRelations(
  warehouse: Warehouse,
  schema: string,
): Promise<ReadonlyMap<string, RelationKind>> {
  const rows = await warehouse.query(
    `SELECT CAST(table_name AS text) AS name, CAST(table_type AS text) AS type
     FROM information_schema.tables WHERE table_schema = $1
     ${warehouse.dialect === 'duckdb' ? 'AND table_catalog = current_database()' : ''}`,
    [schema],
  );
  return new Map(
    rows.map((row): [string, RelationKind] => [
      row['name'] ?? '',
      row['type'] === 'VIEW' ? 'view' : 'table',
    ]),
  );
}

/** Makes schemas that are missing; the privilege is only needed where one is. */
export async function ensureSchemas(
  warehouse: Warehouse,
  schemas: readonly string[],
): Promise<void> {
  for (const schema of schemas) {
    const found = await warehouse.query(
      'SELECT 1 AS found FROM information_schema.schemata WHERE schema_name = $1',
      [schema],
    );
    if (found.length === 0) await warehouse.execute(`CREATE SCHEMA IF NOT EXISTS ${quote(schema)}`);
  }
}

/** Makes the table, or adds and retypes columns of one that is there. Columns of others stay as they are. */
export async function ensureTable(
  warehouse: Warehouse,
  table: TableName,
  columns: readonly TableColumn[],
): Promise<void> {
  const present = await readColumns(warehouse, table);
  const sql = quoteTable(table);
  if (present.length === 0) {
    const list = columns.map(({ name, type }) => `${quote(name)} ${type}`).join(', ');
    await warehouse.execute(`CREATE TABLE IF NOT EXISTS ${sql} (${list})`);
    return;
  }
  const types = new Map(present.map(({ name, type }) => [name, type]));
  for (const { name, type } of columns) {
    const there = types.get(name);
    if (there === undefined) {
      await warehouse.execute(`ALTER TABLE ${sql} ADD COLUMN ${quote(name)} ${type}`);
    } else if (there !== type) {
      const cast = `USING CAST(${quote(name)} AS ${type})`;
      await warehouse.execute(
        `ALTER TABLE ${sql} ALTER COLUMN ${quote(name)} TYPE ${type} ${cast}`,
      );
    }
  }
}

/** A session's table, empty. */
export async function createTemporary(
  warehouse: Warehouse,
  name: string,
  columns: readonly TableColumn[],
): Promise<string> {
  const sql = temporary(warehouse.dialect, name);
  await warehouse.execute(`DROP TABLE IF EXISTS ${sql}`);
  const list = columns.map((column) => `${quote(column.name)} ${column.type}`).join(', ');
  await warehouse.execute(`CREATE TEMPORARY TABLE ${quote(name)} (${list})`);
  return sql;
}

/** PostgreSQL plans for a table of the session as if it had some thousand rows, until it is told. */
export async function analyze(warehouse: Warehouse, table: string): Promise<void> {
  if (warehouse.dialect === 'postgres') await warehouse.execute(`ANALYZE ${table}`);
}

/** The session may live long: what it needed for one run is given back. */
export async function dropTemporaries(
  warehouse: Warehouse,
  names: readonly string[],
): Promise<void> {
  for (const name of names) {
    await warehouse.execute(`DROP TABLE IF EXISTS ${temporary(warehouse.dialect, name)}`);
  }
}

export async function count(
  warehouse: Warehouse,
  sql: string,
  parameters: readonly WarehouseParameter[] = [],
): Promise<number> {
  const rows = await warehouse.query(sql, parameters);
  return Number(Object.values(rows[0] ?? {})[0] ?? 0);
}

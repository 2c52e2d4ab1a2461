// Whether source and destination hold the same rows: count and md5 of the rows' texts in order, table by table.
import { createHash } from 'node:crypto';

import { readDuckdbAll } from './duckdb-read.ts';
import type { ServerConnection } from './server-connection.ts';

export interface TableContent {
  readonly rows: number;
  readonly md5: string;
}
export type Content = Readonly<Record<string, TableContent>>;

interface ColumnOf {
  readonly name: string;
  readonly type: string;
}
export type TableColumns = ReadonlyMap<string, readonly ColumnOf[]>;

const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** Tables of `public` with their columns, as the source has them: a destination may keep more columns. */
export async function sourceColumns(
  server: ServerConnection,
  database: string,
): Promise<TableColumns> {
  const rows = await server.query(
    database,
    `select c.relname, a.attname, t.typname
     from pg_class c join pg_attribute a on a.attrelid = c.oid join pg_type t on t.oid = a.atttypid
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and a.attnum > 0 and not a.attisdropped
     order by c.relname, a.attnum`,
  );
  const tables = new Map<string, ColumnOf[]>();
  for (const { relname, attname, typname } of rows) {
    const columns = tables.get(String(relname)) ?? [];
    columns.push({ name: String(attname), type: String(typname) });
    tables.set(String(relname), columns);
  }
  return tables;
}

/** The two dialects' expressions that give one value the same text. */
function textForm({ name, type }: ColumnOf, dialect: 'postgres' | 'duckdb'): string {
  const column = ident(name);
  const inPostgres = dialect === 'postgres';
  switch (type) {
    case 'timestamptz':
      return inPostgres
        ? `(extract(epoch from ${column}) * 1000000)::bigint::text`
        : `epoch_us(${column})::varchar`;
    case 'timestamp':
      return inPostgres
        ? `(extract(epoch from ${column}) * 1000000)::bigint::text`
        : `epoch_us(${column})::varchar`;
    case 'numeric':
      return inPostgres
        ? `trim_scale(${column})::text`
        : `regexp_replace(regexp_replace(${column}::varchar, '(\\.\\d*?)0+$', '\\1'), '\\.$', '')`;
    case 'float4':
    case 'float8':
      return inPostgres
        ? `(${column}::float8)::numeric::text`
        : `(${column}::double)::decimal(38, 10)::varchar`;
    case 'bytea':
      return inPostgres ? `encode(${column}, 'hex')` : `lower(hex(${column}))`;
    case 'jsonb':
    case 'json':
      return inPostgres ? `${column}::jsonb::text` : `${column}::varchar`;
    default:
      return inPostgres ? `${column}::text` : `${column}::varchar`;
  }
}

function rowText(columns: readonly ColumnOf[], dialect: 'postgres' | 'duckdb'): string {
  const cells = columns.map((column) => `coalesce(${textForm(column, dialect)}, '∅')`);
  // Not by || or as arguments: a table may have more columns than a statement may have of either.
  return `array_to_string(${dialect === 'postgres' ? 'array' : ''}[${cells.join(', ')}], '|')`;
}

function digest(texts: string[]): TableContent {
  const sorted = texts.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return { rows: texts.length, md5: createHash('md5').update(sorted.join('\n')).digest('hex') };
}

export async function postgresContent(
  server: ServerConnection,
  database: string,
  tables: TableColumns,
): Promise<Content> {
  await using client = await server.connect(database);
  await client.query(`set timezone = 'UTC'`);
  // One snapshot for all tables.
  await client.query('begin isolation level repeatable read read only');
  const content: Record<string, TableContent> = {};
  for (const [table, columns] of tables) {
    const { rows } = await client.query<{ row: string }>(
      `select ${rowText(columns, 'postgres')} as row from public.${ident(table)}`,
    );
    content[table] = digest(rows.map(({ row }) => row));
  }
  return content;
}

/** Only while no other process has the file open. */
export async function duckdbContent(path: string, tables: TableColumns): Promise<Content> {
  const statements = [...tables].map(
    ([table, columns]) => `select ${rowText(columns, 'duckdb')} from public.${ident(table)}`,
  );
  const results = await readDuckdbAll(path, statements);
  return Object.fromEntries(
    [...tables.keys()].map((table, i) => [
      table,
      digest((results[i] ?? []).map(([row]) => row ?? '')),
    ]),
  );
}

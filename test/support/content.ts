// Whether source and destination hold the same rows: count and md5 of the rows' texts in order, table by table.
// Read with pg and DuckDB's own client, and put into one form here: nothing of the product takes part.
import { createHash } from 'node:crypto';

import { type TextRow, readDuckdbAll } from './duckdb-read.ts';
import type { ServerConnection } from './server-connection.ts';

export interface TableContent {
  readonly rows: number;
  readonly md5: string;
}
export type Content = Readonly<Record<string, TableContent>>;
export type Dialect = 'postgres' | 'duckdb';

export interface ColumnOf {
  readonly name: string;
  readonly type: string;
}
export type TableColumns = ReadonlyMap<string, readonly ColumnOf[]>;

export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

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

/** The two dialects' expressions that give one value the same text; floats are put into one form by `cellText`. */
export function textForm({ name, type }: ColumnOf, dialect: Dialect): string {
  const column = ident(name);
  const inPostgres = dialect === 'postgres';
  switch (type) {
    case 'timestamptz':
    case 'timestamp':
      return inPostgres
        ? `case when isfinite(${column}) then (extract(epoch from ${column}) * 1000000)::bigint::text else ${column}::text end`
        : `case when isfinite(${column}) then epoch_us(${column})::varchar else ${column}::varchar end`;
    case 'numeric':
      return inPostgres
        ? `trim_scale(${column})::text`
        : `regexp_replace(regexp_replace(${column}::varchar, '(\\.\\d*?)0+$', '\\1'), '\\.$', '')`;
    case 'float4':
    case 'float8':
      return inPostgres ? `${column}::float8::text` : `${column}::double::varchar`;
    case 'bytea':
      return inPostgres ? `encode(${column}, 'hex')` : `lower(hex(${column}))`;
    case 'jsonb':
    case 'json':
      return inPostgres ? `${column}::jsonb::text` : `${column}::varchar`;
    case '_int4':
    case '_text':
      return inPostgres
        ? `to_json(${column})::jsonb::text`
        : `regexp_replace(to_json(${column})::varchar, ',', ', ', 'g')`;
    default:
      return inPostgres ? `${column}::text` : `${column}::varchar`;
  }
}

function isFloat({ type }: ColumnOf): boolean {
  return type === 'float4' || type === 'float8';
}

const NO_NUMBERS: Record<string, string> = {
  nan: 'NaN',
  infinity: 'Infinity',
  inf: 'Infinity',
  '-infinity': '-Infinity',
  '-inf': '-Infinity',
};

/** The shortest text of a double is printed in another way by each system; its value is the same. */
function cellText(column: ColumnOf | undefined, cell: string | null): string | null {
  if (cell === null || column === undefined || !isFloat(column)) return cell;
  const value = Number(NO_NUMBERS[cell.toLowerCase()] ?? cell);
  return Object.is(value, -0) ? '-0' : String(value);
}

/** A row in one form for both systems. */
export function rowText(columns: readonly ColumnOf[], cells: TextRow): string {
  return JSON.stringify(cells.map((cell, i) => cellText(columns[i], cell)));
}

export function selectTexts(columns: readonly ColumnOf[], dialect: Dialect, from: string): string {
  const cells = columns.map((column, i) => `${textForm(column, dialect)} as t${i}`);
  return `select ${cells.join(', ')} from ${from}`;
}

/** Per table the sorted texts of its rows. */
export type TableRows = ReadonlyMap<string, readonly string[]>;

function sortedTexts(columns: readonly ColumnOf[], rows: readonly TextRow[]): string[] {
  const texts = rows.map((row) => rowText(columns, row));
  return texts.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

export function contentOf(tables: TableRows): Content {
  return Object.fromEntries(
    [...tables].map(([table, texts]) => [
      table,
      { rows: texts.length, md5: createHash('md5').update(texts.join('\n')).digest('hex') },
    ]),
  );
}

const SHOWN_ROWS = 3;

function without(texts: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const text of others) left.set(text, (left.get(text) ?? 0) + 1);
  return texts.filter((text) => {
    const count = left.get(text) ?? 0;
    if (count > 0) left.set(text, count - 1);
    return count === 0;
  });
}

/** Of each table that differs, some rows that only one side has. */
export function differences(
  source: TableRows,
  destination: TableRows,
): Record<string, { readonly missing: readonly string[]; readonly extra: readonly string[] }> {
  const found: ReturnType<typeof differences> = {};
  for (const [table, there] of source) {
    const here = destination.get(table) ?? [];
    const missing = without(there, here).slice(0, SHOWN_ROWS);
    const extra = without(here, there).slice(0, SHOWN_ROWS);
    if (missing.length + extra.length > 0) found[table] = { missing, extra };
  }
  return found;
}

export async function postgresRows(
  server: ServerConnection,
  database: string,
  tables: TableColumns,
): Promise<TableRows> {
  await using client = await server.connect(database);
  await client.query(`set timezone = 'UTC'; set extra_float_digits = 1`);
  // One snapshot for all tables.
  await client.query('begin isolation level repeatable read read only');
  const texts = new Map<string, string[]>();
  for (const [table, columns] of tables) {
    const { rows } = await client.query<(string | null)[]>({
      text: selectTexts(columns, 'postgres', `public.${ident(table)}`),
      rowMode: 'array',
    });
    texts.set(table, sortedTexts(columns, rows));
  }
  return texts;
}

/** Only while no other process has the file open. */
export async function duckdbRows(path: string, tables: TableColumns): Promise<TableRows> {
  const statements = [...tables].map(([table, columns]) =>
    selectTexts(columns, 'duckdb', `public.${ident(table)}`),
  );
  const results = await readDuckdbAll(path, statements);
  return new Map(
    [...tables].map(([table, columns], i) => [table, sortedTexts(columns, results[i] ?? [])]),
  );
}

// The warehouses that layers are tested on, and bronze rows as a pipeline appends them.
import { describe } from 'vitest';
import { openWarehouse, resolveSystem } from '../../src/connectors/registry.ts';
import { SlabPool } from '../../src/core/slab.ts';
import type { OpenWarehouse, Warehouse } from '../../src/core/warehouse.ts';
import type { SilverStream } from '../../src/layers/silver-plan.ts';
import { quote, quoteTable } from '../../src/layers/warehouse.ts';
import { sharedServer } from './shared-servers.ts';
import { postgresMajors } from './server-binaries.ts';

export interface TestWarehouse extends AsyncDisposable {
  readonly warehouse: Warehouse;
}

async function openSystem(url: string): Promise<OpenWarehouse> {
  return openWarehouse(await resolveSystem(url), {
    signal: new AbortController().signal,
    slabs: new SlabPool(1024 * 1024),
    memoryBytes: 512 * 1024 * 1024,
    options: {},
    notice: () => {},
  });
}

export async function openMemoryDuckdb(): Promise<TestWarehouse> {
  const warehouse = await openSystem('duckdb::memory:');
  return { warehouse, [Symbol.asyncDispose]: () => warehouse[Symbol.asyncDispose]() };
}

/** A block of tests on DuckDB and on each PostgreSQL that is there. */
export function describeEachWarehouse(
  name: string,
  tests: (open: () => Promise<TestWarehouse>) => void,
): void {
  describe(`${name} (DuckDB)`, () => {
    tests(openMemoryDuckdb);
  });
  for (const major of postgresMajors) {
    const server = sharedServer(major);
    if (server === null) continue;
    describe(`${name} (PostgreSQL ${major})`, () => {
      tests(async () => {
        const database = await server.createDatabase();
        const warehouse = await openSystem(server.url(database));
        return {
          warehouse,
          [Symbol.asyncDispose]: async () => {
            await warehouse[Symbol.asyncDispose]();
            await server.dropDatabase(database);
          },
        };
      });
    });
  }
}

/** `bronze.items` to `silver.items`. */
export const itemStream = (more: Partial<SilverStream> = {}): SilverStream => ({
  stream: 'shop.items',
  bronze: 'items',
  table: 'items',
  key: ['id'],
  load: 'current',
  columns: {},
  rules: [],
  ...more,
});

export interface BronzeRow {
  readonly op?: 'r' | 'i' | 'u' | 'd' | 't';
  readonly position: string;
  readonly execution: string;
  readonly unchanged?: string;
  /** Seconds since 2026-01-01. */
  readonly at?: number;
  readonly values: Readonly<Record<string, string | number | null>>;
}

/** A bronze table with these columns (name to SQL type, one that both dialects know). */
export async function createBronze(
  warehouse: Warehouse,
  name: string,
  columns: Readonly<Record<string, string>>,
): Promise<void> {
  await warehouse.execute('CREATE SCHEMA IF NOT EXISTS bronze');
  const list = Object.entries(columns).map(([column, type]) => `${quote(column)} ${type}, `);
  await warehouse.execute(
    `CREATE TABLE ${quoteTable({ schema: 'bronze', name })} (${list.join('')}_forebay_op text, _forebay_position text,
       _forebay_committed_at timestamp with time zone, _forebay_unchanged text,
       _forebay_execution_id text, _forebay_loaded_at timestamp with time zone)`,
  );
}

let loads = 0;

function literal(value: string | number | null | undefined): string {
  return value == null ? 'NULL' : `'${String(value).replaceAll("'", "''")}'`;
}

export async function appendBronze(
  warehouse: Warehouse,
  name: string,
  rows: readonly BronzeRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row.values)))];
  const time = (seconds: number): string =>
    `'${new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()}'`;
  const lines = rows.map((row) => {
    loads += 1;
    const cells = columns.map((column) => literal(row.values[column]));
    const at = row.at === undefined ? 'NULL' : time(row.at);
    const own = [literal(row.op ?? 'i'), literal(row.position), at, literal(row.unchanged)];
    return `(${[...cells, ...own, literal(row.execution), time(loads)].join(', ')})`;
  });
  const names = columns.map((column) => `${quote(column)}, `).join('');
  await warehouse.execute(
    `INSERT INTO ${quoteTable({ schema: 'bronze', name })} (${names}_forebay_op, _forebay_position,
       _forebay_committed_at, _forebay_unchanged, _forebay_execution_id, _forebay_loaded_at)
     VALUES ${lines.join(', ')}`,
  );
}

/** Columns of a table as text, row by row. */
export async function rowsOf(
  warehouse: Warehouse,
  table: string,
  columns: readonly string[],
  order = columns.map(quote).join(', '),
): Promise<(string | null)[][]> {
  const list = columns.map((column) => `CAST(${quote(column)} AS text) AS ${quote(column)}`);
  const rows = await warehouse.query(`SELECT ${list.join(', ')} FROM ${table} t ORDER BY ${order}`);
  return rows.map((row) => columns.map((column) => row[column] ?? null));
}

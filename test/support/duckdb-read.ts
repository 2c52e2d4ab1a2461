// What is in a DuckDB file, read with DuckDB's own client rather than with the connector.
import { DuckDBInstance } from '@duckdb/node-api';

export type TextRow = readonly (string | null)[];

/** Rows as texts; every expression of the statement must be a VARCHAR. */
export async function readDuckdb(path: string, sql: string): Promise<TextRow[]> {
  return (await readDuckdbAll(path, [sql]))[0] ?? [];
}

/** The rows of several statements; a statement that fails gives its message as its only row. */
export async function readDuckdbAll(
  path: string,
  statements: readonly string[],
): Promise<TextRow[][]> {
  const instance = await DuckDBInstance.create(path, {
    access_mode: 'READ_ONLY',
    threads: '1',
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  try {
    const connection = await instance.connect();
    await connection.run("set timezone = 'UTC'");
    const results: TextRow[][] = [];
    for (const sql of statements) {
      try {
        const reader = await connection.runAndReadAll(sql);
        results.push(reader.getRows().map((row) => row.map(text)));
      } catch (error) {
        results.push([[String(error)]]);
      }
    }
    connection.closeSync();
    return results;
  } finally {
    instance.closeSync();
  }
}

function text(value: unknown): string | null {
  if (value === null) return null;
  if (typeof value !== 'string') throw new TypeError(`${typeof value}: cast it to VARCHAR`);
  return value;
}

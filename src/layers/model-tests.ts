/** Tests of a model, asked of what was built before it is committed. */
import type { ModelTest } from './model-file.ts';
import { qualify } from './model-graph.ts';
import {
  count,
  GOLD,
  quote,
  quoteTable,
  readColumns,
  SILVER,
  Values,
  type Warehouse,
} from './warehouse.ts';

export interface ModelTestResult {
  readonly name: string;
  readonly action: ModelTest['action'];
  /** Rows, or groups of rows, that break it. */
  readonly failures: number;
}

export interface KnownTables {
  readonly models: ReadonlySet<string>;
  readonly silver: ReadonlySet<string>;
}

function testName(test: ModelTest): string {
  if (test.name !== undefined) return test.name;
  if ('columns' in test) return `${test.test}:${test.columns.join(',')}`;
  return 'column' in test ? `${test.test}:${test.column}` : test.test;
}

function anyNull(columns: readonly string[]): string {
  return columns.map((name) => `t.${quote(name)} IS NULL`).join(' OR ');
}

function failuresSql(
  test: ModelTest,
  table: string,
  given: {
    readonly known: KnownTables;
    readonly typeOf: (column: string) => string;
    readonly values: Values;
  },
): string {
  switch (test.test) {
    case 'not_null':
      return `SELECT 1 FROM ${table} t WHERE ${anyNull(test.columns)}`;
    case 'unique': {
      const list = test.columns.map((name) => `t.${quote(name)}`).join(', ');
      return `SELECT 1 FROM ${table} t WHERE NOT (${anyNull(test.columns)}) GROUP BY ${list} HAVING count(*) > 1`;
    }
    case 'accepted_values': {
      const type = given.typeOf(test.column);
      const list = test.values.map((value) => given.values.add(String(value), type));
      return `SELECT 1 FROM ${table} t WHERE t.${quote(test.column)} NOT IN (${list.join(', ')})`;
    }
    case 'relationships': {
      const { table: other, columns } = test.references;
      const schema = given.known.models.has(other) ? GOLD : SILVER;
      const equal = test.columns.map(
        (name, index) => `f.${quote(columns[index] ?? '')} = t.${quote(name)}`,
      );
      return `SELECT 1 FROM ${table} t WHERE NOT (${anyNull(test.columns)}) AND NOT EXISTS (
        SELECT 1 FROM ${quoteTable({ schema, name: other })} f WHERE ${equal.join(' AND ')})`;
    }
    case 'sql':
      return `SELECT 1 FROM (${qualify(test.sql.replace(/;\s*$/, ''), given.known, null).sql}\n) t`;
  }
}

export async function runModelTests(
  warehouse: Warehouse,
  model: { readonly name: string; readonly tests: readonly ModelTest[] },
  known: KnownTables,
): Promise<readonly ModelTestResult[]> {
  if (model.tests.length === 0) return [];
  const name = { schema: GOLD, name: model.name };
  const types = new Map(
    (await readColumns(warehouse, name)).map((column) => [column.name, column.type]),
  );
  const results: ModelTestResult[] = [];
  for (const test of model.tests) {
    const values = new Values();
    const typeOf = (column: string): string => types.get(column) ?? 'text';
    const sql = failuresSql(test, quoteTable(name), { known, typeOf, values });
    const failures = await count(
      warehouse,
      `SELECT count(*) AS n FROM (${sql}) failures`,
      values.list,
    );
    results.push({ name: testName(test), action: test.action, failures });
  }
  return results;
}

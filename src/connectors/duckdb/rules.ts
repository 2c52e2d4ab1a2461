/**
 * What a table of the user's demands of a row beside its types. DuckDB ends the whole transaction when a constraint
 * refuses a row, and knows no savepoints: rows are held against the constraints before they are written.
 */
import type { Connection } from './database.ts';

/** Expressions speak of the table's columns without a qualifier. */
export type Rule =
  | { readonly kind: 'check'; readonly reason: string; readonly expression: string }
  /** No two rows may have the same values, none of them NULL. */
  | { readonly kind: 'unique'; readonly reason: string; readonly expressions: readonly string[] };

const OF_TABLE = `database_name = current_database()
  AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)`;

/** Foreign keys are not among them: whether a row fits hangs on the order in which tables are written. */
export async function readRules(
  connection: Connection,
  namespace: string,
  name: string,
): Promise<Rule[]> {
  const checks = await connection.all(
    `SELECT constraint_text, expression FROM duckdb_constraints()
     WHERE ${OF_TABLE} AND constraint_type = 'CHECK' ORDER BY constraint_index`,
    [namespace, name],
  );
  const keys = await connection.all(
    `SELECT constraint_index::VARCHAR, constraint_text,
       unnest(list_transform(constraint_column_names, lambda x: '"' || replace(x, '"', '""') || '"'))
     FROM duckdb_constraints()
     WHERE ${OF_TABLE} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE') ORDER BY constraint_index`,
    [namespace, name],
  );
  const indexes = await connection.all(
    `SELECT index_name, 'unique index ' || index_name, unnest(expressions::VARCHAR[])
     FROM duckdb_indexes() WHERE ${OF_TABLE} AND is_unique AND NOT is_primary ORDER BY index_name`,
    [namespace, name],
  );
  return [
    ...checks.map(([reason, expression]): Rule => ({
      kind: 'check',
      reason: String(reason),
      expression: String(expression),
    })),
    ...grouped(keys),
    ...grouped(indexes),
  ];
}

/** One rule of rows with the same first value. */
function grouped(rows: readonly (readonly unknown[])[]): Rule[] {
  const rules = new Map<string, { reason: string; expressions: string[] }>();
  for (const [id, reason, expression] of rows) {
    const rule = rules.get(String(id)) ?? { reason: String(reason), expressions: [] };
    rule.expressions.push(String(expression));
    rules.set(String(id), rule);
  }
  return [...rules.values()].map((rule): Rule => ({ kind: 'unique', ...rule }));
}

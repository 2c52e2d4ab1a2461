/**
 * Makes a table anew with the same definition, for what ALTER TABLE cannot do:
 * - DuckDB commits no transaction in which a table was altered after rows that stood in it before were updated or
 *   deleted ("another transaction has altered this table"). A table made in the transaction has no such rows.
 * - After a crash DuckDB cannot replay its log over ALTER COLUMN ... TYPE ... USING with a function, nor over a
 *   table that was renamed away and made again in one transaction: the file can no longer be opened. A table made
 *   beside, filled, and renamed into the place of the dropped one is replayed.
 */
import type { Connection } from './database.ts';
import { quoteName, quoteTable } from './types.ts';

const BESIDE_SUFFIX = '__forebay_renewed';

/** A column that becomes VARCHAR, and the expression that gives its texts. */
export interface NewText {
  readonly column: string;
  readonly expression: string;
}

/** What stands after the table's name in its definition. */
function bodyOf(definition: string): string {
  let quoted = false;
  for (let at = 0; at < definition.length; at += 1) {
    if (definition[at] === '"') quoted = !quoted;
    else if (definition[at] === '(' && !quoted) return definition.slice(at);
  }
  throw new SyntaxError('a table without columns');
}

export async function renewTable(
  connection: Connection,
  namespace: string,
  name: string,
  text: NewText | null = null,
): Promise<void> {
  const ofTable = `database_name = current_database()
    AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)`;
  const definition = await connection.scalar(`SELECT sql FROM duckdb_tables() WHERE ${ofTable}`, [
    namespace,
    name,
  ]);
  if (typeof definition !== 'string') return;
  const indexes = await connection.all(`SELECT sql FROM duckdb_indexes() WHERE ${ofTable}`, [
    namespace,
    name,
  ]);
  const table = quoteTable(namespace, name);
  const beside = quoteTable(namespace, `${name}${BESIDE_SUFFIX}`);
  await connection.run(`CREATE TABLE ${beside} ${bodyOf(definition)}`);
  let replaced = '';
  if (text !== null) {
    const column = quoteName(text.column);
    await connection.run(`ALTER TABLE ${beside} ALTER COLUMN ${column} TYPE VARCHAR`);
    replaced = ` REPLACE (${text.expression} AS ${column})`;
  }
  await connection.run(`INSERT INTO ${beside} BY NAME SELECT *${replaced} FROM ${table}`);
  await connection.run(`DROP TABLE ${table}`);
  await connection.run(`ALTER TABLE ${beside} RENAME TO ${quoteName(name)}`);
  for (const [sql] of indexes) await connection.run(String(sql));
}

/** Writes a letter's row as its plan says. */
import { ForebayError } from '../../core/errors.ts';
import type { PgConnection } from './connection.ts';
import type { LetterPlan } from './dead-letters.ts';
import { DELETED_AT } from './lane.ts';
import { alive } from './keyed-sql.ts';
import { quoteIdent, quoteName } from './sql.ts';
import { type ExistingTable, readTable } from './target-table.ts';

export type Values = Readonly<Record<string, string | null>>;

/** Numbers parameters and casts each to its column's type. */
class Parameters {
  readonly values: (string | null)[] = [];
  readonly #table: ExistingTable;

  constructor(table: ExistingTable) {
    this.#table = table;
  }

  add(column: string, value: string | null): string {
    this.values.push(value);
    const type = this.#table.columns.get(column)?.bare;
    if (type === undefined) {
      throw new ForebayError('column_missing', {
        message: `column ${column} is no longer in ${quoteName(this.#table.name)}`,
      });
    }
    return `$${this.values.length}::text::${type}`;
  }

  match(match: Values): string {
    return Object.entries(match)
      .map(([column, value]) => {
        const equals = this.#table.columns.get(column)?.equals ?? '=';
        return `t.${quoteIdent(column)} ${equals} ${this.add(column, value)}`;
      })
      .join(' AND ');
  }
}

/** The condition that finds a row as `t`, with its parameters. */
export function matchOf(
  table: ExistingTable,
  match: Values,
): { readonly where: string; readonly values: readonly (string | null)[] } {
  const parameters = new Parameters(table);
  return { where: parameters.match(match), values: parameters.values };
}

async function insertRow(
  connection: PgConnection,
  table: ExistingTable,
  values: Values,
): Promise<void> {
  const parameters = new Parameters(table);
  const columns = Object.keys(values).map(quoteIdent).join(', ');
  const list = Object.entries(values).map(([column, value]) => parameters.add(column, value));
  await connection.query(
    `INSERT INTO ${quoteName(table.name)} (${columns}) OVERRIDING SYSTEM VALUE VALUES (${list.join(', ')})`,
    parameters.values,
  );
}

async function updateRow(
  connection: PgConnection,
  table: ExistingTable,
  source: { readonly plan: LetterPlan; readonly payload: Values },
): Promise<number> {
  const { plan, payload } = source;
  const parameters = new Parameters(table);
  const set = Object.entries(payload)
    .filter(([column]) => table.columns.get(column)?.identityAlways !== true)
    .map(([column, value]) => `${quoteIdent(column)} = ${parameters.add(column, value)}`);
  if (plan.soft) set.push(`${DELETED_AT} = NULL`);
  const { rowCount } = await connection.query(
    `UPDATE ${quoteName(table.name)} t SET ${set.join(', ')}
     WHERE ${parameters.match(plan.match)}${plan.action === 'patch' ? alive(plan) : ''}`,
    parameters.values,
  );
  return rowCount;
}

async function deleteRow(
  connection: PgConnection,
  table: ExistingTable,
  plan: LetterPlan,
): Promise<void> {
  const parameters = new Parameters(table);
  const where = parameters.match(plan.match);
  const name = quoteName(table.name);
  await connection.query(
    plan.soft
      ? `UPDATE ${name} t SET ${DELETED_AT} = now() WHERE ${where}`
      : `DELETE FROM ${name} t WHERE ${where}`,
    parameters.values,
  );
}

export async function writeAgain(
  connection: PgConnection,
  plan: LetterPlan,
  payload: Values,
): Promise<void> {
  if (plan.altered === true) {
    throw new ForebayError('value_rejected', {
      message:
        'it holds bytes that are no text of the database; correct the row at the source, or drop the letter',
    });
  }
  const table = await readTable(connection, plan.table);
  if (table === null) {
    throw new ForebayError('table_missing', { message: `table ${quoteName(plan.table)} is gone` });
  }
  switch (plan.action) {
    case 'add':
      await insertRow(connection, table, { ...payload, ...plan.extra });
      return;
    case 'put':
      if ((await updateRow(connection, table, { plan, payload })) === 0) {
        await insertRow(connection, table, payload);
      }
      return;
    case 'patch':
      if ((await updateRow(connection, table, { plan, payload })) > 0) return;
      throw new ForebayError('value_rejected', {
        message: 'the row that the update changes is not there; compare and repair brings it',
      });
    case 'delete':
      await deleteRow(connection, table, plan);
      return;
    case 'remove-one':
      throw new ForebayError('value_rejected', {
        message: 'a row without a key cannot be removed by its letter; compare and repair does it',
      });
  }
}

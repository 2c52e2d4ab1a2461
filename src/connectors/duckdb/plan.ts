/** What `prepare` would do with a table. */
import type { StreamTarget, TargetColumn } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { Connection } from './database.ts';
import { bindTable, checkNames, isView, ownColumns, readColumns, sameName } from './tables.ts';
import { chooseColumnType, printColumnType, quoteTable, wantedEncoding } from './types.ts';

export interface TableFacts {
  readonly exists: boolean;
  readonly empty: boolean;
  readonly columns: readonly TargetColumn[];
}

/** A table that is still to be made. Fails with `destination_incompatible` if it cannot be. */
export function planNewTable(target: StreamTarget): TableFacts {
  checkNames(target);
  const columns = target.schema.columns.map(({ name, type }): TargetColumn => {
    const column = chooseColumnType(type);
    return { name, type: printColumnType(column), encoding: wantedEncoding(column, type) };
  });
  return { exists: false, empty: true, columns };
}

export async function planTable(connection: Connection, target: StreamTarget): Promise<TableFacts> {
  const { namespace, name } = target.table;
  const present = await readColumns(connection, namespace, name);
  if (present.length === 0) return planNewTable(target);
  checkNames(target);
  if (await isView(connection, namespace, name)) {
    throw new ForebayError('destination_incompatible', {
      message: `${namespace}.${name} is a view`,
      stream: target.id,
    });
  }
  const rows = await connection.scalar(
    `SELECT count(*) FROM (FROM ${quoteTable(namespace, name)} LIMIT 1)`,
  );
  const facts = { exists: true, empty: rows === 0 };
  try {
    // Our own columns are added where they are missing.
    const missing = ownColumns(target).filter(
      (own) => !present.some((column) => sameName(column.name, own.name)),
    );
    const added = missing.map((own) => ({ ...own, notNull: false, defaultSql: null }));
    const table = bindTable(target, name, [...present, ...added]);
    const columns = table.columns.map((column): TargetColumn => ({
      name: column.name,
      type: printColumnType(column.type),
      encoding: wantedEncoding(column.type, column.logical),
    }));
    return { ...facts, columns };
  } catch (error) {
    // A table that is replaced need not fit.
    if (target.load === 'replace') return { ...planNewTable(target), ...facts };
    throw error;
  }
}

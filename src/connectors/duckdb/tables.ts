/** Destination tables: what stands in the catalog, what a stream needs, and how the two are bound. */
import type { StreamTarget } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { LogicalType } from '../../core/value.ts';
import type { Connection } from './database.ts';
import type { Slot, TableRef } from './table-writer.ts';
import {
  chooseColumnType,
  type ColumnType,
  columnTakes,
  parseColumnType,
  printColumnType,
  quoteName,
  quoteTable,
  TIMESTAMPTZ,
  VARCHAR,
} from './types.ts';

export interface TableColumn {
  readonly name: string;
  readonly type: ColumnType;
  readonly notNull: boolean;
  /** The expression that fills it where a row has no value for it. */
  readonly defaultSql: string | null;
}

/** A column of the stream at its place in the table. */
export interface BoundColumn extends TableColumn {
  readonly logical: LogicalType;
  readonly rawText: boolean;
}

/** A stream's table as it is now; made anew after every change to it. */
export interface BoundTable {
  readonly target: StreamTarget;
  readonly ref: TableRef;
  /** Quoted, as SQL names it. */
  readonly sql: string;
  /** One per column of the stream. */
  readonly columns: readonly BoundColumn[];
  /** All columns of the table, in its order. */
  readonly physical: readonly TableColumn[];
  /** Columns that neither the stream nor we know: the user's own. */
  readonly hasForeign: boolean;
  /** Every column can be written by position: none of the user's own has a default. */
  readonly appendable: boolean;
}

export const OP_COLUMN = '_forebay_op';
export const POSITION_COLUMN = '_forebay_position';
export const COMMITTED_COLUMN = '_forebay_committed_at';
export const UNCHANGED_COLUMN = '_forebay_unchanged';
export const EXECUTION_COLUMN = '_forebay_execution_id';
export const LOADED_COLUMN = '_forebay_loaded_at';
export const DELETED_COLUMN = '_forebay_deleted_at';

export const REPLACE_SUFFIX = '__forebay_new';

/** Columns that a target has beside the stream's. */
export function ownColumns(target: StreamTarget): readonly { name: string; type: ColumnType }[] {
  if (target.load === 'append') {
    return [
      { name: OP_COLUMN, type: VARCHAR },
      { name: POSITION_COLUMN, type: VARCHAR },
      { name: COMMITTED_COLUMN, type: TIMESTAMPTZ },
      { name: UNCHANGED_COLUMN, type: VARCHAR },
      ...(target.stamp === undefined
        ? []
        : [
            { name: EXECUTION_COLUMN, type: VARCHAR },
            { name: LOADED_COLUMN, type: TIMESTAMPTZ },
          ]),
    ];
  }
  return target.deletes === 'soft' ? [{ name: DELETED_COLUMN, type: TIMESTAMPTZ }] : [];
}

/** DuckDB compares names without case. */
export function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

export async function readColumns(
  connection: Connection,
  namespace: string,
  name: string,
): Promise<TableColumn[]> {
  const rows = await connection.all(
    `SELECT column_name, data_type, NOT is_nullable, column_default
     FROM duckdb_columns()
     WHERE database_name = current_database()
       AND lower(schema_name) = lower(?) AND lower(table_name) = lower(?)
     ORDER BY column_index`,
    [namespace, name],
  );
  return rows.map(([column, type, notNull, defaultSql]) => ({
    name: String(column),
    type: parseColumnType(String(type)),
    notNull: notNull === true,
    defaultSql: typeof defaultSql === 'string' ? defaultSql : null,
  }));
}

export async function isView(
  connection: Connection,
  namespace: string,
  name: string,
): Promise<boolean> {
  const found = await connection.scalar(
    `SELECT view_name FROM duckdb_views() WHERE database_name = current_database()
       AND lower(schema_name) = lower(?) AND lower(view_name) = lower(?)`,
    [namespace, name],
  );
  return found !== null;
}

function incompatible(target: StreamTarget, why: string): ForebayError {
  return new ForebayError('destination_incompatible', {
    message: `Table ${target.table.namespace}.${target.table.name} does not fit the stream`,
    why,
    stream: target.id,
  });
}

/** Names that differ only by case cannot stand in one table; our own must be free. */
export function checkNames(target: StreamTarget): void {
  const seen = new Map<string, string>();
  for (const { name } of ownColumns(target)) seen.set(name.toLowerCase(), name);
  for (const { name } of target.schema.columns) {
    const other = seen.get(name.toLowerCase());
    if (other !== undefined) {
      throw incompatible(target, `columns ${other} and ${name} are one name in DuckDB`);
    }
    seen.set(name.toLowerCase(), name);
  }
  if (target.schema.columns.length + ownColumns(target).length === 0) {
    throw incompatible(target, 'the stream has no columns');
  }
}

/** Fails with `destination_incompatible` if the table cannot keep the stream's rows as they are. */
export function bindTable(
  target: StreamTarget,
  name: string,
  physical: readonly TableColumn[],
): BoundTable {
  const byName = new Map(physical.map((column) => [column.name.toLowerCase(), column]));
  const columns = target.schema.columns.map(({ name: wanted, type }): BoundColumn => {
    const column = byName.get(wanted.toLowerCase());
    if (column === undefined) throw incompatible(target, `it has no column ${wanted}`);
    if (!columnTakes(column.type, type)) {
      const has = printColumnType(column.type);
      const needs = printColumnType(chooseColumnType(type));
      throw incompatible(target, `column ${wanted} is ${has}, the stream needs ${needs}`);
    }
    return { ...column, logical: type, rawText: target.schema.rawText ?? false };
  });
  for (const own of ownColumns(target)) {
    if (!byName.has(own.name)) throw incompatible(target, `it has no column ${own.name}`);
  }
  const known = new Set(
    [...columns, ...ownColumns(target)].map((column) => column.name.toLowerCase()),
  );
  const foreign = physical.filter((column) => !known.has(column.name.toLowerCase()));
  const refusing = foreign.find((column) => column.notNull && column.defaultSql === null);
  if (refusing !== undefined) {
    throw incompatible(
      target,
      `column ${refusing.name} is NOT NULL and the stream has no value for it`,
    );
  }
  const { namespace } = target.table;
  return {
    target,
    ref: { catalog: null, namespace, name },
    sql: quoteTable(namespace, name),
    columns,
    physical,
    hasForeign: foreign.some((column) => column.name !== DELETED_COLUMN),
    appendable: foreign.every((column) => column.defaultSql === null),
  };
}

/** `special` fills our own columns; columns that nobody fills are NULL. */
export function directSlots(table: BoundTable, special: ReadonlyMap<string, Slot>): Slot[] {
  const places = new Map(table.columns.map((column, index) => [column.name.toLowerCase(), index]));
  return table.physical.map((column): Slot => {
    const index = places.get(column.name.toLowerCase());
    const bound = index === undefined ? undefined : table.columns[index];
    if (index !== undefined && bound !== undefined) {
      const { logical, type, rawText } = bound;
      return { kind: 'cell', column: index, logical, type, rawText };
    }
    return special.get(column.name) ?? { kind: 'null' };
  });
}

/**
 * Tables are made without a primary key: DuckDB's index makes loads several times slower, and keys are kept
 * unique by the way rows are written.
 */
export async function createTable(
  connection: Connection,
  target: StreamTarget,
  name: string,
): Promise<void> {
  checkNames(target);
  const columns = [
    ...target.schema.columns.map((column) => ({
      name: column.name,
      type: chooseColumnType(column.type),
    })),
    ...ownColumns(target),
  ];
  const list = columns.map((column) => `${quoteName(column.name)} ${printColumnType(column.type)}`);
  await connection.run(`CREATE SCHEMA IF NOT EXISTS ${quoteName(target.table.namespace)}`);
  await connection.run(
    `CREATE TABLE IF NOT EXISTS ${quoteTable(target.table.namespace, name)} (${list.join(', ')})`,
  );
}

export async function loadTable(
  connection: Connection,
  target: StreamTarget,
  name: string,
): Promise<BoundTable | null> {
  const physical = await readColumns(connection, target.table.namespace, name);
  if (physical.length === 0) return null;
  if (await isView(connection, target.table.namespace, name)) {
    throw incompatible(target, 'it is a view');
  }
  return bindTable(target, name, physical);
}

/** Existing tables get the columns that are ours; those of the stream they must have. */
export async function addOwnColumns(connection: Connection, target: StreamTarget): Promise<void> {
  const { namespace, name } = target.table;
  const physical = await readColumns(connection, namespace, name);
  for (const own of ownColumns(target)) {
    if (physical.some((column) => sameName(column.name, own.name))) continue;
    await connection.run(
      `ALTER TABLE ${quoteTable(namespace, name)} ADD COLUMN ${quoteName(own.name)} ${printColumnType(own.type)}`,
    );
  }
}

/** The statements that bring staged rows into a table by key. `t` is the table, `s` the stage. */
import { type CellPath, columnList, stagedValue } from './cell-path.ts';
import type { PgConnection } from './connection.ts';
import { DELETED_AT } from './lane.ts';
import { quoteIdent, quoteName } from './sql.ts';
import type { ExistingTable } from './target-table.ts';

/** Rows that the source calls new. */
export const GROUP_NEW = -1;
/** Whole rows that replace the one with their key. Groups above are patches. */
export const GROUP_WHOLE = 0;

export interface KeyedSql {
  readonly table: ExistingTable;
  readonly keyPaths: readonly CellPath[];
  readonly paths: readonly CellPath[];
  readonly soft: boolean;
}

export interface StagedGroup {
  readonly stage: string;
  readonly group: number;
}

/** Types in which equal values are the same bytes, so that an update need not write the key again. */
const EXACT_KEYS: ReadonlySet<string> = new Set([
  'int2recv',
  'int4recv',
  'int8recv',
  'uuid_recv',
  'date_recv',
  'timestamp_recv',
  'timestamptz_recv',
  'boolrecv',
  'bytearecv',
  'enum_recv',
  'textrecv',
  'varcharrecv',
]);

export function keyMatch(keyPaths: readonly CellPath[], alias = 's'): string {
  return keyPaths
    .map((path) => `t.${quoteIdent(path.name)} ${path.target.equals} ${stagedValue(path, alias)}`)
    .join(' AND ');
}

/** Leaves out rows that are deleted softly: what they hold is of another time. */
export function alive(sql: Pick<KeyedSql, 'soft'>): string {
  return sql.soft ? ` AND t.${DELETED_AT} IS NULL` : '';
}

/** A patch has only a part of its row, and may not bring back the rest of one that was deleted. */
function reachable(sql: KeyedSql, group: number): string {
  return group > GROUP_WHOLE ? alive(sql) : '';
}

/** Rows that are gone afterwards, of `count` that are staged; one that was gone before is one of them. */
export async function deleteByKey(
  connection: PgConnection,
  sql: KeyedSql,
  staged: { readonly stage: string; readonly count: number },
): Promise<number> {
  const { stage, count } = staged;
  const table = quoteName(sql.table.name);
  const match = `${keyMatch(sql.keyPaths)}${alive(sql)}`;
  const { rowCount } = await connection.query(
    sql.soft
      ? `UPDATE ${table} t SET ${DELETED_AT} = now() FROM ${stage} s WHERE ${match}`
      : `DELETE FROM ${table} t USING ${stage} s WHERE ${match}`,
  );
  if (rowCount >= count) return count;
  const left = await connection.query(
    `SELECT count(*) FROM ${stage} s WHERE EXISTS (SELECT FROM ${table} t WHERE ${match})`,
  );
  return count - Number(left.rows[0]?.[0] ?? 0);
}

export function assignments(sql: KeyedSql, present: readonly CellPath[]): string[] {
  const set = present.filter(
    (path) =>
      !path.target.identityAlways &&
      !(sql.keyPaths.includes(path) && EXACT_KEYS.has(path.target.receive)),
  );
  const list = set.map((path) => `${quoteIdent(path.name)} = ${stagedValue(path, 's')}`);
  return sql.soft ? [...list, `${DELETED_AT} = NULL`] : list;
}

/** Rows updated, more than are staged where the key is not unique; none where there is nothing to set. */
export async function updateGroup(
  connection: PgConnection,
  sql: KeyedSql,
  source: StagedGroup & { readonly present: readonly CellPath[] },
): Promise<number> {
  const set = assignments(sql, source.present);
  if (set.length === 0) return 0;
  const { rowCount } = await connection.query(
    `UPDATE ${quoteName(sql.table.name)} t SET ${set.join(', ')}
     FROM ${source.stage} s
     WHERE s.g = ${source.group} AND ${keyMatch(sql.keyPaths)}${reachable(sql, source.group)}`,
  );
  return rowCount;
}

function insertFrom(sql: KeyedSql, source: StagedGroup): string {
  const values = sql.paths.map((path) => stagedValue(path, 's')).join(', ');
  return `INSERT INTO ${quoteName(sql.table.name)} (${columnList(sql.paths)}) OVERRIDING SYSTEM VALUE
    SELECT ${values} FROM ${source.stage} s WHERE s.g = ${source.group}`;
}

function unmatched(sql: KeyedSql, group: number): string {
  return `NOT EXISTS (SELECT FROM ${quoteName(sql.table.name)} t
    WHERE ${keyMatch(sql.keyPaths)}${reachable(sql, group)})`;
}

export async function insertStaged(
  connection: PgConnection,
  sql: KeyedSql,
  source: StagedGroup,
): Promise<number> {
  return (await connection.query(insertFrom(sql, source))).rowCount;
}

export async function insertUnmatched(
  connection: PgConnection,
  sql: KeyedSql,
  source: StagedGroup,
): Promise<number> {
  const { rowCount } = await connection.query(
    `${insertFrom(sql, source)} AND ${unmatched(sql, source.group)}`,
  );
  return rowCount;
}

/** Brings whole rows in; gives how many there are afterwards as they are staged, of `count`. */
export async function mergeWhole(
  connection: PgConnection,
  sql: KeyedSql,
  source: StagedGroup & { readonly count: number },
): Promise<number> {
  const { count } = source;
  const updated = await updateGroup(connection, sql, { ...source, present: sql.paths });
  if (updated >= count) return count;
  const inserted = await insertUnmatched(connection, sql, source);
  if (updated + inserted >= count) return count;
  // Another chunk's transaction may have brought some between the two statements.
  if (assignments(sql, sql.paths).length > 0)
    return Math.min(await updateGroup(connection, sql, { ...source, present: sql.paths }), count);
  // A table of nothing but its key has nothing to set.
  const left = await connection.query(
    `SELECT count(*) FROM ${source.stage} s WHERE s.g = ${source.group} AND ${unmatched(sql, source.group)}`,
  );
  return count - Number(left.rows[0]?.[0] ?? 0);
}

export async function unmatchedPatches(
  connection: PgConnection,
  sql: KeyedSql,
  source: StagedGroup,
): Promise<number[]> {
  const { rows } = await connection.query(
    `SELECT s.r FROM ${source.stage} s WHERE s.g = ${source.group} AND ${unmatched(sql, source.group)}`,
  );
  return rows.map((row) => Number(row[0]));
}

/**
 * Gives how many rows moved. Takes all staged keys out of the table and puts their rows back, with what each group does not bring and what
 * the stream does not know as it was. Counting `gone` first makes the deletes end before the first insert.
 */
export async function exchangeRows(
  connection: PgConnection,
  sql: KeyedSql,
  source: { readonly stage: string; readonly present: ReadonlyMap<number, readonly CellPath[]> },
): Promise<number> {
  const byName = new Map(sql.paths.map((path) => [path.name, path]));
  const columns = [...sql.table.columns.values()].filter((column) => !column.generated);
  const values = columns.map((column) => {
    const before = `gone.${quoteIdent(column.name)}`;
    const path = byName.get(column.name);
    if (path === undefined) return sql.soft && column.name === DELETED_AT ? 'NULL' : before;
    const lacking = [...source.present].flatMap(([group, paths]) =>
      paths.includes(path) ? [] : [group],
    );
    const staged = stagedValue(path, 's');
    return lacking.length === 0
      ? staged
      : `CASE WHEN s.g IN (${lacking.join(', ')}) THEN ${before} ELSE ${staged} END`;
  });
  const table = quoteName(sql.table.name);
  const reached = sql.soft ? ` AND (s.g <= ${GROUP_WHOLE} OR t.${DELETED_AT} IS NULL)` : '';
  const { rowCount } = await connection.query(
    `WITH gone AS (DELETE FROM ${table} t USING ${source.stage} s WHERE ${keyMatch(sql.keyPaths)}${reached}
       RETURNING s.r AS forebay_r, t.*)
     INSERT INTO ${table} (${columns.map((column) => quoteIdent(column.name)).join(', ')})
       OVERRIDING SYSTEM VALUE
     SELECT ${values.join(', ')} FROM ${source.stage} s JOIN gone ON gone.forebay_r = s.r
     WHERE (SELECT count(*) FROM gone) > 0`,
  );
  return rowCount;
}

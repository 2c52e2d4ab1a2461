/** SQL that brings staged rows into their table. `t` is the table, `s` the stage. */
import { ACT_DELETE, ACT_INSERT, ACT_PATCH, ACT_REPLACE } from '../../core/folded-rows.ts';
import type { Connection } from './database.ts';
import type { Stage } from './stage.ts';
import { type BoundTable, DELETED_COLUMN } from './tables.ts';
import { quoteName } from './types.ts';

/** The old identity of a rekeyed row, in a stage. */
export const ACT_OLD_KEY = 6;

const WHOLE_ROWS = `${ACT_INSERT}, ${ACT_REPLACE}`;

export interface Application {
  readonly connection: Connection;
  readonly table: BoundTable;
  readonly stage: Stage;
}

const isSoft = (table: BoundTable): boolean => table.target.deletes === 'soft';

export function keyJoin(table: BoundTable, alias = 's'): string {
  return table.target.schema.key
    .map((index) => `t.${quoteName(table.columns[index]?.name ?? '')} = ${alias}.c${index}`)
    .join(' AND ');
}

/** Leaves out rows that are deleted softly. */
export function alive(table: BoundTable): string {
  return isSoft(table) ? ` AND t.${DELETED_COLUMN} IS NULL` : '';
}

function names(table: BoundTable): string {
  return table.columns.map((column) => quoteName(column.name)).join(', ');
}

function staged(table: BoundTable): string {
  return table.columns.map((_, index) => `s.c${index}`).join(', ');
}

function assignments(table: BoundTable, columns: readonly number[]): string[] {
  const list = columns.map(
    (index) => `${quoteName(table.columns[index]?.name ?? '')} = s.c${index}`,
  );
  return isSoft(table) ? [...list, `${DELETED_COLUMN} = NULL`] : list;
}

function allColumns(table: BoundTable): number[] {
  return table.columns.map((_, index) => index);
}

/** Rows that the stream no longer has; in `keyed` and `rekey`. */
export async function removeByKey(
  { connection, table, stage }: Application,
  act: number,
): Promise<void> {
  if (table.target.deletes === 'ignore') return;
  const where = `${keyJoin(table)} AND s.act = ${act}`;
  const sql = isSoft(table)
    ? `UPDATE ${table.sql} AS t SET ${DELETED_COLUMN} = now() FROM ${stage.sql} AS s
       WHERE ${where} AND t.${DELETED_COLUMN} IS NULL`
    : `DELETE FROM ${table.sql} AS t USING ${stage.sql} AS s WHERE ${where}`;
  await connection.run(sql);
}

/** Columns of the user's own keep their value where a row is replaced; otherwise the row is written anew. */
export async function mergeWholeRows({ connection, table, stage }: Application): Promise<void> {
  const where = `s.act IN (${WHOLE_ROWS})`;
  const insert = `INSERT INTO ${table.sql} (${names(table)}) SELECT ${staged(table)} FROM ${stage.sql} AS s`;
  if (!table.hasForeign) {
    await connection.run(
      `DELETE FROM ${table.sql} AS t USING ${stage.sql} AS s WHERE ${keyJoin(table)} AND ${where}`,
    );
    await connection.run(`${insert} WHERE ${where}`);
    return;
  }
  await connection.run(
    `INSERT INTO ${table.sql} (${names(table)}) SELECT ${staged(table)}
     FROM ${stage.sql} AS s ANTI JOIN ${table.sql} AS t ON ${keyJoin(table)} WHERE ${where}`,
  );
  await connection.run(
    `UPDATE ${table.sql} AS t SET ${assignments(table, allColumns(table)).join(', ')}
     FROM ${stage.sql} AS s WHERE ${keyJoin(table)} AND ${where}`,
  );
}

/** `masks` are the unchanged columns per mask number. Returns the places of rows that found none to patch. */
async function patchRows(
  application: Application,
  masks: readonly ReadonlySet<number>[],
): Promise<number[]> {
  const { connection, table, stage } = application;
  const missing = await connection.all(
    `SELECT s.place FROM ${stage.sql} AS s ANTI JOIN ${table.sql} AS t ON ${keyJoin(table)}${alive(table)}
     WHERE s.act = ${ACT_PATCH}`,
  );
  for (const [mask, unchanged] of masks.entries()) {
    const key = new Set(table.target.schema.key);
    const present = allColumns(table).filter((index) => !unchanged.has(index) && !key.has(index));
    if (present.length === 0) continue;
    await connection.run(
      `UPDATE ${table.sql} AS t SET ${assignments(table, present).join(', ')} FROM ${stage.sql} AS s
       WHERE ${keyJoin(table)}${alive(table)} AND s.act = ${ACT_PATCH} AND s.mask = ${mask}`,
    );
  }
  return missing.map(([place]) => Number(place));
}

export interface KeyedWork {
  readonly deletes: number;
  readonly wholeRows: number;
  readonly masks: readonly ReadonlySet<number>[];
}

export async function applyKeyed(application: Application, work: KeyedWork): Promise<number[]> {
  if (work.deletes > 0) await removeByKey(application, ACT_DELETE);
  if (work.wholeRows > 0) await mergeWholeRows(application);
  return work.masks.length > 0 ? patchRows(application, work.masks) : [];
}

/** One equal row goes for each staged delete; equality takes NULL for equal to NULL. */
export async function removeMultiset({ connection, table, stage }: Application): Promise<void> {
  if (table.target.deletes === 'ignore') return;
  const columns = table.columns.map((column, index) => ({
    name: quoteName(column.name),
    at: `c${index}`,
  }));
  const same = columns
    .map(({ name, at }) => `t.${name} IS NOT DISTINCT FROM s.${at}`)
    .join(' AND ');
  const list = columns.map(({ at }) => at).join(', ');
  const victims = `
    SELECT row_id FROM (
      SELECT t.rowid AS row_id, s.copies, row_number() OVER (PARTITION BY s.kind ORDER BY t.rowid) AS nth
      FROM ${table.sql} AS t JOIN (
        SELECT ${list}, count(*) AS copies, min(place) AS kind FROM ${stage.sql}
        WHERE act = ${ACT_DELETE} GROUP BY ${list}) AS s ON ${same}${alive(table)})
    WHERE nth <= copies`;
  const sql = isSoft(table)
    ? `UPDATE ${table.sql} SET ${DELETED_COLUMN} = now() WHERE rowid IN (${victims})`
    : `DELETE FROM ${table.sql} WHERE rowid IN (${victims})`;
  await connection.run(sql);
}

export async function addMultiset({ connection, table, stage }: Application): Promise<void> {
  await connection.run(
    `INSERT INTO ${table.sql} (${names(table)}) SELECT ${staged(table)} FROM ${stage.sql} AS s
     WHERE s.act IN (${WHOLE_ROWS})`,
  );
}

/**
 * The stage holds the old key (ACT_OLD_KEY) and the new row (ACT_PATCH). False if there is neither an old row
 * nor one with the new key.
 */
export async function applyRekey(
  application: Application,
  unchanged: ReadonlySet<number>,
): Promise<boolean> {
  const { connection, table, stage } = application;
  const there = await connection.scalar(
    `SELECT count(*) FROM ${table.sql} AS t JOIN ${stage.sql} AS s ON ${keyJoin(table)}
     WHERE s.act = ${ACT_PATCH}${alive(table)}`,
  );
  if (there !== 0) {
    await removeByKey(application, ACT_OLD_KEY);
    await patchRows(application, [unchanged]);
    return true;
  }
  if (isSoft(table)) {
    await connection.run(
      `DELETE FROM ${table.sql} AS t USING ${stage.sql} AS s WHERE ${keyJoin(table)} AND s.act = ${ACT_PATCH}`,
    );
  }
  const present = allColumns(table).filter((index) => !unchanged.has(index));
  const oldKey = keyJoin(table, 'o');
  const moved = await connection.run(
    `UPDATE ${table.sql} AS t SET ${assignments(table, present).join(', ')}
     FROM (SELECT * FROM ${stage.sql} WHERE act = ${ACT_PATCH}) AS s,
          (SELECT * FROM ${stage.sql} WHERE act = ${ACT_OLD_KEY}) AS o
     WHERE ${oldKey}${alive(table)}`,
  );
  return moved > 0;
}

/** The stream was emptied at its source. */
export async function truncateTable(connection: Connection, table: BoundTable): Promise<void> {
  if (table.target.deletes === 'ignore') return;
  const sql = isSoft(table)
    ? `UPDATE ${table.sql} SET ${DELETED_COLUMN} = now() WHERE ${DELETED_COLUMN} IS NULL`
    : `DELETE FROM ${table.sql}`;
  await connection.run(sql);
}

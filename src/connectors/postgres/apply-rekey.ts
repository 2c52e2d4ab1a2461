/** Single events: an update that moves a row to another key, and truncation. */
import type { WriteResult } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import { NULL_CELL } from '../../core/value.ts';
import { inSavepoint, isRowFault } from './apply-rejects.ts';
import { type CellPath, cellPaths, stagedValue } from './cell-path.ts';
import type { RowPick } from './copy-encode.ts';
import { type DeadLetterWriter, keyValues } from './dead-letters.ts';
import { alive, assignments, keyMatch, type KeyedSql } from './keyed-sql.ts';
import { DELETED_AT, joinSettings, tableSql, type WriteContext } from './lane.ts';
import { quoteIdent } from './sql.ts';

type Rekey = Extract<FoldedRows, { readonly kind: 'rekey' }>;

function pick(rekey: Rekey, row: number): RowPick {
  const one = Int32Array.of(row);
  return { batch: rekey.batch, rows: one, numbers: Int32Array.of(0), groups: Int32Array.of(0) };
}

/** True if the row is there under its new key when this ends. */
async function moveRow(
  context: WriteContext,
  rekey: Rekey,
  sql: KeyedSql & { readonly present: readonly CellPath[] },
): Promise<boolean> {
  const { connection, stages } = context.lane;
  const table = tableSql(context);
  // Old and new key side by side: the old one under names of its own.
  const before = sql.keyPaths.map((path) => ({ ...path, stageName: `k${path.encode.column}` }));
  const after = await stages.fill({ paths: sql.paths, tail: null }, [pick(rekey, rekey.after)]);
  const old = await stages.fill({ paths: before, tail: null }, [pick(rekey, rekey.before)]);
  const set = assignments(sql, sql.present);
  const atNew = keyMatch(sql.keyPaths);
  const atOld = keyMatch(before, 'o');
  const patched = await connection.query(
    set.length === 0
      ? `SELECT FROM ${table} t, ${after} s WHERE ${atNew}${alive(sql)}`
      : `UPDATE ${table} t SET ${set.join(', ')} FROM ${after} s WHERE ${atNew}${alive(sql)}`,
  );
  if (patched.rowCount > 0) {
    const removed = sql.soft
      ? `UPDATE ${table} t SET ${DELETED_AT} = now() FROM ${old} o, ${after} s`
      : `DELETE FROM ${table} t USING ${old} o, ${after} s`;
    await connection.query(`${removed} WHERE ${atOld} AND NOT (${atNew})`);
    return true;
  }
  // One that was deleted softly makes room.
  if (sql.soft) await connection.query(`DELETE FROM ${table} t USING ${after} s WHERE ${atNew}`);
  const keys = sql.keyPaths.map((path) => `${quoteIdent(path.name)} = ${stagedValue(path, 's')}`);
  const others = assignments(
    sql,
    sql.present.filter((path) => !sql.keyPaths.includes(path)),
  );
  const moved = await connection.query(
    `UPDATE ${table} t SET ${[...keys, ...others].join(', ')} FROM ${old} o, ${after} s WHERE ${atOld}${alive(sql)}`,
  );
  return moved.rowCount > 0;
}

export async function applyRekey(
  context: WriteContext,
  rekey: Rekey,
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  const { batch, after } = rekey;
  const paths = cellPaths(batch.schema, batch.encodings, context.table);
  const base = after * batch.schema.columns.length * 2 + 1;
  const sql = {
    table: context.table,
    paths,
    keyPaths: batch.schema.key.flatMap((column) => paths[column] ?? []),
    present: paths.filter((path) => (batch.cells[base + path.encode.column * 2] ?? 0) >= NULL_CELL),
    soft: context.target.deletes === 'soft',
  };
  const settings = joinSettings(context.table, true, 1);
  try {
    const there = await inSavepoint(context.lane, { name: 'forebay_rows', settings }, () =>
      moveRow(context, rekey, sql),
    );
    return there
      ? { applied: 1, deadLettered: 0, missing: [] }
      : { applied: 0, deadLettered: 0, missing: [{ batch, rows: [after] }] };
  } catch (error) {
    if (!isRowFault(error)) throw error;
    const match = keyValues(batch, rekey.before);
    const plan = {
      table: context.table.name,
      action: 'patch',
      match,
      extra: {},
      soft: sql.soft,
    } as const;
    await letters.put({ batch, row: after, plan, position: null }, error);
    return { applied: 0, deadLettered: 1, missing: [] };
  }
}

/** A table that foreign keys point to, or that may only be deleted from, is emptied row by row. */
const CANNOT_TRUNCATE: ReadonlySet<string> = new Set(['0A000', '42501']);

export async function emptyTable(
  context: Pick<WriteContext, 'lane' | 'table'>,
  table: string,
): Promise<void> {
  const { lane } = context;
  try {
    await inSavepoint(lane, { name: 'forebay_truncate' }, () =>
      lane.connection.execute(`TRUNCATE ${table}`),
    );
  } catch (error) {
    const state = error instanceof ForebayError ? error.systemCode : null;
    if (state === null || !CANNOT_TRUNCATE.has(state)) throw error;
    await lane.connection.execute(`DELETE FROM ${table}`);
  }
}

export async function applyTruncate(context: WriteContext): Promise<void> {
  const table = tableSql(context);
  switch (context.target.deletes) {
    case 'hard':
      await emptyTable(context, table);
      return;
    case 'soft':
      await context.lane.connection.execute(
        `UPDATE ${table} SET ${DELETED_AT} = now() WHERE ${DELETED_AT} IS NULL`,
      );
      return;
    case 'ignore':
      return;
  }
}

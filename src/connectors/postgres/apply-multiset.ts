/** Changes of a stream without a key: equal rows are counted, so a delete takes one of them. */
import type { WriteResult } from '../../core/connector.ts';
import { ACT_DELETE, ACT_SKIP, type FoldedPart } from '../../core/folded-rows.ts';
import { writeOrReject } from './apply-rejects.ts';
import {
  allNumbers,
  type NumberedRows,
  numberRows,
  numbersWhere,
  partsByEncoding,
  picksOf,
} from './apply-rows.ts';
import { type CellPath, cellPaths, columnList, stagedValue } from './cell-path.ts';
import type { DeadLetterWriter } from './dead-letters.ts';
import { DELETED_AT, tableSql, type WriteContext } from './lane.ts';
import { quoteIdent } from './sql.ts';
import { copyRows } from './stage.ts';

/** Adds rows that belong to no key, and gives how many came in: straight into the table where their bytes allow it. */
export async function addRows(
  context: WriteContext,
  source: { readonly rows: NumberedRows; readonly paths: readonly CellPath[] },
  numbers: Int32Array,
): Promise<number> {
  if (numbers.length === 0) return 0;
  const { rows, paths } = source;
  const { lane } = context;
  const shape = { paths, tail: null };
  if (paths.every((path) => path.direct)) {
    const into = { into: tableSql(context), columns: columnList(paths), shape, numbered: false };
    return (await copyRows(lane.connection, into, picksOf(rows, numbers))).rows;
  }
  const stage = await lane.stages.fill(shape, picksOf(rows, numbers));
  const { rowCount } = await lane.connection.query(
    `INSERT INTO ${tableSql(context)} (${columnList(paths)}) OVERRIDING SYSTEM VALUE
     SELECT ${paths.map((path) => stagedValue(path, 's')).join(', ')} FROM ${stage} s ORDER BY s.r`,
  );
  return rowCount;
}

/** All columns as one text: equal for equal rows, also for types that have no equality (json, point). */
function rowText(columns: readonly string[]): string {
  return `ARRAY[${columns.map((column) => `${column}::text`).join(', ')}]::text COLLATE "C"`;
}

async function removeOneEach(
  context: WriteContext,
  source: { readonly rows: NumberedRows; readonly paths: readonly CellPath[] },
  numbers: Int32Array,
): Promise<void> {
  const { target, lane } = context;
  if (numbers.length === 0 || target.deletes === 'ignore') return;
  const { rows, paths } = source;
  const stage = await lane.stages.fill({ paths, tail: null }, picksOf(rows, numbers));
  const soft = target.deletes === 'soft';
  const table = tableSql(context);
  const staged = rowText(paths.map((path) => typedValue(path)));
  const standing = rowText(paths.map((path) => `t.${quoteIdent(path.name)}`));
  const alive = soft ? `WHERE t.${DELETED_AT} IS NULL` : '';
  await lane.connection.query(
    `WITH gone AS MATERIALIZED (SELECT ${staged} AS k, count(*) AS n FROM ${stage} s GROUP BY 1),
       found AS MATERIALIZED (
         SELECT x.part, x.id FROM (
           SELECT y.*, row_number() OVER (PARTITION BY y.k) AS n FROM (
             SELECT t.tableoid AS part, t.ctid AS id, ${standing} AS k FROM ${table} t ${alive}) y
           WHERE y.k IN (SELECT k FROM gone)) x
         JOIN gone ON gone.k = x.k AND x.n <= gone.n)
     ${soft ? `UPDATE ${table} t SET ${DELETED_AT} = now() FROM` : `DELETE FROM ${table} t USING`} found
     WHERE t.ctid = found.id AND t.tableoid = found.part`,
  );
}

/** The staged value as the table would hold it, so that both print alike. */
function typedValue(path: CellPath): string {
  const value = stagedValue(path, 's');
  return path.target.type === path.target.bare ? value : `(${value})::${path.target.type}`;
}

async function applyGroup(
  context: WriteContext,
  parts: readonly FoldedPart[],
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  const rows = numberRows(parts, (part, row) => part.actions[row] === ACT_SKIP);
  const paths = cellPaths(context.target.schema, parts[0]?.batch.encodings ?? [], context.table);
  const source = { rows, paths };
  let applied = 0;
  let deadLettered = 0;
  await writeOrReject(
    {
      lane: context.lane,
      settings: 'SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on',
      write: async (numbers) => {
        const isDelete = (action: number): boolean => action === ACT_DELETE;
        const deletes = numbersWhere(rows, numbers, isDelete);
        await removeOneEach(context, source, deletes);
        const added = await addRows(
          context,
          source,
          numbersWhere(rows, numbers, (action) => !isDelete(action)),
        );
        return () => {
          // A row that was refused is not there to be deleted: how many go proves nothing.
          applied += deletes.length + added;
        };
      },
      whenNotUnique: null,
      reject: async (number, error) => {
        deadLettered += 1;
        await letters.write(rows, number, error);
      },
    },
    allNumbers(rows),
  );
  return { applied, deadLettered, missing: [] };
}

export async function applyMultiset(
  context: WriteContext,
  parts: readonly FoldedPart[],
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  let applied = 0;
  let deadLettered = 0;
  for (const group of partsByEncoding(parts)) {
    const result = await applyGroup(context, group, letters);
    applied += result.applied;
    deadLettered += result.deadLettered;
  }
  return { applied, deadLettered, missing: [] };
}

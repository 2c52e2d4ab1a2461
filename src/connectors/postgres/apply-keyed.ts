/** Changes of a stream with a key: deletes, then updates, then inserts, each as one statement over a stage. */
import type { WriteResult } from '../../core/connector.ts';
import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  ACT_SKIP,
  type FoldedPart,
} from '../../core/folded-rows.ts';
import type { ForebayError } from '../../core/errors.ts';
import { inSavepoint, isUniqueViolation, writeOrReject } from './apply-rejects.ts';
import {
  allNumbers,
  batchOf,
  type NumberedRows,
  numberRows,
  numbersWhere,
  partsByEncoding,
  picksOf,
  rowsByBatch,
} from './apply-rows.ts';
import { type CellPath, cellPaths, columnList } from './cell-path.ts';
import type { DeadLetterWriter } from './dead-letters.ts';
import {
  assignments,
  deleteByKey,
  exchangeRows,
  GROUP_NEW,
  GROUP_WHOLE,
  insertStaged,
  insertUnmatched,
  type KeyedSql,
  mergeWhole,
  unmatchedPatches,
  updateGroup,
} from './keyed-sql.ts';
import { joinSettings, tableSql, type WriteContext } from './lane.ts';
import { patchGroups } from './patch-groups.ts';
import { copyRows } from './stage.ts';
import { hasUniqueKey } from './target-table.ts';

interface KeyedWrite {
  readonly context: WriteContext;
  readonly rows: NumberedRows;
  readonly paths: readonly CellPath[];
  readonly sql: KeyedSql;
  /** New rows can be copied straight into the table. */
  readonly direct: boolean;
}

/** A stage with the rows that are merged, and which columns each group of them sets. */
interface Staged {
  readonly stage: string;
  readonly counts: ReadonlyMap<number, number>;
  readonly present: ReadonlyMap<number, readonly CellPath[]>;
}

/** What a write came to: rows that are as they were staged, and patches that found none. */
interface Written {
  readonly applied: number;
  readonly missing: readonly number[];
}

async function removeRows(write: KeyedWrite, numbers: Int32Array): Promise<number> {
  const deletes = numbersWhere(write.rows, numbers, (action) => action === ACT_DELETE);
  if (deletes.length === 0 || write.context.target.deletes === 'ignore') return deletes.length;
  const { lane } = write.context;
  const stage = await lane.stages.fill(
    { paths: write.sql.keyPaths, tail: null },
    picksOf(write.rows, deletes),
  );
  return deleteByKey(lane.connection, write.sql, { stage, count: deletes.length });
}

async function stageRows(write: KeyedWrite, numbers: Int32Array): Promise<Staged> {
  const { rows, paths } = write;
  const { groups, present } = patchGroups(rows, numbers, paths);
  const counts = new Map<number, number>();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  const stage = await write.context.lane.stages.fill(
    { paths, tail: null },
    picksOf(rows, numbers, groups),
  );
  return { stage, counts, present };
}

/** Brings all but new rows into the table. */
async function mergeGroups(write: KeyedWrite, staged: Staged): Promise<Written> {
  const { sql } = write;
  const { stage } = staged;
  const { connection } = write.context.lane;
  const missing: number[] = [];
  let applied = 0;
  for (const [group, count] of staged.counts) {
    if (group === GROUP_NEW) continue;
    if (group === GROUP_WHOLE) {
      applied += await mergeWhole(connection, sql, { stage, group, count });
      continue;
    }
    const present = staged.present.get(group) ?? write.paths;
    const updated = await updateGroup(connection, sql, { stage, group, present });
    const lost = updated >= count ? [] : await unmatchedPatches(connection, sql, { stage, group });
    missing.push(...lost);
    const isSet = assignments(sql, present).length > 0;
    applied += isSet ? Math.min(updated, count) : count - lost.length;
  }
  return { applied, missing };
}

async function copyNew(write: KeyedWrite, numbers: Int32Array): Promise<number> {
  const { context, paths, rows } = write;
  const { lane } = context;
  const into = {
    into: tableSql(context),
    columns: columnList(paths),
    shape: { paths, tail: null },
    numbered: false,
  };
  try {
    const copied = await inSavepoint(lane, { name: 'forebay_new' }, () =>
      copyRows(lane.connection, into, picksOf(rows, numbers)),
    );
    return copied.rows;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    context.pace.rowsWereThere();
    const { stage } = await stageRows(write, numbers);
    const source = { stage, group: GROUP_NEW, count: numbers.length };
    return mergeWhole(lane.connection, write.sql, source);
  }
}

async function insertNew(write: KeyedWrite, staged: Staged, plain: boolean): Promise<number> {
  const count = staged.counts.get(GROUP_NEW) ?? 0;
  if (count === 0) return 0;
  const { lane, pace } = write.context;
  const source = { stage: staged.stage, group: GROUP_NEW, count };
  if (!plain) return mergeWhole(lane.connection, write.sql, source);
  try {
    return await inSavepoint(lane, { name: 'forebay_new' }, () =>
      insertStaged(lane.connection, write.sql, source),
    );
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    pace.rowsWereThere();
    return mergeWhole(lane.connection, write.sql, source);
  }
}

async function writeRows(write: KeyedWrite, numbers: Int32Array): Promise<Written> {
  let applied = await removeRows(write, numbers);
  const plain = write.context.pace.direct;
  const copied =
    write.direct && plain
      ? numbersWhere(write.rows, numbers, (action) => action === ACT_INSERT)
      : null;
  const merged = numbersWhere(
    write.rows,
    numbers,
    (action) =>
      action === ACT_REPLACE || action === ACT_PATCH || (action === ACT_INSERT && copied === null),
  );
  let missing: readonly number[] = [];
  if (merged.length > 0) {
    const staged = await stageRows(write, merged);
    const changed = await mergeGroups(write, staged);
    missing = changed.missing;
    applied += changed.applied + (await insertNew(write, staged, plain));
  }
  if (copied !== null && copied.length > 0) applied += await copyNew(write, copied);
  return { applied, missing };
}

/** Rows whose unique values change places: all of them leave the table before any comes back. */
async function exchange(write: KeyedWrite, numbers: Int32Array): Promise<Written> {
  const removed = await removeRows(write, numbers);
  const whole = numbersWhere(write.rows, numbers, (action) => action !== ACT_DELETE);
  if (whole.length === 0) return { applied: removed, missing: [] };
  const { connection } = write.context.lane;
  const staged = await stageRows(write, whole);
  const { stage, counts, present } = staged;
  const missing: number[] = [];
  for (const group of counts.keys()) {
    if (group > 0)
      missing.push(...(await unmatchedPatches(connection, write.sql, { stage, group })));
  }
  let moved = await exchangeRows(connection, write.sql, { stage, present });
  for (const group of [GROUP_WHOLE, GROUP_NEW])
    moved += await insertUnmatched(connection, write.sql, { stage, group });
  if (moved < whole.length - missing.length) {
    // Another chunk's transaction may have brought some in between; all values have their places by now.
    const merged = await mergeGroups(write, staged);
    moved = merged.applied + (await insertNew(write, staged, false));
  }
  return { applied: removed + Math.min(moved, whole.length - missing.length), missing };
}

/** A row that waits is not changed before it is there; gives the others. */
async function holdBack(
  { rows, context }: KeyedWrite,
  letters: DeadLetterWriter,
  reject: (number: number, error: ForebayError) => Promise<void>,
): Promise<Int32Array> {
  if (!letters.holdsSome) return allNumbers(rows);
  const free: number[] = [];
  for (const number of allNumbers(rows)) {
    const error = letters.heldBack(batchOf(rows, number), rows.row[number] ?? 0);
    const isKept = rows.action[number] === ACT_DELETE && context.target.deletes === 'ignore';
    if (error === undefined || isKept) free.push(number);
    else await reject(number, error);
  }
  return Int32Array.from(free);
}

async function applyGroup(
  context: WriteContext,
  parts: readonly FoldedPart[],
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  const { schema } = context.target;
  const rows = numberRows(parts, (part, row) => part.actions[row] === ACT_SKIP);
  const paths = cellPaths(schema, parts[0]?.batch.encodings ?? [], context.table);
  const keyPaths = schema.key.flatMap((column) => paths[column] ?? []);
  const keyed = hasUniqueKey(
    context.table,
    keyPaths.map((path) => path.name),
  );
  const write: KeyedWrite = {
    context,
    rows,
    paths,
    sql: {
      table: context.table,
      keyPaths,
      paths,
      soft: context.target.deletes === 'soft' && context.target.load !== 'append',
    },
    direct: paths.every((path) => path.direct),
  };
  const missing: number[] = [];
  let applied = 0;
  let deadLettered = 0;
  const confirm = (written: Written) => (): void => {
    applied += written.applied;
    missing.push(...written.missing);
  };
  const reject = async (number: number, error: ForebayError): Promise<void> => {
    deadLettered += 1;
    await letters.write(rows, number, error);
  };
  const free = await holdBack(write, letters, reject);
  const mayExchange = context.lane.replica || !context.table.cascades;
  await writeOrReject(
    {
      lane: context.lane,
      settings: joinSettings(context.table, keyed, rows.row.length),
      write: async (numbers) => confirm(await writeRows(write, numbers)),
      whenNotUnique: mayExchange
        ? async (numbers) => confirm(await exchange(write, numbers))
        : null,
      reject,
    },
    free,
  );
  return { applied, deadLettered, missing: rowsByBatch(rows, missing) };
}

export async function applyKeyed(
  context: WriteContext,
  parts: readonly FoldedPart[],
  letters: DeadLetterWriter,
): Promise<WriteResult> {
  let result: WriteResult = { applied: 0, deadLettered: 0, missing: [] };
  for (const group of partsByEncoding(parts)) {
    const next = await applyGroup(context, group, letters);
    result = {
      applied: result.applied + next.applied,
      deadLettered: result.deadLettered + next.deadLettered,
      missing: [...result.missing, ...next.missing],
    };
  }
  return result;
}

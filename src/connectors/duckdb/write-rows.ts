/** Writes what the engine folded, inside the transaction that is open. */
import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  ACT_SKIP,
  type FoldedPart,
  type FoldedRows,
} from '../../core/folded-rows.ts';
import type { StreamTarget } from '../../core/connector.ts';
import { type RowBatch, rowStride } from '../../core/row-batch.ts';
import { ABSENT_CELL, NULL_CELL, UNCHANGED_CELL } from '../../core/value.ts';
import { appendSlots } from './append-rows.ts';
import {
  ACT_OLD_KEY,
  addMultiset,
  applyKeyed,
  applyRekey,
  removeMultiset,
  truncateTable,
} from './apply.ts';
import type { StagedRows } from './guard.ts';
import { admitAdded, refuseForbidden, type StagedManner, writeApart } from './guarded-rows.ts';
import { rowKey, supersedeLetters } from './letters.ts';
import { RowSink } from './row-sink.ts';
import { Stage } from './stage.ts';
import { type BoundTable, directSlots } from './tables.ts';
import type { Workspace } from './workspace.ts';

/** `missing` names parts by their index, since batches do not come back from the worker. */
export interface WriteAnswer {
  readonly applied: number;
  readonly deadLettered: number;
  readonly missing: readonly { readonly part: number; readonly rows: readonly number[] }[];
}

const ROWS_PER_PART = 0x1_0000_0000;
const STAGE = 'forebay_stage';

export async function writeRows(
  workspace: Workspace,
  target: StreamTarget,
  rows: FoldedRows,
): Promise<WriteAnswer> {
  const table = await workspace.table(target);
  const { namespace, name } = table.ref;
  const answer = await writeKind(workspace, table, rows);
  // Noted after the write: a column that is widened on the way stands before the rows that are changed.
  if (target.load !== 'append') workspace.noteWritten(namespace, name);
  return answer;
}

async function writeKind(
  workspace: Workspace,
  table: BoundTable,
  rows: FoldedRows,
): Promise<WriteAnswer> {
  switch (rows.kind) {
    case 'keyed':
      return writeKeyed(workspace, table, rows.parts);
    case 'multiset':
      return writeMultiset(workspace, table, rows.parts);
    case 'append':
      return writeAppend(workspace, table, rows);
    case 'truncate':
      await truncateTable(workspace.connection, table);
      return { applied: 1, deadLettered: 0, missing: [] };
    case 'rekey':
      return writeRekey(workspace, table, rows);
  }
}

/** Columns that must not be NULL, found before DuckDB refuses the whole transaction. */
export async function refuseNulls(
  workspace: Workspace,
  table: BoundTable,
  {
    batch,
    rows,
    position,
  }: {
    batch: RowBatch;
    rows: Int32Array;
    position?: (batch: RowBatch, row: number) => string | null;
  },
): Promise<Int32Array> {
  const strict = table.columns.flatMap((column, index) => (column.notNull ? [index] : []));
  if (strict.length === 0) return rows;
  const stride = rowStride(batch);
  const refused = new Set<number>();
  for (const row of rows) {
    const column = strict.find((index) => batch.cells[row * stride + index * 2 + 1] === NULL_CELL);
    if (column === undefined) continue;
    refused.add(row);
    const reason = `column ${table.columns[column]?.name ?? ''} is NOT NULL`;
    await workspace.refuse(table, {
      batch,
      row,
      code: 'constraint_violated',
      reason,
      position: position?.(batch, row) ?? '',
    });
  }
  return rows.filter((row) => !refused.has(row));
}

/** Numbers for sets of unchanged columns. */
class Masks {
  readonly sets: ReadonlySet<number>[] = [];
  readonly #known = new Map<string, number>();

  numberOf(batch: RowBatch, row: number): number {
    const unchanged = unchangedColumns(batch, row);
    const key = unchanged.join(',');
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, this.sets.length);
    this.sets.push(new Set(unchanged));
    return this.sets.length - 1;
  }
}

export function unchangedColumns(batch: RowBatch, row: number): number[] {
  const base = row * rowStride(batch);
  const columns: number[] = [];
  for (let column = 0; column < batch.schema.columns.length; column += 1) {
    const length = batch.cells[base + column * 2 + 1];
    if (length === UNCHANGED_CELL || length === ABSENT_CELL) columns.push(column);
  }
  return columns;
}

function selectRows(part: FoldedPart, skip: ReadonlySet<number>): Int32Array {
  const rows = new Int32Array(part.batch.rowCount);
  let count = 0;
  for (let row = 0; row < part.batch.rowCount; row += 1) {
    const action = part.actions[row] ?? ACT_SKIP;
    if (!skip.has(action)) rows[count++] = row;
  }
  return rows.subarray(0, count);
}

interface Staged {
  readonly stage: Stage;
  readonly written: number;
  readonly deadLettered: number;
  readonly counts: readonly number[];
  readonly masks: readonly ReadonlySet<number>[];
}

/** Puts all rows that are not skipped into a new stage; those that rules forbid too if there is no manner. */
async function stageParts(
  workspace: Workspace,
  table: BoundTable,
  parts: readonly FoldedPart[],
  manner: StagedManner | null,
): Promise<Staged> {
  const { target, ref } = table;
  const stage = new Stage(STAGE);
  await stage.create(workspace.connection, table);
  const current = (): BoundTable => workspace.current(target, ref.name);
  const sink = new RowSink(workspace.connection, stage.sink(current), (batch, rejects) =>
    workspace.mend(current(), batch, rejects, { stage, position: () => '' }),
  );
  const skip = new Set([ACT_SKIP, ...(target.deletes === 'ignore' ? [ACT_DELETE] : [])]);
  const masks = new Masks();
  const counts = [0, 0, 0, 0, 0, 0, 0];
  let written = 0;
  let deadLettered = 0;
  for (const [index, part] of parts.entries()) {
    const chosen = selectRows(part, skip);
    const rows = await refuseNulls(workspace, current(), {
      batch: part.batch,
      rows: chosen,
    });
    const numbers = new Map<number, number>();
    for (const row of rows) {
      const action = part.actions[row] ?? 0;
      counts[action] = (counts[action] ?? 0) + 1;
      if (action === ACT_PATCH) numbers.set(row, masks.numberOf(part.batch, row));
    }
    stage.facts = {
      act: (row) => part.actions[row] ?? 0,
      place: (row) => index * ROWS_PER_PART + row,
      mask: (row) => numbers.get(row) ?? 0,
    };
    // Chunks are filled during this call, so the next part may have facts of its own.
    const done = await sink.write(part.batch, rows);
    written += done;
    deadLettered += chosen.length - done;
  }
  sink.close();
  if (manner !== null) {
    const forbidden = await refuseStaged(
      workspace,
      current(),
      { stage, masks: masks.sets, manner },
      parts,
    );
    written -= forbidden;
    deadLettered += forbidden;
  }
  const refused = workspace.takeRefusedKeys();
  for (const part of parts) await supersede(workspace, target, part, refused);
  return { stage, written, deadLettered, counts, masks: masks.sets };
}

function refuseStaged(
  workspace: Workspace,
  table: BoundTable,
  staged: Omit<StagedRows, 'table' | 'connection'>,
  parts: readonly FoldedPart[],
): Promise<number> {
  const rows = { connection: workspace.connection, table, ...staged };
  return refuseForbidden(workspace, rows, (place) => {
    const batch = parts[Math.floor(place / ROWS_PER_PART)]?.batch;
    return batch === undefined ? null : { batch, row: place % ROWS_PER_PART, position: '' };
  });
}

/** Letters of rows that are written now are not to be written again. */
async function supersede(
  workspace: Workspace,
  target: StreamTarget,
  part: FoldedPart,
  refused: ReadonlySet<string>,
): Promise<void> {
  const waiting = await workspace.waitingKeys(target.id);
  if (waiting.size === 0) return;
  for (let row = 0; row < part.batch.rowCount; row += 1) {
    if (part.actions[row] === ACT_SKIP) continue;
    const key = rowKey(part.batch, row);
    if (key === null || !waiting.has(key) || refused.has(key)) continue;
    await supersedeLetters(workspace.connection, {
      pipeline: workspace.pipeline,
      stream: target.id,
      key,
    });
    workspace.letterSuperseded(target.id, key);
  }
}

function ignoredDeletes(table: BoundTable, parts: readonly FoldedPart[]): number {
  if (table.target.deletes !== 'ignore') return 0;
  let count = 0;
  for (const { actions } of parts)
    for (const action of actions) if (action === ACT_DELETE) count += 1;
  return count;
}

async function writeKeyed(
  workspace: Workspace,
  table: BoundTable,
  parts: readonly FoldedPart[],
): Promise<WriteAnswer> {
  const staged = await stageParts(workspace, table, parts, 'keyed');
  const count = (action: number): number => staged.counts[action] ?? 0;
  const bound = workspace.current(table.target, table.ref.name);
  const application = { connection: workspace.connection, table: bound, stage: staged.stage };
  const staging = { ...application, masks: staged.masks, manner: 'keyed' } as const;
  const places =
    (await writeApart(workspace, staging)) ??
    (await applyKeyed(application, {
      deletes: count(ACT_DELETE),
      wholeRows: count(ACT_INSERT) + count(ACT_REPLACE),
      masks: staged.masks,
    }));
  const missing = new Map<number, number[]>();
  for (const place of places) {
    const part = Math.floor(place / ROWS_PER_PART);
    missing.set(part, [...(missing.get(part) ?? []), place % ROWS_PER_PART]);
  }
  return {
    applied: staged.written + ignoredDeletes(table, parts) - places.length,
    deadLettered: staged.deadLettered,
    missing: [...missing].map(([part, rows]) => ({ part, rows })),
  };
}

async function writeMultiset(
  workspace: Workspace,
  table: BoundTable,
  parts: readonly FoldedPart[],
): Promise<WriteAnswer> {
  const { stage, written, deadLettered } = await stageParts(workspace, table, parts, null);
  const bound = workspace.current(table.target, table.ref.name);
  const application = { connection: workspace.connection, table: bound, stage };
  await removeMultiset(application);
  // What is to be removed would stand in the way of what is to be added.
  const staged = { stage, masks: [], manner: 'added' } as const;
  const forbidden = await refuseStaged(workspace, bound, staged, parts);
  await addMultiset(application);
  return {
    applied: written - forbidden + ignoredDeletes(table, parts),
    deadLettered: deadLettered + forbidden,
    missing: [],
  };
}

async function writeAppend(
  workspace: Workspace,
  table: BoundTable,
  rows: FoldedRows & { kind: 'append' },
): Promise<WriteAnswer> {
  const { target, ref } = table;
  const { slots, position } = appendSlots(rows.transactions, target);
  const current = (): BoundTable => workspace.current(target, ref.name);
  const sinkTable = { ref, slots: () => directSlots(current(), slots) };
  const sink = new RowSink(workspace.connection, sinkTable, (batch, rejects) =>
    workspace.mend(current(), batch, rejects, { stage: null, position }),
  );
  let applied = 0;
  let deadLettered = 0;
  for (const part of rows.parts) {
    const chosen = selectRows(part, new Set([ACT_SKIP]));
    const strict = await refuseNulls(workspace, current(), {
      batch: part.batch,
      rows: chosen,
      position,
    });
    const admitted = await admitAdded(workspace, current, sink, {
      batch: part.batch,
      rows: strict,
      position,
    });
    const written = await sink.write(part.batch, admitted);
    applied += written;
    deadLettered += chosen.length - written;
  }
  sink.close();
  return { applied, deadLettered, missing: [] };
}

async function writeRekey(
  workspace: Workspace,
  table: BoundTable,
  { batch, before, after }: FoldedRows & { kind: 'rekey' },
): Promise<WriteAnswer> {
  const { target, ref } = table;
  const { connection } = workspace;
  const stage = new Stage(STAGE);
  await stage.create(connection, table);
  const current = (): BoundTable => workspace.current(target, ref.name);
  stage.facts = {
    act: (row) => (row === before ? ACT_OLD_KEY : ACT_PATCH),
    place: (row) => row,
    mask: () => 0,
  };
  const sink = new RowSink(connection, stage.sink(current), (rejected, rejects) =>
    workspace.mend(current(), rejected, rejects, { stage, position: () => '' }),
  );
  const rows = await refuseNulls(workspace, table, { batch, rows: Int32Array.of(after) });
  const written = rows.length === 0 ? 0 : await sink.write(batch, Int32Array.of(before, after));
  sink.close();
  if (written < 2) return { applied: 0, deadLettered: 1, missing: [] };
  const unchanged = new Set(unchangedColumns(batch, after));
  const moved = {
    connection,
    table: current(),
    stage,
    masks: [unchanged],
    manner: 'rekey',
  } as const;
  const forbidden = await refuseForbidden(workspace, moved, (row) => ({
    batch,
    row,
    position: '',
  }));
  if (forbidden > 0) return { applied: 0, deadLettered: 1, missing: [] };
  const found = await applyRekey({ connection, table: current(), stage }, unchanged);
  if (found) return { applied: 1, deadLettered: 0, missing: [] };
  return { applied: 0, deadLettered: 0, missing: [{ part: 0, rows: [after] }] };
}

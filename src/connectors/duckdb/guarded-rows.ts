/** Rows that the rules of a table of the user's forbid go to the dead letters; the others go on. */
import { ACT_INSERT } from '../../core/folded-rows.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import { applyCandidates, breakableRules, removeViolations, type StagedRows } from './guard.ts';
import { RowSink } from './row-sink.ts';
import { Stage } from './stage.ts';
import type { BoundTable } from './tables.ts';
import type { Workspace } from './workspace.ts';

export type StagedManner = StagedRows['manner'];

interface Place {
  readonly batch: RowBatch;
  readonly row: number;
  readonly position: string;
}

/** Takes forbidden rows out of the stage. Returns how many. */
export async function refuseForbidden(
  workspace: Workspace,
  rows: StagedRows,
  find: (place: number) => Place | null,
): Promise<number> {
  const { table, manner } = rows;
  const rules = breakableRules(table, await workspace.rules(table), manner);
  if (rules.length === 0) return 0;
  const violations = await removeViolations(rows, rules);
  for (const { place, reason } of violations) {
    const found = find(place);
    if (found === null) continue;
    await workspace.refuse(table, { ...found, code: 'constraint_violated', reason });
  }
  return violations.length;
}

/** Null if the table's rules leave it open in which order rows are written. */
export async function writeApart(workspace: Workspace, rows: StagedRows): Promise<number[] | null> {
  const rules = breakableRules(rows.table, await workspace.rules(rows.table), rows.manner);
  const apart = rows.manner === 'keyed' && rules.some(({ kind }) => kind === 'unique');
  return apart ? applyCandidates(rows) : null;
}

export interface AddedRows {
  readonly batch: RowBatch;
  readonly rows: Int32Array;
  readonly position: (batch: RowBatch, row: number) => string | null;
}

/**
 * The rows that the table takes, for a write that has no stage to look at. `sink` is the one they will go through:
 * what it holds must be in the table first.
 */
export async function admitAdded(
  workspace: Workspace,
  current: () => BoundTable,
  sink: RowSink,
  { batch, rows, position }: AddedRows,
): Promise<Int32Array> {
  const table = current();
  const rules = breakableRules(table, await workspace.rules(table), 'added');
  if (rules.length === 0 || rows.length === 0) return rows;
  sink.close();
  const { connection } = workspace;
  const stage = new Stage('forebay_admission');
  await stage.create(connection, table);
  stage.facts = { act: () => ACT_INSERT, place: (row) => row, mask: () => 0 };
  const trial = new RowSink(connection, stage.sink(current), (rejected, rejects) =>
    workspace.mend(current(), rejected, rejects, { stage, position }),
  );
  await trial.write(batch, rows);
  trial.close();
  const staged = { connection, table: current(), stage, masks: [], manner: 'added' } as const;
  await refuseForbidden(workspace, staged, (row) => ({
    batch,
    row,
    position: position(batch, row) ?? '',
  }));
  const places = await connection.all(`SELECT place FROM ${stage.sql} ORDER BY place`);
  await stage.drop(connection);
  return Int32Array.from(places, ([place]) => Number(place));
}

import { ACT_INSERT, ACT_PATCH } from '../../core/folded-rows.ts';
import { NULL_CELL } from '../../core/value.ts';
import { batchOf, type NumberedRows } from './apply-rows.ts';
import type { CellPath } from './cell-path.ts';
import { GROUP_NEW, GROUP_WHOLE } from './keyed-sql.ts';

export interface PatchGroups {
  /** One per number. */
  readonly groups: Int32Array;
  /** The columns that rows of a group bring; groups not named bring all. */
  readonly present: ReadonlyMap<number, readonly CellPath[]>;
}

/** Rows that left the same columns unchanged are one group, from 1; whole rows are in the two groups below. */
export function patchGroups(
  rows: NumberedRows,
  numbers: Int32Array,
  paths: readonly CellPath[],
): PatchGroups {
  const groups = new Int32Array(numbers.length);
  const known = new Map<string, number>();
  const present = new Map<number, readonly CellPath[]>();
  for (const [index, number] of numbers.entries()) {
    const action = rows.action[number];
    if (action !== ACT_PATCH) {
      groups[index] = action === ACT_INSERT ? GROUP_NEW : GROUP_WHOLE;
      continue;
    }
    const batch = batchOf(rows, number);
    const base = (rows.row[number] ?? 0) * batch.schema.columns.length * 2 + 1;
    const isPresent = (path: CellPath): boolean =>
      (batch.cells[base + path.encode.column * 2] ?? NULL_CELL) >= NULL_CELL;
    const mask = paths.map((path) => (isPresent(path) ? '1' : '0')).join('');
    let group = known.get(mask);
    if (group === undefined) {
      group = known.size + 1;
      known.set(mask, group);
      present.set(group, paths.filter(isPresent));
    }
    groups[index] = group;
  }
  return { groups, present };
}

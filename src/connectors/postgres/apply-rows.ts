/** The rows of a write as one numbered list, whatever batches they are in. */
import type { FoldedPart } from '../../core/folded-rows.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { RowPick } from './copy-encode.ts';

/** Numbered rows of parts whose batches share their encodings. */
export interface NumberedRows {
  readonly parts: readonly FoldedPart[];
  /** Part and row of each number. */
  readonly part: Int32Array;
  readonly row: Int32Array;
  readonly action: Uint8Array;
}

/** Parts apart by encodings: a stage has one type per column. */
export function partsByEncoding(parts: readonly FoldedPart[]): readonly (readonly FoldedPart[])[] {
  const groups = new Map<string, FoldedPart[]>();
  for (const part of parts) {
    const key = part.batch.encodings.join();
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [part]);
    else group.push(part);
  }
  return [...groups.values()];
}

/** Numbers the rows whose action is not skipped. */
export function numberRows(
  parts: readonly FoldedPart[],
  skip: (part: FoldedPart, row: number) => boolean,
): NumberedRows {
  const most = parts.reduce((sum, part) => sum + part.batch.rowCount, 0);
  const partOf = new Int32Array(most);
  const rowOf = new Int32Array(most);
  const actionOf = new Uint8Array(most);
  let count = 0;
  for (const [index, part] of parts.entries()) {
    for (let row = 0; row < part.batch.rowCount; row++) {
      if (skip(part, row)) continue;
      partOf[count] = index;
      rowOf[count] = row;
      actionOf[count] = part.actions[row] ?? 0;
      count++;
    }
  }
  return {
    parts,
    part: partOf.subarray(0, count),
    row: rowOf.subarray(0, count),
    action: actionOf.subarray(0, count),
  };
}

export function allNumbers(rows: NumberedRows): Int32Array {
  const numbers = new Int32Array(rows.row.length);
  for (let number = 0; number < numbers.length; number++) numbers[number] = number;
  return numbers;
}

/** Numbers that satisfy a condition on their action. */
export function numbersWhere(
  rows: NumberedRows,
  numbers: Int32Array,
  wanted: (action: number) => boolean,
): Int32Array {
  return numbers.filter((number) => wanted(rows.action[number] ?? 0));
}

export function batchOf(rows: NumberedRows, number: number): RowBatch {
  const part = rows.parts[rows.part[number] ?? 0];
  if (part === undefined) throw new RangeError(`row number ${number} has no batch`);
  return part.batch;
}

/** The rows of ascending numbers as picks, one per batch. `groups` has one entry per number given. */
export function* picksOf(
  rows: NumberedRows,
  numbers: Int32Array,
  groups: Int32Array | null = null,
): Generator<RowPick> {
  let from = 0;
  while (from < numbers.length) {
    const part = rows.part[numbers[from] ?? 0] ?? 0;
    let to = from + 1;
    while (to < numbers.length && rows.part[numbers[to] ?? 0] === part) to++;
    const slice = numbers.subarray(from, to);
    yield {
      batch: batchOf(rows, numbers[from] ?? 0),
      rows: slice.map((number) => rows.row[number] ?? 0),
      numbers: slice,
      groups: groups === null ? null : groups.subarray(from, to),
    };
    from = to;
  }
}

/** Rows named by number as the engine is told of them. */
export function rowsByBatch(
  rows: NumberedRows,
  numbers: readonly number[],
): { readonly batch: RowBatch; readonly rows: readonly number[] }[] {
  const found = new Map<RowBatch, number[]>();
  for (const number of numbers) {
    const batch = batchOf(rows, number);
    const list = found.get(batch);
    const row = rows.row[number] ?? 0;
    if (list === undefined) found.set(batch, [row]);
    else list.push(row);
  }
  return [...found].map(([batch, list]) => ({ batch, rows: list }));
}

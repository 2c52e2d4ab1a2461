import * as act from '../core/folded-rows.ts';
import type { FoldedPart, FoldedRows } from '../core/folded-rows.ts';
import { OP_BEFORE, OP_DELETE, OP_TRUNCATE, type RowBatch, rowStride } from '../core/row-batch.ts';
import type { FoldInput, FoldOutput } from './fold.ts';

/** All of a row as one text; rows are equal if these are. */
function rowText(batch: RowBatch, row: number): string {
  const stride = rowStride(batch);
  let text = '';
  for (let word = row * stride; word < (row + 1) * stride; word += 2) {
    const at = batch.cells[word] ?? 0;
    const length = batch.cells[word + 1] ?? -1;
    text +=
      length < 0 ? `${length};` : `${length}:${batch.slab.toString('latin1', at, at + length)}`;
  }
  return text;
}

interface Pending {
  readonly part: number;
  readonly row: number;
}

/**
 * Rows without a key: an insert and a delete of equal rows cancel out, in whichever order they came, because a
 * delete always finds its row. What is left only inserts or only deletes a given row.
 */
export function foldMultiset(input: FoldInput): FoldOutput {
  const out: FoldedRows[] = [];
  let parts: FoldedPart[] = [];
  let inserts = new Map<string, Pending[]>();
  let deletes = new Map<string, Pending[]>();
  let read = 0;
  let folded = 0;
  let filtered = 0;

  const flush = (): void => {
    const busy = parts.filter((part) => part.actions.some((action) => action !== act.ACT_SKIP));
    if (busy.length > 0) out.push({ kind: 'multiset', parts: busy });
    parts = [];
    inserts = new Map();
    deletes = new Map();
  };
  const cancel = (pending: Pending | undefined): boolean => {
    if (pending === undefined) return false;
    const part = parts[pending.part];
    if (part === undefined) return false;
    if (part.batch.ops[pending.row] !== OP_BEFORE) folded += 1;
    part.actions[pending.row] = act.ACT_SKIP;
    return true;
  };
  const place = (part: number, row: number): void => {
    const open = parts[part];
    if (open === undefined) return;
    const op = open.batch.ops[row];
    const removes = op === OP_DELETE || op === OP_BEFORE;
    const text = rowText(open.batch, row);
    const opposite = (removes ? inserts : deletes).get(text)?.pop();
    if (cancel(opposite)) {
      if (op !== OP_BEFORE) folded += 1;
      return;
    }
    const mine = removes ? deletes : inserts;
    const list = mine.get(text) ?? [];
    list.push({ part, row });
    mine.set(text, list);
    open.actions[row] = removes ? act.ACT_DELETE : act.ACT_INSERT;
  };

  for (const [index, batch] of input.batches.entries()) {
    const skip = input.skip[index] ?? null;
    let part = parts.push({ batch, actions: new Uint8Array(batch.rowCount) }) - 1;
    for (let row = 0; row < batch.rowCount; row += 1) {
      const op = batch.ops[row];
      if (op !== OP_BEFORE) read += 1;
      if (skip !== null && skip[row] === 1) {
        if (op !== OP_BEFORE) filtered += 1;
      } else if (op === OP_TRUNCATE) {
        flush();
        out.push({ kind: 'truncate' });
        part = parts.push({ batch, actions: new Uint8Array(batch.rowCount) }) - 1;
      } else place(part, row);
    }
  }
  flush();
  return { rows: out, read, folded, filtered, slabs: [] };
}

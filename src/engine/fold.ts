/**
 * Folds the changes of one stream so that each key is written once. Pure but for the slabs it takes for rows
 * that had to be put together from two.
 */
import type { TransactionMark } from '../core/change-event.ts';
import * as act from '../core/folded-rows.ts';
import type { FoldedPart, FoldedRows } from '../core/folded-rows.ts';
import {
  OP_BEFORE,
  OP_DELETE,
  OP_INSERT,
  OP_READ,
  OP_TRUNCATE,
  type RowBatch,
  rowStride,
} from '../core/row-batch.ts';
import { UNCHANGED_CELL } from '../core/value.ts';
import { KeyTable } from './key-table.ts';
import { MergedRows } from './merged-rows.ts';
import type { SlabPool } from '../core/slab.ts';

export interface FoldInput {
  /** In order, all of one schema. */
  readonly batches: readonly RowBatch[];
  /** Rows to leave out, per batch (1 = out); null: none. */
  readonly skip: readonly (Uint8Array | null)[];
  readonly transactions: readonly TransactionMark[];
  readonly slabs: SlabPool;
}

export interface FoldOutput {
  readonly rows: readonly FoldedRows[];
  readonly read: number;
  readonly folded: number;
  readonly filtered: number;
  /** Slabs of merged rows; to be given back with the piece. */
  readonly slabs: readonly Buffer[];
}

/** Row events in a batch: everything but the old identities that precede an update. */
export function countEvents(batch: RowBatch): number {
  let events = 0;
  for (const op of batch.ops) if (op !== OP_BEFORE) events += 1;
  return events;
}

class KeyedFold {
  readonly #input: FoldInput;
  readonly #merged: MergedRows;
  readonly #out: FoldedRows[] = [];
  #parts: { batch: RowBatch; actions: Uint8Array }[] = [];
  #keys: KeyTable;
  folded = 0;
  filtered = 0;
  read = 0;

  constructor(input: FoldInput) {
    this.#input = input;
    this.#merged = new MergedRows(input.slabs);
    this.#keys = new KeyTable();
  }

  run(): FoldOutput {
    for (const [index, batch] of this.#input.batches.entries())
      this.#batch(batch, this.#input.skip[index] ?? null);
    this.#flush();
    return {
      rows: this.#out,
      read: this.read,
      folded: this.folded,
      filtered: this.filtered,
      slabs: this.#merged.slabs,
    };
  }

  #batch(batch: RowBatch, skip: Uint8Array | null): void {
    let part = this.#openPart(batch);
    for (let row = 0; row < batch.rowCount; row += 1) {
      const op = batch.ops[row];
      if (op !== OP_BEFORE) this.read += 1;
      if (skip !== null && skip[row] === 1) {
        if (op !== OP_BEFORE) this.filtered += 1;
        continue;
      }
      if (op === OP_TRUNCATE) {
        this.#truncate();
        part = this.#openPart(batch);
      } else if (op === OP_BEFORE) {
        this.read += 1;
        if (!this.#moveKey(part, batch, row)) part = this.#openPart(batch);
        row += 1;
      } else this.#event(part, batch, row);
    }
  }

  #openPart(batch: RowBatch): number {
    this.#parts.push({ batch, actions: new Uint8Array(batch.rowCount) });
    return this.#parts.length - 1;
  }

  #event(part: number, batch: RowBatch, row: number): void {
    const slot = this.#keys.find(batch, row);
    const priorAction = this.#priorAction(slot);
    if (priorAction !== null) this.#supersede(slot);
    switch (batch.ops[row]) {
      case OP_DELETE:
        this.#set(slot, part, { row, action: act.ACT_DELETE });
        break;
      case OP_INSERT:
        this.#set(slot, part, {
          row,
          action: priorAction === null ? act.ACT_INSERT : act.ACT_REPLACE,
        });
        break;
      case OP_READ:
        this.#set(slot, part, { row, action: act.ACT_REPLACE });
        break;
      default:
        this.#update(slot, part, { row, priorAction });
    }
  }

  #update(slot: number, part: number, event: { row: number; priorAction: number | null }): void {
    const { row, priorAction } = event;
    const batch = this.#parts[part]?.batch;
    if (batch === undefined) return;
    if (!hasUnchanged(batch, row)) {
      const action = priorAction === act.ACT_INSERT ? act.ACT_INSERT : act.ACT_REPLACE;
      this.#set(slot, part, { row, action });
      return;
    }
    const prior = this.#keys.entry(slot);
    const priorBatch = this.#parts[prior.part]?.batch;
    const fillable =
      priorAction !== null && priorAction !== act.ACT_DELETE && priorBatch !== undefined;
    if (!fillable) {
      this.#set(slot, part, { row, action: act.ACT_PATCH });
      return;
    }
    this.#merge(
      slot,
      { older: priorBatch, olderRow: prior.row, newer: batch, newerRow: row },
      priorAction,
    );
  }

  /** The newer row with the older one's values where it has none; takes the older one's place. */
  #merge(
    slot: number,
    rows: { older: RowBatch; olderRow: number; newer: RowBatch; newerRow: number },
    action: number,
  ): void {
    const merged = this.#merged.add(rows);
    let part = this.#parts.findIndex((candidate) => candidate.batch === merged.batch);
    if (part < 0) {
      this.#parts.push({ batch: merged.batch, actions: new Uint8Array(merged.capacity) });
      part = this.#parts.length - 1;
    }
    this.#set(slot, part, { row: merged.row, action });
  }

  /**
   * An update that changes the key, told as delete of the old and replace of the new one. Where a value of the
   * new row is not known it goes out as an event of its own, and false is returned: what came before is flushed.
   */
  #moveKey(part: number, batch: RowBatch, before: number): boolean {
    const after = before + 1;
    const slot = this.#keys.find(batch, before);
    const priorAction = this.#priorAction(slot);
    const prior = this.#keys.entry(slot);
    const older = this.#parts[prior.part]?.batch;
    const unknown = hasUnchanged(batch, after);
    const whole = priorAction === act.ACT_INSERT || priorAction === act.ACT_REPLACE;
    if (unknown && (!whole || older === undefined)) {
      this.#flush();
      this.#out.push({ kind: 'rekey', batch, before, after });
      return false;
    }
    if (priorAction !== null) this.#supersede(slot);
    this.#set(slot, part, { row: before, action: act.ACT_DELETE });
    const target = this.#keys.find(batch, after);
    if (this.#priorAction(target) !== null) this.#supersede(target);
    if (unknown && older !== undefined) {
      const pair = { older, olderRow: prior.row, newer: batch, newerRow: after };
      this.#merge(target, pair, act.ACT_REPLACE);
    } else this.#set(target, part, { row: after, action: act.ACT_REPLACE });
    return true;
  }

  #truncate(): void {
    this.#flush();
    this.#out.push({ kind: 'truncate' });
  }

  #priorAction(slot: number): number | null {
    const { part, row } = this.#keys.entry(slot);
    return part < 0 ? null : (this.#parts[part]?.actions[row] ?? null);
  }

  #supersede(slot: number): void {
    const { part, row } = this.#keys.entry(slot);
    const prior = this.#parts[part];
    if (prior === undefined) return;
    if (prior.batch.ops[row] !== OP_BEFORE) this.folded += 1;
    prior.actions[row] = act.ACT_SKIP;
  }

  #set(slot: number, part: number, what: { row: number; action: number }): void {
    const actions = this.#parts[part]?.actions;
    if (actions !== undefined) actions[what.row] = what.action;
    this.#keys.set(slot, part, what.row);
  }

  #flush(): void {
    const parts = this.#parts
      .map((part) => finishPart(part, this.#merged))
      .filter((part) => part.actions.some((action) => action !== act.ACT_SKIP));
    if (parts.length > 0) this.#out.push({ kind: 'keyed', parts });
    this.#parts = [];
    this.#keys = new KeyTable();
    this.#merged.next();
  }
}

function finishPart(
  part: { batch: RowBatch; actions: Uint8Array },
  merged: MergedRows,
): FoldedPart {
  const batch = merged.finished(part.batch);
  return { batch, actions: part.actions.subarray(0, batch.rowCount) };
}

export function hasUnchanged(batch: RowBatch, row: number): boolean {
  const stride = rowStride(batch);
  const end = (row + 1) * stride;
  for (let word = row * stride + 1; word < end; word += 2) {
    if (batch.cells[word] === UNCHANGED_CELL) return true;
  }
  return false;
}

export function foldKeyed(input: FoldInput): FoldOutput {
  return new KeyedFold(input).run();
}

/** Every event as it came; `withBefore`: and the key that a row had before, as a row of its own that is no event. */
export function foldNothing(input: FoldInput, withBefore = false): FoldOutput {
  let read = 0;
  let filtered = 0;
  const parts = input.batches.map((batch, index): FoldedPart => {
    const actions = new Uint8Array(batch.rowCount);
    const skip = input.skip[index] ?? null;
    for (let row = 0; row < batch.rowCount; row += 1) {
      const skipped = skip !== null && skip[row] === 1;
      if (batch.ops[row] === OP_BEFORE) {
        if (withBefore && !skipped) actions[row] = act.ACT_APPEND;
        continue;
      }
      read += 1;
      if (skipped) filtered += 1;
      else actions[row] = act.ACT_APPEND;
    }
    return { batch, actions };
  });
  const rows: FoldedRows[] = [{ kind: 'append', parts, transactions: input.transactions }];
  return { rows, read, folded: 0, filtered, slabs: [] };
}

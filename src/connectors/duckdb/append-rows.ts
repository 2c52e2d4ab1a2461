/** What `append` writes beside a row's own columns. */
import { eventPosition, type TransactionMark } from '../../core/change-event.ts';
import { OP_LETTERS, OP_READ, type RowBatch, rowStride } from '../../core/row-batch.ts';
import { UNCHANGED_CELL } from '../../core/value.ts';
import type { Slot } from './table-writer.ts';
import {
  COMMITTED_COLUMN,
  EXECUTION_COLUMN,
  LOADED_COLUMN,
  OP_COLUMN,
  POSITION_COLUMN,
  UNCHANGED_COLUMN,
} from './tables.ts';

/** Names of the columns that an update left as they were; they are NULL in the row. */
function unchangedNames(batch: RowBatch, row: number): string | null {
  const base = row * rowStride(batch);
  const names = batch.schema.columns.flatMap(({ name }, column) =>
    batch.cells[base + column * 2 + 1] === UNCHANGED_CELL ? [name] : [],
  );
  return names.length === 0 ? null : names.join(',');
}

function slotsOf(
  position: (batch: RowBatch, row: number) => string | null,
  committed: (batch: RowBatch, row: number) => bigint | null,
  stamp: string | null,
): ReadonlyMap<string, Slot> {
  const loadedAt = BigInt(Date.now()) * 1000n;
  return new Map<string, Slot>([
    [
      OP_COLUMN,
      { kind: 'text', value: (batch, row) => OP_LETTERS[batch.ops[row] ?? OP_READ] ?? 'r' },
    ],
    [POSITION_COLUMN, { kind: 'text', value: position }],
    [COMMITTED_COLUMN, { kind: 'word', value: committed }],
    [UNCHANGED_COLUMN, { kind: 'text', value: unchangedNames }],
    [EXECUTION_COLUMN, { kind: 'text', value: () => stamp }],
    [LOADED_COLUMN, { kind: 'word', value: () => (stamp === null ? null : loadedAt) }],
  ]);
}

export interface AppendSlots {
  readonly slots: ReadonlyMap<string, Slot>;
  readonly position: (batch: RowBatch, row: number) => string | null;
}

export function appendSlots(
  transactions: readonly TransactionMark[],
  { stamp = null }: { readonly stamp?: string | null },
): AppendSlots {
  const markOf = (batch: RowBatch, row: number): TransactionMark | undefined =>
    transactions[batch.transactions[row] ?? -1];
  const position = (batch: RowBatch, row: number): string | null => {
    const mark = markOf(batch, row);
    return mark === undefined ? null : eventPosition(mark, batch.events[row] ?? 0);
  };
  const committed = (batch: RowBatch, row: number): bigint | null =>
    markOf(batch, row)?.committedAtMicros ?? null;
  return { slots: slotsOf(position, committed, stamp), position };
}

/** Rows of a snapshot were not committed at a known time, and come before every change. */
export function snapshotSlots(
  order: string,
  { stamp = null }: { readonly stamp?: string | null },
): AppendSlots {
  const position = (): string => `${order}/0000000000`;
  return { slots: slotsOf(position, () => null, stamp), position };
}

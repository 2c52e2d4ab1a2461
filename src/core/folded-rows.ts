import type { TransactionMark } from './change-event.ts';
import type { RowBatch } from './row-batch.ts';

/** What becomes of a row of a batch. */
export const ACT_SKIP = 0;
/** Key cells tell which row goes. */
export const ACT_DELETE = 1;
/** Whole row, said by the source to be new; the row may be there all the same after a replay. */
export const ACT_INSERT = 2;
/** Whole row that replaces the one with its key, or is added where there is none. */
export const ACT_REPLACE = 3;
/** Row with unchanged cells: those keep their value at the destination. */
export const ACT_PATCH = 4;
/** Every event as it came (`append`). */
export const ACT_APPEND = 5;

export interface FoldedPart {
  readonly batch: RowBatch;
  /** One per row of the batch. */
  readonly actions: Uint8Array;
}

/**
 * Rows of one stream, ready to be written. In `keyed` every key occurs in at most one row that is not skipped,
 * so the order of writing inside it does not matter (deletes first is safe for unique columns).
 */
export type FoldedRows =
  | { readonly kind: 'keyed'; readonly parts: readonly FoldedPart[] }
  /** Identity `whole-row`: deletes remove one equal row each, inserts add one. No row is in both. */
  | { readonly kind: 'multiset'; readonly parts: readonly FoldedPart[] }
  | {
      readonly kind: 'append';
      readonly parts: readonly FoldedPart[];
      readonly transactions: readonly TransactionMark[];
    }
  | { readonly kind: 'truncate' }
  /**
   * An update that changed the key and left columns unchanged: the row with the key of `before` becomes the row
   * `after`. If a row with the new key is there already, the old one goes and the new one is patched.
   */
  | {
      readonly kind: 'rekey';
      readonly batch: RowBatch;
      readonly before: number;
      readonly after: number;
    };

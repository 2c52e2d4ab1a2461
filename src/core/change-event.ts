import type { Position } from './position.ts';
import type { RowBatch, RowBatchBuilder } from './row-batch.ts';
import type { SlabPool } from './slab.ts';
import type { StreamId, StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';

/** A committed source transaction, as its rows refer to it. */
export interface TransactionMark {
  /** Text that sorts in commit order, with `eventPosition` the value of `_forebay_position`. */
  readonly order: string;
  /** Microseconds since 1970-01-01 UTC; null where the source does not tell. */
  readonly committedAtMicros: bigint | null;
  /** The source's own id of the transaction, for `ChangeCapability.isVisible`. */
  readonly ref: string;
}

/** `_forebay_position` of an event: sorts as text in the order the events happened. */
export function eventPosition(mark: TransactionMark, event: number): string {
  return `${mark.order}/${event.toString().padStart(10, '0')}`;
}

/** What arrives for one stream, in order. */
export type StreamItem =
  | { readonly kind: 'rows'; readonly batch: RowBatch }
  | { readonly kind: 'schema'; readonly schema: StreamSchema }
  /** The source table is gone or is no longer published. */
  | { readonly kind: 'dropped'; readonly reason: string };

/**
 * A piece of the change stream. Pieces end at a transaction's end unless one transaction is larger than a
 * piece may be; `commit` is then null until the piece that ends it.
 */
export interface ChangePiece {
  readonly streams: ReadonlyMap<StreamId, readonly StreamItem[]>;
  readonly transactions: readonly TransactionMark[];
  /** End of the last transaction that this piece completes, if the piece ends there. */
  readonly commit: Position | null;
  /** Row events in it (OP_BEFORE rows do not count). */
  readonly events: number;
  readonly bytes: number;
  readonly slabs: readonly Buffer[];
}

/** Where a change reader puts what it decodes; the engine's batcher. Calls come in log order. */
export interface ChangeSink {
  readonly slabs: SlabPool;
  /** The reader fills this slab from now on. */
  openSlab(slab: Buffer): void;
  /** The reader is through with it; it goes back to the pool when the rows in it are done with too. */
  closeSlab(slab: Buffer): void;
  begin(mark: TransactionMark): void;
  /**
   * The batch under way for this stream, schema (the same object, not an equal one) and slab. After adding rows the
   * reader reports them with `added`. Index of the transaction and event for `beginRow` are in `transaction` and
   * `nextEvent()`; that one is called first, since it may end the piece that the others are about.
   */
  rows(schema: StreamSchema, encodings: readonly CellEncoding[], slab: Buffer): RowBatchBuilder;
  readonly transaction: number;
  nextEvent(): number;
  added(bytes: number): void;
  schema(schema: StreamSchema): void;
  dropped(stream: StreamId, reason: string): void;
  /** Ends the transaction; all that was committed up to `position` has been handed over. */
  commit(position: Position): void;
  /** Nothing is under way and nothing was committed up to here that is not in the sink already. */
  idle(position: Position): void;
  /** True while the budget is used up; the reader then stops reading until `drained` resolves. */
  readonly full: boolean;
  drained(): Promise<void>;
}

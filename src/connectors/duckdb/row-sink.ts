import type { RowBatch } from '../../core/row-batch.ts';
import { SLAB_BYTES } from '../../core/slab.ts';
import { type Connection, LEAST_ROOM } from './database.ts';
import {
  type Reject,
  sameEncodings,
  type Slot,
  type TableRef,
  TableWriter,
} from './table-writer.ts';

/** Of a large value, in DuckDB's memory at once. */
const COPIES = 5;

export interface SinkTable {
  readonly ref: TableRef;
  /** Asked for again after every reject, which may have changed the table. */
  slots(): readonly Slot[];
}

/** Deals with cells that do not fit: returns the rows to leave out; the others are tried again. */
export type RejectHandler = (
  batch: RowBatch,
  rejects: readonly Reject[],
) => Promise<ReadonlySet<number>>;

/** Appends rows to a table over many batches. */
export class RowSink {
  readonly #connection: Connection;
  readonly #table: SinkTable;
  readonly #onReject: RejectHandler;
  #writer: TableWriter | null = null;

  constructor(connection: Connection, table: SinkTable, onReject: RejectHandler) {
    this.#connection = connection;
    this.#table = table;
    this.#onReject = onReject;
  }

  /** Returns how many of the rows were written. */
  async write(batch: RowBatch, rows: Int32Array): Promise<number> {
    // Larger than others: it holds a row that DuckDB keeps whole, in the chunk, the table and the log.
    if (batch.slab.length > SLAB_BYTES) {
      await this.#connection.makeRoom(LEAST_ROOM + batch.slab.length * COPIES);
    }
    let pending = rows;
    let from = 0;
    let left = 0;
    while (from < pending.length) {
      const { written, rejects } = this.#open(batch).write(batch, pending, from);
      from += written;
      if (rejects.length === 0) continue;
      // The table may be altered now, which an open appender would not survive.
      this.close();
      const dropped = await this.#onReject(batch, rejects);
      const rest = pending.subarray(from).filter((row) => !dropped.has(row));
      left += pending.length - from - rest.length;
      pending = rest;
      from = 0;
    }
    return rows.length - left;
  }

  /** Makes what was written part of the transaction. */
  close(): void {
    const writer = this.#writer;
    this.#writer = null;
    writer?.close();
  }

  abandon(): void {
    this.#writer?.abandon();
    this.#writer = null;
  }

  #open(batch: RowBatch): TableWriter {
    if (this.#writer !== null && sameEncodings(this.#writer.encodings, batch.encodings)) {
      return this.#writer;
    }
    this.close();
    const { ref } = this.#table;
    this.#writer = new TableWriter(this.#connection, ref, this.#table.slots(), batch.encodings);
    return this.#writer;
  }
}

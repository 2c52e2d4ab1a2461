import type { StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';

/** Operation of a row in a batch. */
export const OP_READ = 0;
export const OP_INSERT = 1;
export const OP_UPDATE = 2;
export const OP_DELETE = 3;
export const OP_TRUNCATE = 4;
/**
 * The old identity of the update that is the next row of the same batch: its key cells (identity `key`) or all
 * cells (identity `whole-row`). Sent only when the update changed them. Not an event of its own.
 */
export const OP_BEFORE = 5;

/** Letters of `_forebay_op`, by operation. */
export const OP_LETTERS = ['r', 'i', 'u', 'd', 't', 'b'] as const;

/**
 * Rows of one stream under one schema version.
 *
 * `cells` holds two words per cell, row-major: offset into `slab` and length in bytes. A negative length is
 * one of NULL_CELL, UNCHANGED_CELL, ABSENT_CELL. Text is UTF-8, but where the schema says `rawText`. Several
 * batches may share one slab. Whoever receives a batch owns it until it returns; the bytes must not be kept
 * after that without a copy.
 */
export interface RowBatch {
  readonly schema: StreamSchema;
  /** One per column of the schema. */
  readonly encodings: readonly CellEncoding[];
  readonly slab: Buffer;
  readonly rowCount: number;
  readonly cells: Int32Array;
  readonly ops: Uint8Array;
  /** Index into the change set's transactions, per row; empty for snapshot rows. */
  readonly transactions: Int32Array;
  /** Place of the event inside its transaction, counted over all streams, per row; empty for snapshot rows. */
  readonly events: Int32Array;
  /** Bytes of the values, where whoever made the batch has counted them. */
  readonly valueBytes?: number;
}

/** Words of `cells` per row. */
export function rowStride(batch: { readonly schema: StreamSchema }): number {
  return batch.schema.columns.length * 2;
}

/** Bytes of the values of a batch, as counted in results (not the slab's size, which may be shared). */
export function batchValueBytes(batch: RowBatch): number {
  if (batch.valueBytes !== undefined) return batch.valueBytes;
  const { cells } = batch;
  const end = batch.rowCount * rowStride(batch);
  let bytes = 0;
  for (let word = 1; word < end; word += 2) {
    const length = cells[word] ?? 0;
    if (length > 0) bytes += length;
  }
  return bytes;
}

const INITIAL_ROWS = 256;

/** Memory for what a batch holds beside its slab, to be used again when the batch is done with. */
export interface RowWords {
  readonly cells: Int32Array;
  readonly ops: Uint8Array;
  readonly transactions: Int32Array;
  readonly events: Int32Array;
}

export function wordBytes({ cells, ops, transactions, events }: RowWords): number {
  return cells.byteLength + ops.byteLength + transactions.byteLength + events.byteLength;
}

function allocateWords(rows: number, stride: number): RowWords {
  return {
    cells: new Int32Array(rows * stride),
    ops: new Uint8Array(rows),
    transactions: new Int32Array(rows),
    events: new Int32Array(rows),
  };
}

/**
 * Grows a batch over a slab that is filled elsewhere. A row is begun, its cells set in any order, and ended by
 * the next `beginRow` or `finish`. Cells not set are absent.
 */
export class RowBatchBuilder {
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
  readonly slab: Buffer;
  readonly #stride: number;
  #words: RowWords;
  #capacity: number;
  #rows = 0;

  /** `words` may be of any size and content; the builder has them until they are asked for. */
  constructor(
    schema: StreamSchema,
    encodings: readonly CellEncoding[],
    slab: Buffer,
    words?: RowWords,
  ) {
    this.schema = schema;
    this.encodings = encodings;
    this.slab = slab;
    this.#stride = schema.columns.length * 2;
    this.#words = words ?? allocateWords(INITIAL_ROWS, this.#stride);
    this.#capacity = this.#fitting();
  }

  get rowCount(): number {
    return this.#rows;
  }

  /** Returns the row's first word in `cells`, all of its cells absent. */
  beginRow(op: number, transaction: number, event: number): number {
    if (this.#rows === this.#capacity) this.#grow();
    const row = this.#rows++;
    const { cells, ops, transactions, events } = this.#words;
    ops[row] = op;
    transactions[row] = transaction;
    events[row] = event;
    const base = row * this.#stride;
    for (let word = base + 1; word < base + this.#stride; word += 2) cells[word] = -3;
    return base;
  }

  /** The words to write cells into; valid until the next `beginRow`. */
  get cells(): Int32Array {
    return this.#words.cells;
  }

  /** What the finished batch lies in. */
  get words(): RowWords {
    return this.#words;
  }

  /** Takes the last row back (a row that turned out to be filtered). */
  dropLastRow(): void {
    this.#rows -= 1;
  }

  finish(): RowBatch {
    const rows = this.#rows;
    const { cells, ops, transactions, events } = this.#words;
    return {
      schema: this.schema,
      encodings: this.encodings,
      slab: this.slab,
      rowCount: rows,
      cells: cells.subarray(0, rows * this.#stride),
      ops: ops.subarray(0, rows),
      transactions: transactions.subarray(0, rows),
      events: events.subarray(0, rows),
    };
  }

  /** Rows that the words have room for; a table may have no column. */
  #fitting(): number {
    const { cells, ops } = this.#words;
    return this.#stride === 0
      ? ops.length
      : Math.min(ops.length, Math.floor(cells.length / this.#stride));
  }

  #grow(): void {
    const before = this.#words;
    const words = allocateWords(Math.max(INITIAL_ROWS, this.#capacity * 2), this.#stride);
    words.cells.set(before.cells.subarray(0, this.#rows * this.#stride));
    words.ops.set(before.ops.subarray(0, this.#rows));
    words.transactions.set(before.transactions.subarray(0, this.#rows));
    words.events.set(before.events.subarray(0, this.#rows));
    this.#words = words;
    this.#capacity = this.#fitting();
  }
}

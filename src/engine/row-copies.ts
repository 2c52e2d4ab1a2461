/** Rows kept beyond the life of the batch they came in, as batches of their own. */
import { OP_READ, type RowBatch, RowBatchBuilder, rowStride } from '../core/row-batch.ts';
import { SLAB_BYTES, type SlabPool } from '../core/slab.ts';
import type { HashShape } from './row-hash.ts';

/** A batch goes to a worker or a stage as one. */
const MAX_ROWS = 16_384;

interface Part {
  readonly slab: Buffer;
  readonly builder: RowBatchBuilder;
  used: number;
}

export interface CopiesOptions {
  readonly shape: HashShape;
  readonly slabs: SlabPool;
  /** Per column of the copies, the column of the given batches; -1: absent in the copies. */
  readonly from: readonly number[];
  readonly op?: number;
}

export class RowCopies {
  readonly #options: CopiesOptions;
  readonly #parts: Part[] = [];
  rows = 0;
  bytes = 0;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** Number of the part that the last row went to. */
  get part(): number {
    return this.#parts.length - 1;
  }

  /** Returns the row's number in its part. */
  add(batch: RowBatch, row: number): number {
    const { from, op } = this.#options;
    const base = row * rowStride(batch);
    let needed = 0;
    for (const column of from) {
      if (column >= 0) needed += Math.max(0, batch.cells[base + column * 2 + 1] ?? 0);
    }
    const part = this.#room(needed);
    let word = part.builder.beginRow(op ?? OP_READ, 0, 0);
    const { cells } = part.builder;
    for (const column of from) {
      if (column >= 0) {
        const at = batch.cells[base + column * 2] ?? 0;
        const length = batch.cells[base + column * 2 + 1] ?? -1;
        cells[word] = part.used;
        cells[word + 1] = length;
        if (length > 0) part.used += batch.slab.copy(part.slab, part.used, at, at + length);
      }
      word += 2;
    }
    this.rows += 1;
    this.bytes += needed;
    return part.builder.rowCount - 1;
  }

  batches(): readonly RowBatch[] {
    return this.#parts.map((part) => part.builder.finish());
  }

  /** Forgets the rows; their slabs go back. */
  clear(): void {
    for (const part of this.#parts.splice(0)) this.#options.slabs.give(part.slab);
    this.rows = 0;
    this.bytes = 0;
  }

  #room(needed: number): Part {
    const last = this.#parts.at(-1);
    const fits =
      last !== undefined &&
      last.builder.rowCount < MAX_ROWS &&
      last.used + needed <= last.slab.length;
    if (fits) return last;
    const { shape, slabs } = this.#options;
    const slab = slabs.take(Math.max(SLAB_BYTES, needed));
    const builder = new RowBatchBuilder(shape.schema, shape.encodings, slab);
    const part = { slab, builder, used: 0 };
    this.#parts.push(part);
    return part;
  }
}

import { OP_UPDATE, type RowBatch, rowStride } from '../core/row-batch.ts';
import { SLAB_BYTES, type SlabPool } from '../core/slab.ts';
import { UNCHANGED_CELL } from '../core/value.ts';

const CHUNK_ROWS = 1024;

interface Chunk {
  readonly batch: RowBatch;
  rows: number;
  bytes: number;
}

export interface RowPair {
  readonly older: RowBatch;
  readonly olderRow: number;
  readonly newer: RowBatch;
  readonly newerRow: number;
}

function rowBytes(batch: RowBatch, row: number): number {
  const stride = rowStride(batch);
  let bytes = 0;
  for (let word = row * stride + 1; word < (row + 1) * stride; word += 2) {
    bytes += Math.max(0, batch.cells[word] ?? 0);
  }
  return bytes;
}

/** Rows put together from an update with unchanged cells and the earlier image of the same row. */
export class MergedRows {
  readonly #pool: SlabPool;
  readonly #chunks = new Map<RowBatch, Chunk>();
  #current: Chunk | null = null;
  readonly slabs: Buffer[] = [];

  constructor(pool: SlabPool) {
    this.#pool = pool;
  }

  /** `batch` is to be passed through `finished` before it is used. */
  add(pair: RowPair): {
    readonly batch: RowBatch;
    readonly row: number;
    readonly capacity: number;
  } {
    const needed = rowBytes(pair.older, pair.olderRow) + rowBytes(pair.newer, pair.newerRow);
    const chunk = this.#room(pair.newer, needed);
    const row = chunk.rows++;
    this.#copy(chunk, row, pair);
    return { batch: chunk.batch, row, capacity: CHUNK_ROWS };
  }

  /** Later rows go to chunks of their own. */
  next(): void {
    this.#current = null;
  }

  finished(batch: RowBatch): RowBatch {
    const chunk = this.#chunks.get(batch);
    if (chunk === undefined) return batch;
    const { rows } = chunk;
    return {
      ...batch,
      rowCount: rows,
      cells: batch.cells.subarray(0, rows * rowStride(batch)),
      ops: batch.ops.subarray(0, rows),
      transactions: batch.transactions.subarray(0, rows),
      events: batch.events.subarray(0, rows),
    };
  }

  #room(like: RowBatch, needed: number): Chunk {
    const current = this.#current;
    const fits =
      current !== null &&
      current.rows < CHUNK_ROWS &&
      current.bytes + needed <= current.batch.slab.length;
    if (fits) return current;
    const slab = this.#pool.take(Math.max(SLAB_BYTES, needed));
    this.slabs.push(slab);
    const batch: RowBatch = {
      schema: like.schema,
      encodings: like.encodings,
      slab,
      rowCount: CHUNK_ROWS,
      cells: new Int32Array(CHUNK_ROWS * rowStride(like)),
      ops: new Uint8Array(CHUNK_ROWS).fill(OP_UPDATE),
      transactions: new Int32Array(CHUNK_ROWS),
      events: new Int32Array(CHUNK_ROWS),
    };
    const chunk: Chunk = { batch, rows: 0, bytes: 0 };
    this.#chunks.set(batch, chunk);
    this.#current = chunk;
    return chunk;
  }

  #copy(chunk: Chunk, row: number, pair: RowPair): void {
    const { batch } = chunk;
    const stride = rowStride(batch);
    const out = row * stride;
    for (let word = 0; word < stride; word += 2) {
      const newerWord = pair.newerRow * stride + word;
      const keep = pair.newer.cells[newerWord + 1] === UNCHANGED_CELL;
      const from = keep ? pair.older : pair.newer;
      const fromWord = keep ? pair.olderRow * stride + word : newerWord;
      const length = from.cells[fromWord + 1] ?? -1;
      batch.cells[out + word] = chunk.bytes;
      batch.cells[out + word + 1] = length;
      if (length <= 0) continue;
      const at = from.cells[fromWord] ?? 0;
      from.slab.copy(batch.slab, chunk.bytes, at, at + length);
      chunk.bytes += length;
    }
    batch.transactions[row] = pair.newer.transactions[pair.newerRow] ?? 0;
    batch.events[row] = pair.newer.events[pair.newerRow] ?? 0;
  }
}

/**
 * COPY BINARY as the server sends it, into row batches. The frames are copied into a slab as they come and the
 * cells point at the values where they lie. Format: PostgreSQL documentation, COPY, "Binary Format".
 */
import { ForebayError } from '../../core/errors.ts';
import { OP_READ, type RowBatch } from '../../core/row-batch.ts';
import { SLAB_BYTES, type SlabPool } from '../../core/slab.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { CopyOut } from './copy.ts';

/** Signature (11), flags (4), extension length (4). */
const FILE_HEADER_BYTES = 19;
const FRAME_HEADER_BYTES = 5;

/** Snapshot rows have no transaction, and OP_READ is zero: all batches share one run of zeros. */
const NO_WORDS = new Int32Array(0);
let zeros = new Uint8Array(new SharedArrayBuffer(64 * 1024));

function readOps(rows: number): Uint8Array {
  if (zeros.length < rows) zeros = new Uint8Array(new SharedArrayBuffer(rows * 2)).fill(OP_READ);
  return zeros.subarray(0, rows);
}

interface DecodeOptions {
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
  readonly slabs: SlabPool;
}

class CopyDecoder {
  readonly #options: DecodeOptions;
  #slab: Buffer;
  #view: DataView;
  #words: Int32Array;
  #rows = 0;
  #valueBytes = 0;
  /** Bytes of the slab that hold data; before `#at` they are decoded. */
  #end = 0;
  #at = 0;
  #sawHeader = false;
  #finished = false;

  constructor(options: DecodeOptions) {
    this.#options = options;
    this.#slab = options.slabs.take();
    this.#view = viewOf(this.#slab);
    this.#words = options.slabs.wordsOf(this.#slab);
  }

  /** Takes a piece of the stream; returns the batches that it completed. */
  push(piece: Buffer): RowBatch[] {
    const done: RowBatch[] = [];
    let from = 0;
    while (from < piece.length) {
      const room = this.#slab.length - this.#end;
      if (room === 0) {
        this.#turn(done);
        continue;
      }
      const take = Math.min(room, piece.length - from);
      piece.copy(this.#slab, this.#end, from, from + take);
      from += take;
      this.#end += take;
      this.#decode();
    }
    return done;
  }

  finish(): RowBatch | null {
    if (this.#end !== this.#at || !this.#finished) {
      throw new ForebayError('protocol', { message: 'COPY ended inside a row' });
    }
    if (this.#rows > 0) return this.#batch();
    this.#options.slabs.give(this.#slab);
    return null;
  }

  /** After a failure: the slab under way goes back. */
  discard(): void {
    this.#options.slabs.give(this.#slab);
  }

  /** The slab is full: its rows go out, the begun row moves to a new slab, larger if the row needs it. */
  #turn(done: RowBatch[]): void {
    const rest = this.#end - this.#at;
    const whole = rest < FRAME_HEADER_BYTES ? 0 : 1 + this.#view.getInt32(this.#at + 1);
    const slab = this.#options.slabs.take(Math.max(SLAB_BYTES, whole + FRAME_HEADER_BYTES));
    this.#slab.copy(slab, 0, this.#at, this.#end);
    if (this.#rows > 0) done.push(this.#batch());
    else this.#options.slabs.give(this.#slab);
    this.#slab = slab;
    this.#view = viewOf(slab);
    this.#words = this.#options.slabs.wordsOf(slab);
    this.#rows = 0;
    this.#valueBytes = 0;
    this.#at = 0;
    this.#end = rest;
  }

  #decode(): void {
    while (this.#end - this.#at >= FRAME_HEADER_BYTES) {
      const frameEnd = this.#at + 1 + this.#view.getInt32(this.#at + 1);
      if (frameEnd > this.#end) return;
      let at = this.#at + FRAME_HEADER_BYTES;
      if (!this.#sawHeader) {
        at += FILE_HEADER_BYTES;
        this.#sawHeader = true;
      }
      // A frame holds whole rows: the server sends one per row, others may put several into one.
      while (at < frameEnd) at = this.#row(at);
      this.#at = frameEnd;
    }
  }

  #row(start: number): number {
    const view = this.#view;
    const count = view.getInt16(start);
    let at = start + 2;
    if (count === -1) {
      this.#finished = true;
      return at;
    }
    if (count !== this.#options.schema.columns.length) {
      throw new ForebayError('protocol', { message: `COPY sent a row of ${count} columns` });
    }
    const cells = this.#words;
    let word = this.#rows * count * 2;
    this.#rows += 1;
    for (let column = 0; column < count; column += 1) {
      const length = view.getInt32(at);
      at += 4;
      cells[word] = at;
      cells[word + 1] = length;
      word += 2;
      if (length > 0) at += length;
    }
    this.#valueBytes += at - start - 2 - 4 * count;
    return at;
  }

  #batch(): RowBatch {
    const { schema, encodings } = this.#options;
    const rows = this.#rows;
    return {
      schema,
      encodings,
      slab: this.#slab,
      rowCount: rows,
      cells: this.#words.subarray(0, rows * schema.columns.length * 2),
      ops: readOps(rows),
      transactions: NO_WORDS,
      events: NO_WORDS,
      valueBytes: this.#valueBytes,
    };
  }
}

function viewOf(buffer: Buffer): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** The consumer gives each batch's slab back to the pool. */
export async function* decodeCopyBinary(
  copy: CopyOut,
  options: DecodeOptions,
): AsyncGenerator<RowBatch, void> {
  const decoder = new CopyDecoder(options);
  let finished = false;
  try {
    for await (const piece of copy.frames) {
      for (const batch of decoder.push(piece)) yield batch;
    }
    finished = true;
    const last = decoder.finish();
    if (last !== null) yield last;
  } finally {
    if (!finished) decoder.discard();
  }
}

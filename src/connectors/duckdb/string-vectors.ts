/**
 * Strings into vectors. DuckDB's string_t is 16 bytes: length, then either 12 bytes of text, or 4 bytes of it
 * and a pointer. The bytes of a whole chunk are handed to DuckDB in one call, which tells their address; the
 * pointers are made from it. A call per string would be the slowest part of the load.
 */
import duckdb, { type DataChunk, type Vector } from '@duckdb/node-bindings';
import { ByteSink } from './byte-sink.ts';
import type { CellRun } from './cell-run.ts';
import { type CellStore, Validity } from './fixed-store.ts';

const INLINE_BYTES = 12;

/** Bytes that DuckDB holds for as long as a chunk is being filled and appended. */
class HeldBytes {
  readonly #chunk: DataChunk = duckdb.create_data_chunk([
    duckdb.create_logical_type(duckdb.Type.BLOB),
  ]);

  /** Address of the copy. Blobs up to 12 bytes have none, so callers hold more than that. */
  hold(bytes: Uint8Array): number {
    const vector = duckdb.data_chunk_get_vector(this.#chunk, 0);
    duckdb.vector_assign_string_element_len(vector, 0, bytes);
    const value = duckdb.vector_get_data(vector, 16);
    const view = new DataView(value.buffer, value.byteOffset, 16);
    return Number(view.getBigUint64(8, true));
  }

  release(): void {
    duckdb.data_chunk_reset(this.#chunk);
  }
}

/** The part of a slab that long strings of the chunk under way lie in; shared by the chunk's columns. */
export class SlabSpan {
  slab: Buffer | null = null;
  #first = Number.MAX_SAFE_INTEGER;
  #end = 0;
  #address = 0;
  readonly #held = new HeldBytes();

  begin(slab: Buffer): void {
    this.slab = slab;
    this.#first = Number.MAX_SAFE_INTEGER;
    this.#end = 0;
    this.#address = 0;
  }

  include(first: number, end: number): void {
    if (first < this.#first) this.#first = first;
    if (end > this.#end) this.#end = end;
  }

  /** Where offset 0 of the slab would be; to be asked once all strings are included. */
  origin(): number {
    if (this.#address === 0 && this.slab !== null && this.#end > 0) {
      this.#address = this.#held.hold(this.slab.subarray(this.#first, this.#end));
    }
    return this.#address - this.#first;
  }

  end(): void {
    this.#held.release();
    this.slab = null;
  }
}

const IN_SLAB = 0;
const IN_HEAP = 1;
const WORD_BYTES = 4;

export class StringStore implements CellStore {
  readonly #span: SlabSpan;
  readonly #heap = new ByteSink(4096);
  readonly #held = new HeldBytes();
  readonly #validity = new Validity();
  #words = new Int32Array(2048 * 4);

  constructor(span: SlabSpan) {
    this.#span = span;
  }

  put(first: number, run: CellRun): void {
    this.#reserve(first + run.count);
    this.#validity.mark(first, run);
    if (run.bytes === this.#span.slab) this.#pointAt(first, run);
    else this.#copy(first, run);
  }

  flush(vector: Vector, count: number): void {
    this.#reserve(count);
    const heap =
      this.#heap.length > 0 ? this.#held.hold(this.#heap.buffer.subarray(0, this.#heap.length)) : 0;
    this.#address(count, this.#span.origin(), heap);
    duckdb.copy_data_to_vector(vector, 0, this.#words.buffer, 0, count * 16);
    this.#validity.flush(vector, count);
    this.#heap.clear();
  }

  clear(): void {
    this.#validity.clear();
    this.#heap.clear();
  }

  /** Called when DuckDB has taken the chunk. */
  release(): void {
    this.#held.release();
  }

  /** Strings that lie in the slab: long ones by their place there. */
  #pointAt(index: number, { bytes, view, offsets, lengths, count }: CellRun): void {
    const words = this.#words;
    let first = Number.MAX_SAFE_INTEGER;
    let end = 0;
    for (let cell = 0, at = index * 4; cell < count; cell += 1, at += 4) {
      const length = lengths[cell] ?? -1;
      const offset = offsets[cell] ?? 0;
      if (length > INLINE_BYTES) {
        words[at] = length;
        words[at + 1] = view.getInt32(offset, true);
        words[at + 2] = offset;
        words[at + 3] = IN_SLAB;
        if (offset < first) first = offset;
        if (offset + length > end) end = offset + length;
      } else this.#inline(at, bytes, offset, length);
    }
    if (end > 0) this.#span.include(first, end);
  }

  #copy(index: number, { bytes, view, offsets, lengths, count }: CellRun): void {
    const words = this.#words;
    for (let cell = 0, at = index * 4; cell < count; cell += 1, at += 4) {
      const length = lengths[cell] ?? -1;
      const offset = offsets[cell] ?? 0;
      if (length > INLINE_BYTES) {
        words[at] = length;
        words[at + 1] = view.getInt32(offset, true);
        words[at + 2] = this.#heap.length;
        words[at + 3] = IN_HEAP;
        this.#heap.bytes(bytes, offset, length);
      } else this.#inline(at, bytes, offset, length);
    }
  }

  /** A string that stands in its entry, or NULL. */
  #inline(at: number, bytes: Buffer, offset: number, length: number): void {
    const words = this.#words;
    words[at] = Math.max(length, 0);
    for (let word = 0; word < 3; word += 1) {
      const end = Math.min(length, (word + 1) * WORD_BYTES);
      let value = 0;
      for (let byte = word * WORD_BYTES; byte < end; byte += 1) {
        value |= (bytes[offset + byte] ?? 0) << ((byte & 3) * 8);
      }
      words[at + 1 + word] = value;
    }
  }

  /** Makes pointers of places. */
  #address(count: number, slab: number, heap: number): void {
    const words = this.#words;
    const slabLow = slab % 0x1_0000_0000;
    const slabHigh = Math.floor(slab / 0x1_0000_0000);
    for (let at = 0; at < count * 4; at += 4) {
      if ((words[at] ?? 0) <= INLINE_BYTES) continue;
      const place = words[at + 2] ?? 0;
      if (words[at + 3] === IN_SLAB) {
        const low = slabLow + place;
        words[at + 2] = low;
        words[at + 3] = low > 0xffff_ffff ? slabHigh + 1 : slabHigh;
      } else {
        const address = heap + place;
        words[at + 2] = address % 0x1_0000_0000;
        words[at + 3] = Math.floor(address / 0x1_0000_0000);
      }
    }
  }

  #reserve(count: number): void {
    if (count * 4 <= this.#words.length) return;
    const grown = new Int32Array(Math.max(this.#words.length * 2, count * 4));
    grown.set(this.#words);
    this.#words = grown;
  }
}

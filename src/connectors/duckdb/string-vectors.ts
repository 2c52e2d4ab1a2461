/**
 * Strings into vectors. DuckDB's string_t is 16 bytes: length, then either 12 bytes of text, or 4 bytes of it
 * and a pointer. The bytes of a whole chunk are handed to DuckDB in one call, which tells their address; the
 * pointers are made from it. A call per string would be the slowest part of the load.
 */
import duckdb, { type DataChunk, type Vector } from '@duckdb/node-bindings';
import { ByteSink } from './byte-sink.ts';
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

  include(offset: number, length: number): void {
    if (offset < this.#first) this.#first = offset;
    if (offset + length > this.#end) this.#end = offset + length;
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

export class StringStore implements CellStore {
  readonly #span: SlabSpan;
  readonly #heap = new ByteSink(4096);
  readonly #held = new HeldBytes();
  readonly #validity = new Validity();
  #buffer = new ArrayBuffer(2048 * 16);
  #bytes = new Uint8Array(this.#buffer);
  #words = new Uint32Array(this.#buffer);

  constructor(span: SlabSpan) {
    this.#span = span;
  }

  put(index: number, bytes: Buffer, offset: number, length: number): boolean {
    const at = this.#entry(index);
    const words = this.#words;
    words[at] = length;
    words[at + 1] = 0;
    words[at + 2] = 0;
    words[at + 3] = 0;
    const shown = length <= INLINE_BYTES ? length : 4;
    const target = at * 4 + 4;
    for (let byte = 0; byte < shown; byte += 1) {
      this.#bytes[target + byte] = bytes[offset + byte] ?? 0;
    }
    if (length <= INLINE_BYTES) return true;
    if (bytes === this.#span.slab) {
      this.#span.include(offset, length);
      words[at + 2] = offset;
      words[at + 3] = IN_SLAB;
    } else {
      words[at + 2] = this.#heap.length;
      words[at + 3] = IN_HEAP;
      this.#heap.bytes(bytes, offset, length);
    }
    return true;
  }

  putNull(index: number): void {
    this.#words.fill(0, this.#entry(index), this.#entry(index) + 4);
    this.#validity.setNull(index);
  }

  flush(vector: Vector, count: number): void {
    if (count > 0) this.#entry(count - 1);
    const heap =
      this.#heap.length > 0 ? this.#held.hold(this.#heap.buffer.subarray(0, this.#heap.length)) : 0;
    const slab = this.#span.origin();
    const words = this.#words;
    for (let at = 0; at < count * 4; at += 4) {
      if ((words[at] ?? 0) <= INLINE_BYTES) continue;
      const address = (words[at + 3] === IN_SLAB ? slab : heap) + (words[at + 2] ?? 0);
      words[at + 2] = address % 0x1_0000_0000;
      words[at + 3] = Math.floor(address / 0x1_0000_0000);
    }
    duckdb.copy_data_to_vector(vector, 0, this.#buffer, 0, count * 16);
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

  #entry(index: number): number {
    if ((index + 1) * 16 > this.#buffer.byteLength) {
      const grown = new ArrayBuffer(Math.max(this.#buffer.byteLength * 2, (index + 1) * 16));
      new Uint8Array(grown).set(this.#bytes);
      this.#buffer = grown;
      this.#bytes = new Uint8Array(grown);
      this.#words = new Uint32Array(grown);
    }
    return index * 4;
  }
}

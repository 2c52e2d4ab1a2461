/** What all stores of values of one width share. */
import duckdb, { type Vector } from '@duckdb/node-bindings';

export interface CellStore {
  /** Takes the cell at an index; false if the column cannot hold it exactly. Indexes come in order. */
  put(index: number, bytes: Buffer, offset: number, length: number): boolean;
  putNull(index: number): void;
  /** Copies the first `count` values into the vector, and forgets them. */
  flush(vector: Vector, count: number): void;
  /** Forgets what was put since the last flush. */
  clear(): void;
}

const INITIAL_VALUES = 2048;

/** Validity bits as DuckDB keeps them: 64-bit words, a set bit is a value. */
export class Validity {
  #bits = new Uint8Array(INITIAL_VALUES / 8).fill(0xff);
  #anyNull = false;

  setNull(index: number): void {
    const byte = index >> 3;
    if (byte >= this.#bits.length) this.#grow(byte);
    this.#bits[byte] = (this.#bits[byte] ?? 0xff) & ~(1 << (index & 7));
    this.#anyNull = true;
  }

  flush(vector: Vector, count: number): void {
    if (!this.#anyNull) return;
    const bytes = Math.ceil(count / 64) * 8;
    if (bytes > this.#bits.length) this.#grow(bytes - 1);
    duckdb.vector_ensure_validity_writable(vector);
    duckdb.copy_data_to_vector_validity(vector, 0, this.#bits.buffer, 0, bytes);
    this.clear();
  }

  clear(): void {
    if (!this.#anyNull) return;
    this.#bits.fill(0xff);
    this.#anyNull = false;
  }

  #grow(byte: number): void {
    const grown = new Uint8Array(Math.max(this.#bits.length * 2, byte + 8)).fill(0xff);
    grown.set(this.#bits);
    this.#bits = grown;
  }
}

/** Values of `width` bytes each, as words of 32 bits (16 and 8 bits through views of the same memory). */
export abstract class FixedStore implements CellStore {
  readonly #width: number;
  readonly #validity = new Validity();
  protected buffer: ArrayBuffer;
  protected words: Uint32Array;
  protected view: DataView;

  constructor(width: number) {
    this.#width = width;
    this.buffer = new ArrayBuffer(INITIAL_VALUES * width);
    this.words = new Uint32Array(this.buffer);
    this.view = new DataView(this.buffer);
  }

  abstract put(index: number, bytes: Buffer, offset: number, length: number): boolean;

  putNull(index: number): void {
    this.#validity.setNull(index);
  }

  flush(vector: Vector, count: number): void {
    const bytes = Math.min(count * this.#width, this.buffer.byteLength);
    duckdb.copy_data_to_vector(vector, 0, this.buffer, 0, bytes);
    this.#validity.flush(vector, count);
  }

  clear(): void {
    this.#validity.clear();
  }

  /** Called by `put` with indexes in order, so doubling is enough. */
  protected reserve(index: number): void {
    if ((index + 1) * this.#width <= this.buffer.byteLength) return;
    const bytes = Math.max(this.buffer.byteLength * 2, (index + 1) * this.#width);
    const grown = new ArrayBuffer(bytes);
    new Uint8Array(grown).set(new Uint8Array(this.buffer));
    this.buffer = grown;
    this.words = new Uint32Array(grown);
    this.view = new DataView(grown);
  }
}

/** A column of NULLs, whatever its type. */
export class NullStore implements CellStore {
  readonly #validity = new Validity();

  put(): boolean {
    return false;
  }

  putNull(): void {}

  flush(vector: Vector, count: number): void {
    for (let index = 0; index < count; index += 1) this.#validity.setNull(index);
    this.#validity.flush(vector, count);
  }

  clear(): void {}
}

/** Integers that are no cells: row numbers, and instants in DuckDB's own count. */
export class WordStore extends FixedStore {
  constructor() {
    super(8);
  }

  put(): boolean {
    return false;
  }

  set(index: number, value: bigint): void {
    this.reserve(index);
    this.view.setBigInt64(index * 8, value, true);
  }
}

/** What all stores of values of one width share. */
import duckdb, { type Vector } from '@duckdb/node-bindings';
import type { CellRun } from './cell-run.ts';

export interface CellStore {
  /**
   * Takes the cells of a run as the values from index `first` on; runs come in order. Cells that the column
   * cannot hold exactly are named in `refused`, by their place in the run; their values are arbitrary.
   */
  put(first: number, run: CellRun, refused: number[]): void;
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

  /** Notes which cells of a run are NULL. */
  mark(first: number, { lengths, count, anyNull }: CellRun): void {
    if (!anyNull) return;
    for (let cell = 0; cell < count; cell += 1) {
      if ((lengths[cell] ?? -1) < 0) this.setNull(first + cell);
    }
  }

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
  #capacity = INITIAL_VALUES;
  protected words: Int32Array<ArrayBuffer>;
  protected view: DataView<ArrayBuffer>;

  constructor(width: number) {
    this.#width = width;
    const buffer = new ArrayBuffer(INITIAL_VALUES * width);
    this.words = new Int32Array(buffer);
    this.view = new DataView(buffer);
  }

  put(first: number, run: CellRun, refused: number[]): void {
    this.reserve(first + run.count);
    this.#validity.mark(first, run);
    this.fill(first, run, refused);
  }

  flush(vector: Vector, count: number): void {
    this.reserve(count);
    duckdb.copy_data_to_vector(vector, 0, this.words.buffer, 0, count * this.#width);
    this.#validity.flush(vector, count);
  }

  clear(): void {
    this.#validity.clear();
  }

  /**
   * Converts the cells that are not NULL. Each class has the loop to itself: one loop for all, with a call per
   * cell that meets many classes, took twice as long.
   */
  protected abstract fill(first: number, run: CellRun, refused: number[]): void;

  protected setNull(index: number): void {
    this.#validity.setNull(index);
  }

  protected reserve(count: number): void {
    if (count <= this.#capacity) return;
    this.#capacity = Math.max(this.#capacity * 2, count);
    const grown = new ArrayBuffer(this.#capacity * this.#width);
    new Uint8Array(grown).set(new Uint8Array(this.words.buffer));
    this.words = new Int32Array(grown);
    this.view = new DataView(grown);
  }
}

/** A column of NULLs, whatever its type. */
export class NullStore implements CellStore {
  readonly #validity = new Validity();

  put(): void {}

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

  set(index: number, value: number | bigint | null): void {
    this.reserve(index + 1);
    if (value === null) this.setNull(index);
    else if (typeof value === 'bigint') this.view.setBigInt64(index * 8, value, true);
    else {
      this.words[index * 2] = value;
      this.words[index * 2 + 1] = Math.floor(value / 0x1_0000_0000);
    }
  }

  protected fill(): void {
    throw new TypeError('rows have no cells for this column');
  }
}

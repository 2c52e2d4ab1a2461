/** Rows of the destination in ranges that differ, by the hash of their key, to be met by the source's rows. */
import type { RowBatch } from '../core/row-batch.ts';
import type { SlabPool } from '../core/slab.ts';
import { RowCopies } from './row-copies.ts';
import { type HashShape, identityColumns, type RowHasher } from './row-hash.ts';

const EMPTY = -1;
/** Words per row: key hash, row hash, copies left, rows of this key, part and row of the kept cells. */
const WIDTH = 8;
const COPIES = 4;
const ROWS = 5;
const PART = 6;
const ROW = 7;

/** Bytes that a row costs beside the bytes of its key: the words, the index at most half full, the cell words. */
export function suspectRowBytes(keyColumns: number): number {
  return WIDTH * 4 + 4 * 4 + keyColumns * 8;
}

export type Encounter = 'equal' | 'changed' | 'missing';

export class SuspectRows {
  readonly #keyed: boolean;
  readonly #kept: RowCopies;
  #words = new Int32Array(1024 * WIDTH);
  #index = new Int32Array(2048).fill(EMPTY);
  #entries = 0;

  constructor(shape: HashShape, slabs: SlabPool) {
    const key = identityColumns(shape.schema);
    this.#keyed = shape.schema.identity === 'key';
    this.#kept = new RowCopies({ shape: narrowed(shape, key), slabs, from: key });
  }

  add(hasher: RowHasher, batch: RowBatch, row: number): void {
    const place = this.#find(hasher);
    const known = this.#index[place] ?? EMPTY;
    if (known !== EMPTY) {
      this.#repeat(known * WIDTH);
      return;
    }
    const entry = this.#entries++;
    if (entry * WIDTH === this.#words.length) this.#growWords();
    const word = entry * WIDTH;
    this.#words[word] = hasher.keyA;
    this.#words[word + 1] = hasher.keyB;
    this.#words[word + 2] = hasher.rowA;
    this.#words[word + 3] = hasher.rowB;
    this.#words[word + COPIES] = 1;
    this.#words[word + ROWS] = 1;
    this.#words[word + ROW] = this.#kept.add(batch, row);
    this.#words[word + PART] = this.#kept.part;
    this.#index[place] = entry;
    if (this.#entries * 2 > this.#index.length) this.#growIndex();
  }

  /** What a row of the source finds. */
  meet(hasher: RowHasher): Encounter {
    const entry = this.#index[this.#find(hasher)] ?? EMPTY;
    const word = entry * WIDTH;
    const copies = entry === EMPTY ? 0 : (this.#words[word + COPIES] ?? 0);
    if (copies === 0) return 'missing';
    this.#words[word + COPIES] = copies - 1;
    const same = this.#words[word + 2] === hasher.rowA && this.#words[word + 3] === hasher.rowB;
    return same ? 'equal' : 'changed';
  }

  /**
   * Keys that several rows of the destination have, which nothing tells apart: all of them are to go. To be
   * called before the source's rows come; each key is told once, with its number of rows.
   */
  conflicts(take: (batch: RowBatch, row: number, rows: number) => void): void {
    if (!this.#keyed) return;
    this.#visit(
      (word) => (this.#words[word + COPIES] === 0 ? (this.#words[word + ROWS] ?? 0) : 0),
      take,
    );
  }

  /** Rows that no row of the source met; of equal rows without a key, so many copies. */
  unmet(take: (batch: RowBatch, row: number, rows: number) => void): void {
    this.#visit((word) => this.#words[word + COPIES] ?? 0, take);
  }

  clear(): void {
    this.#kept.clear();
  }

  #visit(
    rowsOf: (word: number) => number,
    take: (batch: RowBatch, row: number, rows: number) => void,
  ): void {
    const batches = this.#kept.batches();
    for (let word = 0; word < this.#entries * WIDTH; word += WIDTH) {
      const rows = rowsOf(word);
      const batch = batches[this.#words[word + PART] ?? 0];
      if (rows > 0 && batch !== undefined) take(batch, this.#words[word + ROW] ?? 0, rows);
    }
  }

  /** A further row of a key that is here: a conflict; without a key: one more copy. */
  #repeat(word: number): void {
    this.#words[word + ROWS] = (this.#words[word + ROWS] ?? 0) + 1;
    this.#words[word + COPIES] = this.#keyed ? 0 : (this.#words[word + COPIES] ?? 0) + 1;
  }

  /** Place in the index where the key is, or would be. */
  #find(hasher: RowHasher): number {
    const mask = this.#index.length - 1;
    let place = hasher.keyB & mask;
    for (;;) {
      const entry = this.#index[place] ?? EMPTY;
      if (entry === EMPTY) return place;
      const word = entry * WIDTH;
      if (this.#words[word] === hasher.keyA && this.#words[word + 1] === hasher.keyB) return place;
      place = (place + 1) & mask;
    }
  }

  #growWords(): void {
    const words = new Int32Array(this.#words.length * 2);
    words.set(this.#words);
    this.#words = words;
  }

  #growIndex(): void {
    const index = new Int32Array(this.#index.length * 2).fill(EMPTY);
    const mask = index.length - 1;
    for (let entry = 0; entry < this.#entries; entry += 1) {
      let place = (this.#words[entry * WIDTH + 1] ?? 0) & mask;
      while (index[place] !== EMPTY) place = (place + 1) & mask;
      index[place] = entry;
    }
    this.#index = index;
  }
}

/** The shape of batches that hold some columns only. */
function narrowed(shape: HashShape, columns: readonly number[]): HashShape {
  return {
    schema: {
      ...shape.schema,
      columns: columns.flatMap((column) => shape.schema.columns[column] ?? []),
      key: columns.map((_, index) => index),
    },
    encodings: columns.map((column) => shape.encodings[column] ?? 'text'),
  };
}

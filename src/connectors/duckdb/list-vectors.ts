import duckdb, { type Vector } from '@duckdb/node-bindings';
import { CellRun } from './cell-run.ts';
import { type CellStore, Validity } from './fixed-store.ts';

/** Entries of one level of nesting: 64-bit offset and length into the level below. */
class Level {
  count = 0;
  #entries = new BigUint64Array(2048 * 2);

  set(index: number, offset: number, length: number): void {
    if ((index + 1) * 2 > this.#entries.length) {
      const grown = new BigUint64Array(Math.max(this.#entries.length * 2, (index + 1) * 2));
      grown.set(this.#entries);
      this.#entries = grown;
    }
    this.#entries[index * 2] = BigInt(offset);
    this.#entries[index * 2 + 1] = BigInt(length);
  }

  flush(vector: Vector, count: number): void {
    if (count > 0) duckdb.copy_data_to_vector(vector, 0, this.#entries.buffer, 0, count * 16);
  }
}

/** PostgreSQL arrays of a fixed number of dimensions as nested lists. */
export class ListStore implements CellStore {
  readonly #element: CellStore;
  readonly #levels: readonly Level[];
  readonly #validity = new Validity();
  /** Elements of a run of lists, and the list that each stands in. */
  readonly #run = new CellRun();
  readonly #owners: number[] = [];
  #elements = 0;

  constructor(element: CellStore, dimensions: number) {
    this.#element = element;
    this.#levels = Array.from({ length: dimensions }, () => new Level());
  }

  put(first: number, { bytes, offsets, lengths, count }: CellRun, refused: number[]): void {
    const start = this.#elements;
    this.#run.begin(bytes);
    this.#owners.length = 0;
    for (let cell = 0; cell < count; cell += 1) {
      const index = first + cell;
      if ((lengths[cell] ?? -1) < 0) {
        this.#levels[0]?.set(index, this.#below(0), 0);
        this.#validity.setNull(index);
      } else if (!this.#list(index, bytes, offsets[cell] ?? 0)) refused.push(cell);
      while (this.#owners.length < this.#run.count) this.#owners.push(cell);
    }
    const elements: number[] = [];
    this.#element.put(start, this.#run, elements);
    for (const cell of new Set(elements.map((element) => this.#owners[element] ?? 0))) {
      refused.push(cell);
    }
  }

  flush(vector: Vector, count: number): void {
    let current = vector;
    let entries = count;
    for (const [depth, level] of this.#levels.entries()) {
      level.flush(current, entries);
      const below = this.#below(depth);
      duckdb.list_vector_reserve(current, below);
      duckdb.list_vector_set_size(current, below);
      if (depth === 0) this.#validity.flush(current, count);
      level.count = 0;
      current = duckdb.list_vector_get_child(current);
      entries = below;
    }
    this.#element.flush(current, this.#elements);
    this.#elements = 0;
  }

  clear(): void {
    for (const level of this.#levels) level.count = 0;
    this.#validity.clear();
    this.#element.clear();
    this.#elements = 0;
  }

  /** Number of entries in the level under this one. */
  #below(depth: number): number {
    return this.#levels[depth + 1]?.count ?? this.#elements;
  }

  /** Writes the entries of all levels and notes the elements; false for what is no such list. */
  #list(index: number, bytes: Buffer, offset: number): boolean {
    const dimensions = bytes.readInt32BE(offset);
    if (dimensions === 0) {
      this.#levels[0]?.set(index, this.#below(0), 0);
      return true;
    }
    if (dimensions !== this.#levels.length) return false;
    for (let dimension = 0; dimension < dimensions; dimension += 1) {
      // A lower bound other than 1 has no place in a list.
      if (bytes.readInt32BE(offset + 16 + dimension * 8) !== 1) return false;
    }
    let lists = 1;
    for (const [depth, level] of this.#levels.entries()) {
      const length = bytes.readInt32BE(offset + 12 + depth * 8);
      const start = this.#below(depth);
      for (let list = 0; list < lists; list += 1) {
        const at = depth === 0 ? index : level.count++;
        level.set(at, start + list * length, length);
      }
      lists *= length;
    }
    this.#noteElements(bytes, offset + 12 + dimensions * 8, lists);
    return true;
  }

  #noteElements(bytes: Buffer, offset: number, count: number): void {
    let at = offset;
    for (let element = 0; element < count; element += 1) {
      const length = bytes.readInt32BE(at);
      at += 4;
      this.#run.add(at, length);
      at += Math.max(length, 0);
    }
    this.#elements += count;
  }
}

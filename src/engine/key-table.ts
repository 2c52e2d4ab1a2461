import { type RowBatch, rowStride } from '../core/row-batch.ts';

const EMPTY = -1;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Hash of a row's key bytes: FNV-1a with a final mix, so that runs of close integers spread. */
function hashKey(batch: RowBatch, row: number): number {
  const { slab, cells } = batch;
  const base = row * rowStride(batch);
  let hash = FNV_OFFSET;
  for (const column of batch.schema.key) {
    const at = cells[base + column * 2] ?? 0;
    const length = cells[base + column * 2 + 1] ?? 0;
    for (let i = at; i < at + length; i += 1) hash = Math.imul(hash ^ (slab[i] ?? 0), FNV_PRIME);
    hash = Math.imul(hash ^ length, FNV_PRIME);
  }
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function sameKey(a: RowBatch, aRow: number, b: RowBatch, bRow: number): boolean {
  const aBase = aRow * rowStride(a);
  const bBase = bRow * rowStride(b);
  for (const column of a.schema.key) {
    const length = a.cells[aBase + column * 2 + 1] ?? 0;
    if (length !== b.cells[bBase + column * 2 + 1]) return false;
    const aAt = a.cells[aBase + column * 2] ?? 0;
    const bAt = b.cells[bBase + column * 2] ?? 0;
    for (let i = 0; i < length; i += 1) if (a.slab[aAt + i] !== b.slab[bAt + i]) return false;
  }
  return true;
}

/** Open-addressing table from key bytes to where the key's current row is. Slots are stable numbers. */
export class KeyTable {
  #table = new Int32Array(1024).fill(EMPTY);
  #hashes = new Uint32Array(512);
  #keyBatch: RowBatch[] = [];
  #keyRow: number[] = [];
  #part: number[] = [];
  #row: number[] = [];

  /** The slot of this row's key, made if it is new (`entry` then has part -1). */
  find(batch: RowBatch, row: number): number {
    const hash = hashKey(batch, row);
    const mask = this.#table.length - 1;
    let place = hash & mask;
    for (;;) {
      const slot = this.#table[place] ?? EMPTY;
      if (slot === EMPTY) break;
      const other = this.#keyBatch[slot];
      if (
        this.#hashes[slot] === hash &&
        other !== undefined &&
        sameKey(batch, row, other, this.#keyRow[slot] ?? 0)
      ) {
        return slot;
      }
      place = (place + 1) & mask;
    }
    return this.#add(place, { hash, batch, row });
  }

  entry(slot: number): { readonly part: number; readonly row: number } {
    return { part: this.#part[slot] ?? -1, row: this.#row[slot] ?? 0 };
  }

  set(slot: number, part: number, row: number): void {
    this.#part[slot] = part;
    this.#row[slot] = row;
  }

  #add(place: number, key: { hash: number; batch: RowBatch; row: number }): number {
    const slot = this.#keyBatch.push(key.batch) - 1;
    this.#keyRow.push(key.row);
    this.#part.push(-1);
    this.#row.push(0);
    if (slot === this.#hashes.length) {
      const hashes = new Uint32Array(slot * 2);
      hashes.set(this.#hashes);
      this.#hashes = hashes;
    }
    this.#hashes[slot] = key.hash;
    this.#table[place] = slot;
    if ((slot + 1) * 2 > this.#table.length) this.#grow();
    return slot;
  }

  #grow(): void {
    const table = new Int32Array(this.#table.length * 2).fill(EMPTY);
    const mask = table.length - 1;
    for (let slot = 0; slot < this.#keyBatch.length; slot += 1) {
      let place = (this.#hashes[slot] ?? 0) & mask;
      while (table[place] !== EMPTY) place = (place + 1) & mask;
      table[place] = slot;
    }
    this.#table = table;
  }
}

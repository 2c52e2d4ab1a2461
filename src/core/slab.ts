/**
 * Slabs are the memory that rows live in: fixed-size buffers that are taken and given back, so that memory
 * stays flat whatever the table's size. They are shared memory, so that a worker thread reads them without a
 * copy; whoever hands a batch to a worker waits for its answer before giving the slab back.
 */
export const SLAB_BYTES = 4 * 1024 * 1024;

/** Whole words, since others are counted from a slab's length. */
export function allocateSlab(bytes: number): Buffer {
  return Buffer.from(new SharedArrayBuffer(Math.ceil(bytes / 4) * 4));
}

export class SlabPool {
  readonly #free: Buffer[] = [];
  readonly #keep: number;
  readonly #words = new WeakMap<Buffer, Int32Array>();
  #taken = 0;

  /** @param keepBytes how much free memory the pool holds on to for reuse. */
  constructor(keepBytes: number) {
    this.#keep = Math.max(2, Math.floor(keepBytes / SLAB_BYTES));
  }

  /** Bytes in slabs that are out. */
  get takenBytes(): number {
    return this.#taken;
  }

  /** A slab of at least `bytes`; larger ones than SLAB_BYTES are made for the occasion. Content is arbitrary. */
  take(bytes: number = SLAB_BYTES): Buffer {
    const slab =
      bytes > SLAB_BYTES ? allocateSlab(bytes) : (this.#free.pop() ?? allocateSlab(SLAB_BYTES));
    this.#taken += slab.length;
    return slab;
  }

  /**
   * Words for the cells of rows that lie in this slab, as many as a COPY stream in it can need (a cell takes at
   * least four bytes there and two words here). Shared memory; pages that are not written take no memory.
   */
  wordsOf(slab: Buffer): Int32Array {
    let words = this.#words.get(slab);
    if (words === undefined) {
      words = new Int32Array(new SharedArrayBuffer(slab.length * 2));
      this.#words.set(slab, words);
    }
    return words;
  }

  /** Gives a slab back; nobody may read or write it after this. Each slab is given back once. */
  give(slab: Buffer): void {
    this.#taken -= slab.length;
    if (slab.length === SLAB_BYTES && this.#free.length < this.#keep) this.#free.push(slab);
  }
}

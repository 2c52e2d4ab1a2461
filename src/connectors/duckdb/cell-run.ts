/** Cells of one column that are converted together. */
import type { RowBatch } from '../../core/row-batch.ts';

const INITIAL_CELLS = 2048;

/** Where the cells lie. A negative length is NULL (or a cell that was not sent). */
export class CellRun {
  bytes: Buffer = Buffer.alloc(0);
  /** The same memory as `bytes`. */
  view: DataView = new DataView(new ArrayBuffer(0));
  offsets = new Int32Array(INITIAL_CELLS);
  lengths = new Int32Array(INITIAL_CELLS);
  count = 0;
  anyNull = false;

  /** An empty run over this memory. */
  begin(bytes: Buffer): void {
    this.moveTo(bytes);
    this.count = 0;
    this.anyNull = false;
  }

  /** The cells lie at the same places of other memory. */
  moveTo(bytes: Buffer): void {
    if (this.bytes === bytes) return;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  add(offset: number, length: number): void {
    if (this.count === this.lengths.length) this.#grow(this.count * 2);
    this.offsets[this.count] = offset;
    this.lengths[this.count] = length;
    this.count += 1;
    if (length < 0) this.anyNull = true;
  }

  /** The cells of a column in `count` of the rows, from place `from` on. */
  gather(
    batch: RowBatch,
    column: number,
    { rows, from, count }: { rows: Int32Array; from: number; count: number },
  ): void {
    this.begin(batch.slab);
    if (count > this.lengths.length) this.#grow(count);
    const { cells } = batch;
    const { offsets, lengths } = this;
    const stride = batch.schema.columns.length * 2;
    const base = column * 2;
    // The sign bit of any length is that of all of them put together.
    let signs = 0;
    for (let cell = 0; cell < count; cell += 1) {
      const word = (rows[from + cell] ?? 0) * stride + base;
      const length = cells[word + 1] ?? -1;
      offsets[cell] = cells[word] ?? 0;
      lengths[cell] = length;
      signs |= length;
    }
    this.count = count;
    this.anyNull = signs < 0;
  }

  #grow(cells: number): void {
    const offsets = new Int32Array(cells);
    const lengths = new Int32Array(cells);
    offsets.set(this.offsets);
    lengths.set(this.lengths);
    this.offsets = offsets;
    this.lengths = lengths;
  }
}

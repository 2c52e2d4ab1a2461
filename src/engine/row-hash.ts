/**
 * 64-bit hashes of rows and of their keys, as two words of 32 bits. Two lanes in the manner of MurmurHash3, each
 * fed with every word and with the other lane, over the bytes that are the cells' values.
 */
import { type RowBatch, rowStride } from '../core/row-batch.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { CellEncoding } from '../core/value.ts';
import {
  canonicalForm,
  type CellForm,
  FORM_ARRAY,
  FORM_BYTES,
  FORM_DECIMAL,
  FORM_FLOAT,
} from './canonical-cells.ts';

const SEED_A = 0x2f0b4c47;
const SEED_B = 0x6c078965;
/** Stands for any NaN: no float has this many bytes. */
const NAN_LENGTH = -9;
const NOTHING = new DataView(new ArrayBuffer(0));

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export interface HashShape {
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
}

/** The columns that tell rows apart; without a key that is all of them. */
export function identityColumns(schema: StreamSchema): readonly number[] {
  return schema.identity === 'key' ? schema.key : schema.columns.map((_, index) => index);
}

/** The last row's hashes stand in the fields, so that a row costs no object. */
export class RowHasher {
  keyA = 0;
  keyB = 0;
  rowA = 0;
  rowB = 0;
  readonly #forms: readonly CellForm[];
  readonly #key: readonly number[];
  readonly #hasKey: boolean;
  #slab: Buffer | null = null;
  #view: DataView = NOTHING;
  #a = 0;
  #b = 0;

  constructor({ schema, encodings }: HashShape) {
    this.#forms = schema.columns.map((column, index) =>
      canonicalForm(column.type, encodings[index] ?? 'text'),
    );
    this.#key = schema.key;
    this.#hasKey = schema.identity === 'key';
  }

  hash(batch: RowBatch, row: number): void {
    const { cells } = batch;
    this.#look(batch.slab);
    const base = row * rowStride(batch);
    this.#begin();
    for (let column = 0; column < this.#forms.length; column += 1) this.#cell(cells, base, column);
    this.#end();
    this.rowA = this.#a;
    this.rowB = this.#b;
    if (this.#hasKey) {
      this.#begin();
      for (const column of this.#key) this.#cell(cells, base, column);
      this.#end();
    }
    this.keyA = this.#a;
    this.keyB = this.#b;
  }

  #look(slab: Buffer): void {
    if (this.#slab === slab) return;
    this.#slab = slab;
    this.#view = new DataView(slab.buffer, slab.byteOffset, slab.byteLength);
  }

  #begin(): void {
    this.#a = SEED_A;
    this.#b = SEED_B;
  }

  #end(): void {
    const a = finish((this.#a + this.#b) | 0);
    this.#b = finish((this.#b + a) | 0);
    this.#a = (a + this.#b) | 0;
  }

  #cell(cells: Int32Array, base: number, column: number): void {
    const at = cells[base + column * 2] ?? 0;
    const length = cells[base + column * 2 + 1] ?? -1;
    const form = this.#forms[column];
    if (length <= 0 || form === undefined || form.form === FORM_BYTES) this.#bytes(at, length);
    else if (form.form === FORM_ARRAY) this.#array({ at, length, element: form.element });
    else this.#scalar(at, length, form.form);
  }

  #scalar(at: number, length: number, form: number): void {
    if (form === FORM_DECIMAL && length >= 8) {
      this.#bytes(at, 6);
      this.#bytes(at + 8, length - 8);
    } else if (form === FORM_FLOAT && this.#isNaN(at, length)) this.#word(NAN_LENGTH);
    else this.#bytes(at, length);
  }

  #isNaN(at: number, length: number): boolean {
    if (length === 4) return Number.isNaN(this.#view.getFloat32(at));
    return length === 8 && Number.isNaN(this.#view.getFloat64(at));
  }

  #array(array: { readonly at: number; readonly length: number; readonly element: number }): void {
    const { at, length, element } = array;
    if (length < 12) {
      this.#bytes(at, length);
      return;
    }
    this.#bytes(at, 4);
    if (element === FORM_BYTES) {
      this.#bytes(at + 12, length - 12);
      return;
    }
    const end = at + length;
    let next = Math.min(end, at + 12 + 8 * this.#view.getInt32(at));
    this.#bytes(at + 12, next - at - 12);
    while (next + 4 <= end) {
      const size = this.#view.getInt32(next);
      if (size < 0) this.#word(size);
      else this.#scalar(next + 4, size, element);
      next += 4 + Math.max(0, size);
    }
  }

  /** Takes the length first, so that neighbouring cells cannot trade bytes. */
  #bytes(at: number, length: number): void {
    this.#word(length);
    if (length <= 0) return;
    const view = this.#view;
    let a = this.#a;
    let b = this.#b;
    const whole = at + (length & ~3);
    let next = at;
    for (; next < whole; next += 4) {
      const word = view.getInt32(next, true);
      let k = Math.imul(word, 0xcc9e2d51);
      a ^= Math.imul((k << 15) | (k >>> 17), 0x1b873593);
      a = (((a << 13) | (a >>> 19)) + b) | 0;
      a = (Math.imul(a, 5) + 0xe6546b64) | 0;
      k = Math.imul(word, 0x239b961b);
      b ^= Math.imul((k << 16) | (k >>> 16), 0xab0e9789);
      b = (((b << 17) | (b >>> 15)) + a) | 0;
      b = (Math.imul(b, 5) + 0x38b34ae5) | 0;
    }
    this.#a = a;
    this.#b = b;
    if (next === at + length) return;
    let rest = 0;
    for (; next < at + length; next += 1) rest = (rest << 8) | view.getUint8(next);
    this.#word(rest);
  }

  #word(word: number): void {
    let k = Math.imul(word, 0xcc9e2d51);
    let a = this.#a ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593);
    a = (((a << 13) | (a >>> 19)) + this.#b) | 0;
    this.#a = (Math.imul(a, 5) + 0xe6546b64) | 0;
    k = Math.imul(word, 0x239b961b);
    let b = this.#b ^ Math.imul((k << 16) | (k >>> 16), 0xab0e9789);
    b = (((b << 17) | (b >>> 15)) + this.#a) | 0;
    this.#b = (Math.imul(b, 5) + 0x38b34ae5) | 0;
  }
}

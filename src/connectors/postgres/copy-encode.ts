/**
 * Rows of batches as CopyData frames in COPY BINARY (PostgreSQL documentation, COPY, "Binary Format"). One pass
 * over the cells, into buffers that hold many rows: no object and no Buffer per row or cell.
 */
import type { RowBatch } from '../../core/row-batch.ts';
import { NULL_CELL } from '../../core/value.ts';

/** How a cell's bytes become the column's binary form. */
export const FORM_VERBATIM = 0;
/** jsonb: its version byte goes before the text. */
export const FORM_JSONB = 1;
/** Array: the element type id in the header is replaced, type ids differ between servers. */
export const FORM_ARRAY = 2;

export interface EncodeColumn {
  /** Index into the batch's columns. */
  readonly column: number;
  readonly form: typeof FORM_VERBATIM | typeof FORM_JSONB | typeof FORM_ARRAY;
  /** For FORM_ARRAY. */
  readonly elementOid: number;
}

/** Fields after the columns that are no cells; must write its fields whole, each with its length word. */
export interface RowTail {
  readonly fields: number;
  /** Upper bound of the bytes for a row. */
  maxBytes(batch: RowBatch, row: number): number;
  /** Returns the position after what it wrote. */
  write(out: Buffer, at: number, batch: RowBatch, row: number): number;
}

export interface EncodeLayout {
  readonly columns: readonly EncodeColumn[];
  /** Two int4 fields before the columns: the row's number and its group. */
  readonly numbered: boolean;
  readonly tail: RowTail | null;
}

/** Which rows of a batch; with `numbered`, `numbers[i]` and `groups[i]` belong to `rows[i]`. */
export interface RowPick {
  readonly batch: RowBatch;
  readonly rows: Int32Array;
  readonly numbers: Int32Array | null;
  readonly groups: Int32Array | null;
}

const CHUNK_BYTES = 256 * 1024;
const FRAME_HEAD = 5;
const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
/** Below this a byte loop beats the call into the copy routine. */
const LOOP_BYTES = 32;

export const COPY_TRAILER: Buffer = Buffer.from([0x64, 0, 0, 0, 6, 0xff, 0xff]);

interface CopySink {
  write(frames: Uint8Array): Promise<void>;
}

function writeInt32(out: Buffer, at: number, value: number): number {
  out[at] = value >>> 24;
  out[at + 1] = (value >>> 16) & 255;
  out[at + 2] = (value >>> 8) & 255;
  out[at + 3] = value & 255;
  return at + 4;
}

/** Encodes picks of rows, which may come from several batches under one layout, into one COPY. */
export class CopyEncoder {
  readonly #sink: CopySink;
  readonly #layout: EncodeLayout;
  readonly #sources: Int32Array;
  readonly #forms: Uint8Array;
  readonly #elements: Int32Array;
  readonly #fields: number;
  readonly #fixedBytes: number;
  #out: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Filled while the other buffer is sent. */
  #spare: Buffer | null = null;
  #sent: Promise<void> = Promise.resolve();
  #at = FRAME_HEAD;
  #bytes = 0;

  constructor(sink: CopySink, layout: EncodeLayout) {
    this.#sink = sink;
    this.#layout = layout;
    const { columns, numbered, tail } = layout;
    this.#sources = Int32Array.from(columns, (column) => column.column * 2);
    this.#forms = Uint8Array.from(columns, (column) => column.form);
    this.#elements = Int32Array.from(columns, (column) => column.elementOid);
    this.#fields = columns.length + (numbered ? 2 : 0) + (tail?.fields ?? 0);
    // Field count, numbers, a length word and possibly a version byte per column.
    this.#fixedBytes = 2 + (numbered ? 16 : 0) + columns.length * 5;
    SIGNATURE.copy(this.#out, this.#at);
    this.#at += SIGNATURE.length;
  }

  /** Bytes of values taken so far. */
  get bytes(): number {
    return this.#bytes;
  }

  async add(pick: RowPick): Promise<void> {
    let next = 0;
    while (next < pick.rows.length) {
      next = this.#fill(pick, next);
      if (next < pick.rows.length) await this.#flush();
    }
  }

  /** Sends what is left and the trailer; the COPY itself is ended by its owner. */
  async finish(): Promise<void> {
    if (this.#at > FRAME_HEAD) await this.#flush();
    await this.#sent;
    await this.#sink.write(COPY_TRAILER);
  }

  async #flush(): Promise<void> {
    const out = this.#out;
    const end = this.#at;
    out[0] = 0x64;
    writeInt32(out, 1, end - 1);
    await this.#sent;
    this.#sent = this.#sink.write(out.subarray(0, end));
    // Thrown where it is awaited next.
    this.#sent.catch(() => {});
    this.#out = this.#spare ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    // One that was made for a large row is not kept.
    this.#spare = out.length === CHUNK_BYTES ? out : null;
    this.#at = FRAME_HEAD;
  }

  /** Encodes rows until the buffer is full; returns the first that did not fit. */
  #fill(pick: RowPick, from: number): number {
    const { batch, rows } = pick;
    const { cells } = batch;
    const { tail } = this.#layout;
    const stride = batch.schema.columns.length * 2;
    const sources = this.#sources;
    for (let index = from; index < rows.length; index++) {
      const row = rows[index] ?? 0;
      const base = row * stride;
      let values = 0;
      for (let field = 0; field < sources.length; field++) {
        const length = cells[base + (sources[field] ?? 0) + 1] ?? NULL_CELL;
        if (length > 0) values += length;
      }
      const most = this.#fixedBytes + values + (tail === null ? 0 : tail.maxBytes(batch, row));
      if (this.#at + most > this.#out.length && !this.#makeRoom(most)) return index;
      this.#bytes += values;
      this.#row(pick, index, base);
      if (tail !== null) this.#at = tail.write(this.#out, this.#at, batch, row);
    }
    return rows.length;
  }

  /** A row larger than the buffer gets a buffer of its own; false if the full buffer is to be sent first. */
  #makeRoom(most: number): boolean {
    if (this.#at > FRAME_HEAD + SIGNATURE.length) return false;
    const larger = Buffer.allocUnsafeSlow(this.#at + most);
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
    return true;
  }

  #row(pick: RowPick, index: number, base: number): void {
    const out = this.#out;
    const { cells, slab } = pick.batch;
    let at = this.#at;
    out[at++] = this.#fields >>> 8;
    out[at++] = this.#fields & 255;
    if (this.#layout.numbered) {
      at = writeInt32(out, at, 4);
      at = writeInt32(out, at, pick.numbers?.[index] ?? 0);
      at = writeInt32(out, at, 4);
      at = writeInt32(out, at, pick.groups?.[index] ?? 0);
    }
    const sources = this.#sources;
    const forms = this.#forms;
    for (let field = 0; field < sources.length; field++) {
      const word = base + (sources[field] ?? 0);
      const length = cells[word + 1] ?? NULL_CELL;
      if (length < 0) {
        out[at] = 255;
        out[at + 1] = 255;
        out[at + 2] = 255;
        out[at + 3] = 255;
        at += 4;
        continue;
      }
      const offset = cells[word] ?? 0;
      const form = forms[field] ?? FORM_VERBATIM;
      if (form === FORM_JSONB) {
        at = writeInt32(out, at, length + 1);
        out[at++] = 1;
      } else at = writeInt32(out, at, length);
      if (length < LOOP_BYTES) {
        for (let byte = 0; byte < length; byte++) out[at + byte] = slab[offset + byte] ?? 0;
      } else slab.copy(out, at, offset, offset + length);
      if (form === FORM_ARRAY && length >= 12) writeInt32(out, at + 8, this.#elements[field] ?? 0);
      at += length;
    }
    this.#at = at;
  }
}

/** All rows of a batch. */
export function allRows(batch: RowBatch): RowPick {
  const rows = new Int32Array(batch.rowCount);
  for (let row = 0; row < rows.length; row++) rows[row] = row;
  return { batch, rows, numbers: null, groups: null };
}

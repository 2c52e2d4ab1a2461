/** Rows of a query as cells, packed into slabs that the main thread hands in. */
import duckdb, { type DataChunk } from '@duckdb/node-bindings';
import { NULL_CELL } from '../../core/value.ts';
import { ByteSink } from './byte-sink.ts';
import { type CellReader, openReader, type ReaderRequest } from './cell-reader.ts';

export type CursorAnswer =
  | { readonly kind: 'rows'; readonly rowCount: number; readonly cells: Int32Array }
  /** A row needs a slab of at least so many bytes. */
  | { readonly kind: 'larger'; readonly bytes: number }
  | { readonly kind: 'end' };

const MAX_ROWS = 16_384;
const EMPTY = new Int32Array(0);

export class RowCursor implements AsyncDisposable {
  readonly #chunks: AsyncGenerator<DataChunk>;
  readonly #readers: readonly CellReader[];
  readonly #release: () => void;
  /** Long strings are read where they lie in it: it must live for as long as its rows are encoded. */
  #chunk: DataChunk | null = null;
  /** Rows of the chunk under way, one after the other. */
  readonly #bytes = new ByteSink(256 * 1024);
  #cells = EMPTY;
  #ends = new Int32Array(2048);
  #rows = 0;
  #next = 0;

  constructor(
    chunks: AsyncGenerator<DataChunk>,
    columns: readonly ReaderRequest[],
    release: () => void,
  ) {
    this.#chunks = chunks;
    this.#readers = columns.map(openReader);
    this.#release = release;
  }

  async fill(slab: Buffer): Promise<CursorAnswer> {
    const parts: Int32Array[] = [];
    let rowCount = 0;
    let used = 0;
    while (rowCount < MAX_ROWS) {
      if (this.#next === this.#rows && !(await this.#load())) break;
      const start = this.#next === 0 ? 0 : (this.#ends[this.#next - 1] ?? 0);
      const last = this.#fitting(start, slab.length - used);
      if (last === this.#next) {
        if (rowCount > 0) break;
        return { kind: 'larger', bytes: (this.#ends[last] ?? 0) - start };
      }
      const end = this.#ends[last - 1] ?? 0;
      slab.set(this.#bytes.buffer.subarray(start, end), used);
      parts.push(this.#shifted(this.#next, last, used - start));
      rowCount += last - this.#next;
      used += end - start;
      this.#next = last;
    }
    return rowCount === 0 ? { kind: 'end' } : { kind: 'rows', rowCount, cells: concat(parts) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chunks.return(undefined);
    this.#release();
  }

  /** First row, from the next one on, that does not fit. */
  #fitting(start: number, room: number): number {
    let row = this.#next;
    while (row < this.#rows && (this.#ends[row] ?? 0) - start <= room) row += 1;
    return row;
  }

  #shifted(from: number, to: number, by: number): Int32Array {
    const stride = this.#readers.length * 2;
    const cells = this.#cells.slice(from * stride, to * stride);
    for (let word = 0; word < cells.length; word += 2) cells[word] = (cells[word] ?? 0) + by;
    return cells;
  }

  async #load(): Promise<boolean> {
    const { value: chunk, done } = await this.#chunks.next();
    this.#next = 0;
    this.#rows = 0;
    this.#chunk = done === true ? null : chunk;
    if (this.#chunk === null) return false;
    const count = duckdb.data_chunk_get_size(chunk);
    for (const [index, reader] of this.#readers.entries()) {
      reader.load(duckdb.data_chunk_get_vector(chunk, index), count);
    }
    this.#encode(count);
    return true;
  }

  #encode(count: number): void {
    const stride = this.#readers.length * 2;
    if (this.#cells.length < count * stride) this.#cells = new Int32Array(count * stride);
    if (this.#ends.length < count) this.#ends = new Int32Array(count);
    this.#bytes.clear();
    for (let row = 0; row < count; row += 1) {
      let word = row * stride;
      for (const reader of this.#readers) {
        const at = this.#bytes.length;
        const isNull = reader.isNull(row);
        if (!isNull) reader.emit(row, this.#bytes);
        this.#cells[word] = at;
        this.#cells[word + 1] = isNull ? NULL_CELL : this.#bytes.length - at;
        word += 2;
      }
      this.#ends[row] = this.#bytes.length;
    }
    this.#rows = count;
  }
}

function concat(parts: readonly Int32Array[]): Int32Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const cells = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    cells.set(part, at);
    at += part.length;
  }
  return cells;
}

/** Rows under way to the destination: cells as text in slabs of the pool. */
import type { FoldedPart } from '../../core/folded-rows.ts';
import { type RowBatch, RowBatchBuilder } from '../../core/row-batch.ts';
import { SLAB_BYTES, type SlabPool } from '../../core/slab.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { ABSENT_CELL, NULL_CELL } from '../../core/value.ts';
import type { LaneCell, SourceRow } from './render.ts';

/** A batch goes to a worker or a stage as one. */
const MAX_ROWS = 16_384;
const EMPTY = Buffer.alloc(0);

interface Part {
  readonly slab: Buffer;
  readonly builder: RowBatchBuilder;
  readonly actions: number[];
  used: number;
}

export class LaneRows {
  readonly #slabs: SlabPool;
  readonly #schema: StreamSchema;
  #parts: Part[] = [];

  constructor(slabs: SlabPool, schema: StreamSchema) {
    this.#slabs = slabs;
    this.#schema = schema;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  add(
    source: SourceRow,
    cells: readonly LaneCell[],
    how: { readonly op: number; readonly action: number },
  ): void {
    const { batch, row } = source;
    const bytes = cells.reduce<number>((sum, cell) => sum + cellBytes(source, cell), 0);
    const part = this.#room(bytes);
    const word = part.builder.beginRow(
      how.op,
      batch.transactions[row] ?? 0,
      batch.events[row] ?? 0,
    );
    for (const [column, cell] of cells.entries())
      writeCell(part, { source, cell, word: word + column * 2 });
    part.actions.push(how.action);
  }

  parts(): readonly FoldedPart[] {
    return this.#parts.map(({ builder, actions }) => ({
      batch: builder.finish(),
      actions: Uint8Array.from(actions),
    }));
  }

  batches(): readonly RowBatch[] {
    return this.#parts.map(({ builder }) => builder.finish());
  }

  /** A batch without a row. */
  empty(): RowBatch {
    return this.#builder(EMPTY).finish();
  }

  /** Forgets the rows; their slabs go back. */
  clear(): void {
    const parts = this.#parts;
    this.#parts = [];
    for (const { slab } of parts) this.#slabs.give(slab);
  }

  #room(bytes: number): Part {
    const last = this.#parts.at(-1);
    const fits =
      last !== undefined &&
      last.builder.rowCount < MAX_ROWS &&
      last.used + bytes <= last.slab.length;
    if (fits) return last;
    const slab = this.#slabs.take(Math.max(SLAB_BYTES, bytes));
    const part = { slab, builder: this.#builder(slab), actions: [], used: 0 };
    this.#parts.push(part);
    return part;
  }

  #builder(slab: Buffer): RowBatchBuilder {
    const encodings = this.#schema.columns.map(() => 'text' as const);
    return new RowBatchBuilder(this.#schema, encodings, slab);
  }
}

function sourceLength({ batch, row }: SourceRow, column: number): number {
  const word = (row * batch.schema.columns.length + column) * 2;
  return batch.cells[word + 1] ?? ABSENT_CELL;
}

function cellBytes(source: SourceRow, cell: LaneCell): number {
  if (typeof cell === 'string') return Buffer.byteLength(cell);
  return typeof cell === 'number' ? Math.max(0, sourceLength(source, cell)) : 0;
}

function writeCell(
  part: Part,
  { source, cell, word }: { source: SourceRow; cell: LaneCell; word: number },
): void {
  const { cells } = part.builder;
  if (cell === undefined) return;
  cells[word] = part.used;
  if (cell === null) cells[word + 1] = NULL_CELL;
  else if (typeof cell === 'string') {
    const length = part.slab.write(cell, part.used);
    cells[word + 1] = length;
    part.used += length;
  } else {
    const length = sourceLength(source, cell);
    cells[word + 1] = length;
    if (length <= 0) return;
    const at =
      source.batch.cells[(source.row * source.batch.schema.columns.length + cell) * 2] ?? 0;
    part.used += source.batch.slab.copy(part.slab, part.used, at, at + length);
  }
}

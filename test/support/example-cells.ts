// Cells of the example connector of docs/connectors/writing-one.md: three types, both encodings.
import { ForebayError } from '../../src/core/errors.ts';
import { OP_READ, type RowBatch, RowBatchBuilder, rowStride } from '../../src/core/row-batch.ts';
import { SLAB_BYTES, type SlabPool } from '../../src/core/slab.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import {
  type CellEncoding,
  type LogicalType,
  NULL_CELL,
  UNCHANGED_CELL,
} from '../../src/core/value.ts';

/** Types that this connector can carry; everything else is refused by name, never cut to fit. */
export function isSupported(type: LogicalType): boolean {
  return (
    type.kind === 'text' || type.kind === 'boolean' || (type.kind === 'int' && type.bits === 64)
  );
}

function unsupported(type: LogicalType): ForebayError {
  return new ForebayError('destination_incompatible', {
    message: `type ${type.kind} is not supported`,
  });
}

/** A value, given as its text, in the encoding that was asked for. */
export function encodeCell(type: LogicalType, encoding: CellEncoding, text: string): Buffer {
  if (encoding === 'text') return Buffer.from(text);
  switch (type.kind) {
    case 'text':
      return Buffer.from(text);
    case 'boolean':
      return Buffer.of(text === 't' ? 1 : 0);
    case 'int': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigInt64BE(BigInt(text));
      return bytes;
    }
    default:
      throw unsupported(type);
  }
}

/** The cell's text, null for NULL, undefined where the source sent no value (unchanged or absent). */
export function cellText(batch: RowBatch, row: number, column: number): string | null | undefined {
  const word = row * rowStride(batch) + column * 2;
  const at = batch.cells[word] ?? 0;
  const length = batch.cells[word + 1] ?? NULL_CELL;
  if (length === NULL_CELL) return null;
  if (length < 0) return undefined;
  const type = batch.schema.columns[column]?.type ?? { kind: 'other' };
  if (batch.encodings[column] === 'text' || type.kind === 'text') {
    return batch.slab.toString('utf8', at, at + length);
  }
  if (type.kind === 'boolean') return batch.slab[at] === 1 ? 't' : 'f';
  if (type.kind === 'int') return batch.slab.readBigInt64BE(at).toString();
  throw unsupported(type);
}

export function isUnchanged(batch: RowBatch, row: number, column: number): boolean {
  return batch.cells[row * rowStride(batch) + column * 2 + 1] === UNCHANGED_CELL;
}

/** The cells of one row: bytes, or null for NULL, or undefined for a cell that is not sent. */
export type RowCells = readonly (Buffer | null | undefined)[];

export function cellBytes(cells: RowCells): number {
  return cells.reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
}

/** Copies the values into the builder's slab from `end` on and points the row's words at them. */
export function putRow(
  builder: RowBatchBuilder,
  base: number,
  cells: RowCells,
  end: number,
): number {
  let at = end;
  for (const [column, cell] of cells.entries()) {
    if (cell === undefined) continue;
    builder.cells[base + column * 2] = at;
    builder.cells[base + column * 2 + 1] = cell === null ? NULL_CELL : cell.length;
    if (cell !== null) at += cell.copy(builder.slab, at);
  }
  return at;
}

/** Rows as OP_READ, each batch in a slab of its own that the caller gives back. */
export async function* readBatches(
  rows: Iterable<RowCells> | AsyncIterable<RowCells>,
  shape: { readonly schema: StreamSchema; readonly encodings: readonly CellEncoding[] },
  slabs: SlabPool,
): AsyncGenerator<RowBatch, void> {
  const open = (bytes: number): RowBatchBuilder =>
    new RowBatchBuilder(shape.schema, shape.encodings, slabs.take(Math.max(SLAB_BYTES, bytes)));
  let builder: RowBatchBuilder | null = null;
  let end = 0;
  try {
    for await (const cells of rows) {
      const bytes = cellBytes(cells);
      if (builder !== null && end + bytes > builder.slab.length) {
        const full = builder.finish();
        builder = null;
        yield full;
      }
      if (builder === null) {
        builder = open(bytes);
        end = 0;
      }
      end = putRow(builder, builder.beginRow(OP_READ, 0, 0), cells, end);
    }
    if (builder === null) return;
    const last = builder.finish();
    builder = null;
    yield last;
  } finally {
    // A batch that was handed over is the caller's; one under way is ours.
    if (builder !== null) slabs.give(builder.slab);
  }
}

/** Text that may be no UTF-8. DuckDB stores the bytes of a string as they are, and fails when they are read. */
import { isUtf8 } from 'node:buffer';
import { type RowBatch, rowStride } from '../../core/row-batch.ts';
import { type CellEncoding, type LogicalType, NULL_CELL } from '../../core/value.ts';
import type { CellStore } from './fixed-store.ts';
import { FrontStore } from './front-store.ts';
import type { CellBytes } from './value-text.ts';

/** Whether all text in a cell is UTF-8. */
function holdsUtf8(type: LogicalType, encoding: CellEncoding, cell: CellBytes): boolean {
  if (encoding === 'binary' && type.kind === 'array') return elementsHoldUtf8(type.element, cell);
  const isText = type.kind === 'text' || type.kind === 'json' || type.kind === 'other';
  if (encoding === 'binary' && !isText) return true;
  return isUtf8(cell.bytes.subarray(cell.offset, cell.offset + cell.length));
}

function elementsHoldUtf8(type: LogicalType, { bytes, offset, length }: CellBytes): boolean {
  const dimensions = bytes.readInt32BE(offset);
  const end = offset + length;
  for (let at = offset + 12 + dimensions * 8; at < end;) {
    const size = Math.max(bytes.readInt32BE(at), 0);
    at += 4;
    if (!holdsUtf8(type, 'binary', { bytes, offset: at, length: size })) return false;
    at += size;
  }
  return true;
}

/** Whether all text of a row is UTF-8. */
export function rowHoldsUtf8(batch: RowBatch, row: number): boolean {
  if (batch.schema.rawText !== true) return true;
  return batch.schema.columns.every((_, column) => cellHoldsUtf8(batch, row, column));
}

export function cellHoldsUtf8(batch: RowBatch, row: number, column: number): boolean {
  const word = row * rowStride(batch) + column * 2;
  const offset = batch.cells[word] ?? 0;
  const length = batch.cells[word + 1] ?? NULL_CELL;
  const type = batch.schema.columns[column]?.type;
  if (length < 0 || type === undefined || batch.schema.rawText !== true) return true;
  const encoding = batch.encodings[column] ?? 'text';
  return holdsUtf8(type, encoding, { bytes: batch.slab, offset, length });
}

/** Refuses cells whose text is no UTF-8. Stands only before columns of streams with `rawText`. */
export function checkedStore(
  type: LogicalType,
  encoding: CellEncoding,
  inner: CellStore,
): CellStore {
  return new FrontStore(inner, (first, run, refused) => {
    const { bytes, offsets, lengths, count } = run;
    const broken: number[] = [];
    for (let cell = 0; cell < count; cell += 1) {
      const length = lengths[cell] ?? NULL_CELL;
      if (length < 0) continue;
      const place = { bytes, offset: offsets[cell] ?? 0, length };
      if (!holdsUtf8(type, encoding, place)) broken.push(cell);
    }
    const unfit: number[] = [];
    inner.put(first, run, unfit);
    refused.push(...new Set([...broken, ...unfit]));
  });
}

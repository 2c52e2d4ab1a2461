import { expect, test } from 'vitest';

import { streamSchema } from '../../test/support/batches.ts';
import type { RowBatch } from '../core/row-batch.ts';
import { KeyTable } from './key-table.ts';

const schema = streamSchema({ id: { kind: 'int', bits: 32 } });

/** One key per row, every one of another value. */
function distinctKeys(rows: number): RowBatch {
  const slab = Buffer.alloc(rows * 4);
  const cells = new Int32Array(rows * 2);
  for (let row = 0; row < rows; row += 1) {
    slab.writeUInt32BE(Math.imul(row, 2_654_435_761) >>> 0, row * 4);
    cells[row * 2] = row * 4;
    cells[row * 2 + 1] = 4;
  }
  const none = new Int32Array(rows);
  return {
    schema,
    encodings: ['binary'],
    slab,
    rowCount: rows,
    cells,
    ops: new Uint8Array(rows),
    transactions: none,
    events: none,
  };
}

// So many that some share all 32 bits of their hash.
test('a slot per key, whatever its hash, and the same one again', () => {
  const rows = 300_000;
  const batch = distinctKeys(rows);
  const table = new KeyTable();
  const taken: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    const slot = table.find(batch, row);
    if (table.entry(slot).part !== -1) taken.push(row);
    table.set(slot, 7, row);
  }
  expect(taken).toEqual([]);
  const wrong: number[] = [];
  for (let row = 0; row < rows; row += 1) {
    const { part, row: found } = table.entry(table.find(batch, row));
    if (part !== 7 || found !== row) wrong.push(row);
  }
  expect(wrong).toEqual([]);
}, 30_000);

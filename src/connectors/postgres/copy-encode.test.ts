import { expect, test } from 'vitest';

import { type RowBatch, RowBatchBuilder } from '../../core/row-batch.ts';
import { allocateSlab } from '../../core/slab.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import {
  allRows,
  CopyEncoder,
  type EncodeLayout,
  FORM_ARRAY,
  FORM_JSONB,
  FORM_VERBATIM,
} from './copy-encode.ts';

const HEADER = '5047434f50590aff0d0a00' + '00000000' + '00000000';

function schemaOf(columns: number): StreamSchema {
  return {
    stream: { namespace: 'public', name: 't' },
    ref: '1',
    version: 1,
    columns: Array.from({ length: columns }, (_, index) => ({
      name: `c${index}`,
      type: { kind: 'text' },
      nativeType: 'text',
      nullable: true,
      ref: String(index),
    })),
    computed: [],
    identity: 'none',
    key: [],
    family: 'postgres',
  };
}

/** Cells are bytes; null is NULL, a negative number another mark. */
function batchOf(rows: readonly (readonly (Buffer | null)[])[]): RowBatch {
  const columns = rows[0]?.length ?? 0;
  const bytes = rows.flat().reduce((sum, cell) => sum + (cell?.length ?? 0), 0);
  const slab = allocateSlab(bytes + 1);
  const builder = new RowBatchBuilder(schemaOf(columns), [], slab);
  let at = 0;
  for (const row of rows) {
    let word = builder.beginRow(0, 0, 0);
    for (const cell of row) {
      builder.cells[word] = at;
      builder.cells[word + 1] = cell === null ? -1 : cell.length;
      if (cell !== null) at += cell.copy(slab, at);
      word += 2;
    }
  }
  return builder.finish();
}

async function encode(layout: EncodeLayout, ...batches: RowBatch[]): Promise<Buffer[]> {
  const frames: Buffer[] = [];
  const sink = {
    write: (bytes: Uint8Array) => {
      frames.push(Buffer.from(bytes));
      return Promise.resolve();
    },
  };
  const encoder = new CopyEncoder(sink, layout);
  for (const batch of batches) await encoder.add(allRows(batch));
  await encoder.finish();
  return frames;
}

const plainColumn = (column: number) => ({ column, form: FORM_VERBATIM, elementOid: 0 }) as const;

/** Payloads of whole frames, put together. */
function payload(frames: readonly Buffer[]): string {
  return frames
    .map((frame) => {
      expect(frame[0]).toBe(0x64);
      expect(frame.readUInt32BE(1)).toBe(frame.length - 1);
      return frame.subarray(5).toString('hex');
    })
    .join('');
}

test('writes rows with values, empty values and NULL', async () => {
  const batch = batchOf([
    [Buffer.from('ab'), null],
    [Buffer.alloc(0), Buffer.from([0, 255])],
  ]);
  const layout = { columns: [plainColumn(0), plainColumn(1)], numbered: false, tail: null };
  const rows = '0002' + '000000026162' + 'ffffffff' + '0002' + '00000000' + '0000000200ff';
  expect(payload(await encode(layout, batch))).toBe(`${HEADER}${rows}ffff`);
});

test('adds the version byte of jsonb and replaces the element type of arrays', async () => {
  const array = Buffer.from('000000010000000000000017000000010000000100000004' + '00000005', 'hex');
  const batch = batchOf([[Buffer.from('{}'), array, Buffer.from('left out')]]);
  const layout: EncodeLayout = {
    columns: [
      { column: 1, form: FORM_ARRAY, elementOid: 0x01020304 },
      { column: 0, form: FORM_JSONB, elementOid: 0 },
    ],
    numbered: false,
    tail: null,
  };
  const row =
    '0002' +
    '0000001c' +
    '000000010000000001020304000000010000000100000004' +
    '00000005' +
    '00000003017b7d';
  expect(payload(await encode(layout, batch))).toBe(`${HEADER}${row}ffff`);
});

test('puts row number and group first and the tail last', async () => {
  const batch = batchOf([[Buffer.from('x')], [Buffer.from('y')]]);
  const tail = {
    fields: 1,
    maxBytes: () => 5,
    write: (out: Buffer, at: number, _batch: RowBatch, row: number) => {
      out.writeInt32BE(1, at);
      return out.writeUInt8(0x30 + row, at + 4);
    },
  };
  const frames: Buffer[] = [];
  const sink = {
    write: (bytes: Uint8Array) => Promise.resolve(void frames.push(Buffer.from(bytes))),
  };
  const encoder = new CopyEncoder(sink, { columns: [plainColumn(0)], numbered: true, tail });
  const pick = {
    batch,
    rows: Int32Array.of(1),
    numbers: Int32Array.of(7),
    groups: Int32Array.of(-1),
  };
  await encoder.add(pick);
  await encoder.finish();
  const row = '0004' + '0000000400000007' + '00000004ffffffff' + '0000000179' + '0000000131';
  expect(payload(frames)).toBe(`${HEADER}${row}ffff`);
});

test('rows of any size come out whole, many to a frame', async () => {
  const sizes = [0, 1, 31, 32, 33, 1000, 262_000, 262_144, 600_000, 5];
  const rows = Array.from({ length: 3000 }, (_, index) => [
    Buffer.alloc(index < sizes.length ? (sizes[index] ?? 0) : index % 300, index & 255),
  ]);
  const layout = { columns: [plainColumn(0)], numbered: false, tail: null };
  const frames = await encode(layout, batchOf(rows));
  const expected = rows.map(([cell = Buffer.alloc(0)]) => {
    const head = Buffer.alloc(6);
    head.writeInt16BE(1, 0);
    head.writeInt32BE(cell.length, 2);
    return head.toString('hex') + cell.toString('hex');
  });
  expect(payload(frames)).toBe(`${HEADER}${expected.join('')}ffff`);
  expect(frames.length).toBeLessThan(12);
});

test('no row at all is a valid COPY', async () => {
  const frames = await encode({ columns: [], numbered: false, tail: null });
  expect(payload(frames)).toBe(`${HEADER}ffff`);
});

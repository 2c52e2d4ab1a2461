import { describe, expect, it } from 'vitest';
import { type RowBatch } from '../../src/core/row-batch.ts';
import type { CellEncoding, LogicalType } from '../../src/core/value.ts';
import {
  batchTexts,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
} from '../support/batches.ts';
import { applyRows, chunkOf, duckdbFixture, insertedRows } from '../support/duckdb-fixture.ts';

const INT: LogicalType = { kind: 'int', bits: 32 };
const array = (element: LogicalType, dimensions = 1): LogicalType => ({
  kind: 'array',
  element,
  dimensions,
});

/** Values as PostgreSQL prints them, ends of ranges included. */
const EVERYTHING: readonly (readonly [string, LogicalType, readonly string[]])[] = [
  ['boolean', { kind: 'boolean' }, ['t', 'f']],
  ['int16', { kind: 'int', bits: 16 }, ['-32768', '32767', '-1', '0']],
  ['int32', INT, ['-2147483648', '2147483647', '-1']],
  ['int64', { kind: 'int', bits: 64 }, ['-9223372036854775808', '9223372036854775807', '-1']],
  [
    'float32',
    { kind: 'float', bits: 32 },
    ['0.1', '1e+20', 'NaN', 'Infinity', '-0', '1.1754944e-38'],
  ],
  [
    'float64',
    { kind: 'float', bits: 64 },
    ['0.1', '1e+300', '-Infinity', '123456.789', '5e-324', '1e+15'],
  ],
  ['decimal4', { kind: 'decimal', precision: 4, scale: 2 }, ['-99.99', '0.00', '0.01']],
  ['decimal9', { kind: 'decimal', precision: 9, scale: 0 }, ['999999999', '-10000', '10001']],
  [
    'decimal18',
    { kind: 'decimal', precision: 18, scale: 6 },
    ['-999999999999.999999', '0.000001', '10000.000000'],
  ],
  [
    'decimal38',
    { kind: 'decimal', precision: 38, scale: 10 },
    ['-9999999999999999999999999999.9999999999', '0.0000000001'],
  ],
  ['decimal_small', { kind: 'decimal', precision: 2, scale: 5 }, ['0.00099', '-0.00001']],
  ['decimal_round', { kind: 'decimal', precision: 5, scale: -3 }, ['99999000', '-1000', '0']],
  [
    'decimal_any',
    { kind: 'decimal', precision: null, scale: null },
    ['1.50', 'NaN', '-12345678901234567890123456789012345678901234567890.5'],
  ],
  [
    'text',
    { kind: 'text' },
    [
      '',
      'short',
      'exactly12byt',
      'thirteen byte',
      'ä long string: ☃ 𝄞 and more',
      'x'.repeat(20_000),
    ],
  ],
  ['bytes', { kind: 'bytes' }, ['\\x', '\\x00ff10', `\\x${'00fe'.repeat(50)}`]],
  [
    'date',
    { kind: 'date' },
    ['2000-01-01', '1969-12-31', '4713-01-01 BC', '5874897-12-31', 'infinity', '-infinity'],
  ],
  ['time', { kind: 'time' }, ['00:00:00', '23:59:59.999999', '24:00:00']],
  [
    'timestamp',
    { kind: 'timestamp', zoned: false },
    ['1999-12-31 23:59:59.999999', '4713-01-01 00:00:00 BC', 'infinity', '-infinity'],
  ],
  [
    'timestamptz',
    { kind: 'timestamp', zoned: true },
    ['2024-02-29 12:00:00.5+00', '0044-03-15 00:00:00+00 BC', 'infinity'],
  ],
  [
    'interval',
    { kind: 'interval' },
    ['1 year 2 mons -3 days +04:05:06.7', '-00:00:00.000001', '00:00:00', '100:00:00'],
  ],
  [
    'uuid',
    { kind: 'uuid' },
    [
      '00000000-0000-0000-0000-000000000000',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      '550e8400-e29b-41d4-a716-446655440000',
    ],
  ],
  ['json', { kind: 'json' }, ['{"a": [1, 2.50, null], "b": "ü"}', 'null', '"text"']],
  [
    'ints',
    array(INT),
    [
      '{}',
      '{1,NULL,-3}',
      `{${Array.from({ length: 3000 }, (_, index) => (index % 7 === 0 ? 'NULL' : index)).join(',')}}`,
    ],
  ],
  ['matrix', array(INT, 2), ['{{1,2},{3,NULL}}', '{}', '{{5},{6},{7}}']],
  [
    'texts',
    array({ kind: 'text' }),
    ['{"",NULL,"NULL","a,b","with \\"quotes\\" and \\\\","a longer text than twelve"}'],
  ],
  ['decimals', array({ kind: 'decimal', precision: 10, scale: 2 }), ['{1.50,NULL,-0.01}']],
  ['wides', array({ kind: 'decimal', precision: null, scale: null }), ['{1.500,NaN,NULL}']],
  [
    'stamps',
    array({ kind: 'timestamp', zoned: true }),
    ['{"2024-02-29 12:00:00+00",infinity,NULL}'],
  ],
  ['uuids', array({ kind: 'uuid' }), ['{550e8400-e29b-41d4-a716-446655440000}']],
  ['blobs', array({ kind: 'bytes' }), ['{"\\\\x00ff",NULL}']],
  ['jsons', array({ kind: 'json' }), ['{"{\\"a\\": 1}",NULL}']],
  ['other', { kind: 'other' }, ['192.168.0.1/24', '[1,5)', '']],
  ['others', array({ kind: 'other' }), ['{192.168.0.1/24,NULL}']],
];

const everything = streamSchema({
  id: INT,
  ...Object.fromEntries(EVERYTHING.map(([name, type]) => [name, type])),
});

function everyRow(): (string | null)[][] {
  const rows = Math.max(...EVERYTHING.map(([, , values]) => values.length)) + 1;
  return Array.from({ length: rows }, (_, row) => [
    String(row),
    ...EVERYTHING.map(([, , values]) => values[row] ?? null),
  ]);
}

async function readTexts(batches: AsyncIterable<RowBatch>): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const batch of batches) rows.push(...batchTexts(batch));
  return rows.toSorted((a, b) => Number(a[0]) - Number(b[0]));
}

/** All bytes of a batch's cells, to tell canonical forms from ones that only mean the same. */
function cellBytes(batch: RowBatch): string[] {
  const cells: string[] = [];
  for (let word = 0; word < batch.cells.length; word += 2) {
    const offset = batch.cells[word] ?? 0;
    const length = batch.cells[word + 1] ?? -1;
    cells.push(length < 0 ? 'null' : batch.slab.toString('hex', offset, offset + length));
  }
  return cells;
}

describe('every type', () => {
  it.each<[CellEncoding]>([['binary'], ['text']])(
    'comes back as it went in, sent as %s',
    async (encoding) => {
      await using file = duckdbFixture();
      const target = streamTarget(everything);
      const rows = everyRow();
      const batch = rowBatch(
        everything,
        rows.map((values) => ({ values })),
        encoding,
      );
      const destination = await file.destination();
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const loaded = await session.loadChunk(
        target,
        { id: 'c', merge: false, order: '0' },
        chunkOf(batch),
      );
      expect(loaded).toMatchObject({ applied: rows.length, deadLettered: 0 });
      expect(await readTexts(session.read(target, encodingsOf(everything, 'text')))).toEqual(rows);
      expect(await readTexts(session.read(target, encodingsOf(everything, 'binary')))).toEqual(
        rows,
      );
      const binary = rowBatch(
        everything,
        rows.map((values) => ({ values })),
        'binary',
      );
      for await (const read of session.read(target, encodingsOf(everything, 'binary'))) {
        expect(cellBytes(read)).toEqual(cellBytes(binary));
      }
      expect(file.notices).toEqual([]);
    },
  );

  it('goes through the stage of a merge as well, with the plan naming types and encodings', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(everything);
    const rows = everyRow();
    const destination = await file.destination();
    const plan = await destination.plan(target);
    expect(
      plan.columns.map(({ name, type, encoding }) => [name, type, encoding]),
    ).toMatchSnapshot();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    const batch = rowBatch(
      everything,
      rows.map((values) => ({ values })),
    );
    await applyRows(session, target, '1', insertedRows(batch));
    await applyRows(session, target, '2', insertedRows(batch));
    expect(await readTexts(session.read(target, encodingsOf(everything, 'text')))).toEqual(rows);
  });

  it('is the same for DuckDB itself', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(everything);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const batch = rowBatch(
        everything,
        everyRow().map((values) => ({ values })),
      );
      await session.loadChunk(target, { id: 'c', merge: false, order: '0' }, chunkOf(batch));
    }
    await destination[Symbol.asyncDispose]();
    const [row] = await file.sql(
      `SELECT "int64"::VARCHAR, "decimal18"::VARCHAR, "date"::VARCHAR, "timestamptz"::VARCHAR, "uuid"::VARCHAR,
         "interval"::VARCHAR, "time"::VARCHAR, json_extract_string("json", '$.b'), len("text"), "boolean"
       FROM public.orders WHERE id = 0`,
    );
    expect(row).toEqual([
      '-9223372036854775808',
      '-999999999999.999999',
      '2000-01-01',
      '2024-02-29 12:00:00.5+00',
      '00000000-0000-0000-0000-000000000000',
      '1 year 2 months -3 days 04:05:06.7',
      '00:00:00',
      'ü',
      0,
      true,
    ]);
  });
});

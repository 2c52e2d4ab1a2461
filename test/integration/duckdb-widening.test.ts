import { describe, expect, it } from 'vitest';
import { ACT_PATCH, ACT_REPLACE } from '../../src/core/folded-rows.ts';
import { OP_UPDATE, type RowBatch } from '../../src/core/row-batch.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import type { CellEncoding, LogicalType } from '../../src/core/value.ts';
import {
  batchTexts,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
  UNCHANGED,
} from '../support/batches.ts';
import {
  applyRows,
  chunkOf,
  duckdbFixture,
  insertedRows,
  keyedRows,
} from '../support/duckdb-fixture.ts';

const INT: LogicalType = { kind: 'int', bits: 32 };
const array = (element: LogicalType, dimensions = 1): LogicalType => ({
  kind: 'array',
  element,
  dimensions,
});

async function readTexts(batches: AsyncIterable<RowBatch>): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const batch of batches) rows.push(...batchTexts(batch));
  return rows.toSorted((a, b) => Number(a[0]) - Number(b[0]));
}

const WIDENING: readonly (readonly [string, LogicalType, string, string])[] = [
  ['a decimal that is no number', { kind: 'decimal', precision: 10, scale: 2 }, '1.50', 'NaN'],
  ['a decimal with more digits', { kind: 'decimal', precision: 4, scale: 1 }, '-0.5', '12345.678'],
  [
    'a timestamp after the last',
    { kind: 'timestamp', zoned: false },
    '2024-01-02 03:04:05.06',
    '294276-12-31 23:59:59.999999',
  ],
  [
    'a zoned timestamp after the last',
    { kind: 'timestamp', zoned: true },
    '0044-03-15 00:00:00+00 BC',
    '294276-12-31 23:59:59+00',
  ],
  [
    'an infinite interval',
    { kind: 'interval' },
    '-1 years -2 mons +3 days -04:05:06.000007',
    'infinity',
  ],
  ['an array of more dimensions', array(INT), '{1,NULL,3}', '{{1,2},{3,4}}'],
  ['an array of fewer dimensions', array({ kind: 'text' }, 2), '{{"a b",NULL},{"",c}}', '{x}'],
  [
    'an array with a lower bound',
    array({ kind: 'float', bits: 64 }),
    '{1,0.5,1e+20}',
    '[0:1]={1,2}',
  ],
  [
    'an array with an element that does not fit',
    array({ kind: 'timestamp', zoned: false }),
    '{"2024-01-02 03:04:05"}',
    '{"294276-12-31 23:59:59"}',
  ],
];

describe.each(WIDENING)('%s', (_, type, usual, odd) => {
  const schema: StreamSchema = streamSchema({ id: INT, a: type, b: { kind: 'text' } });

  it.each<[string, CellEncoding]>([
    ['loaded', 'binary'],
    ['loaded as text', 'text'],
    ['applied', 'binary'],
    ['applied as text', 'text'],
  ])('makes the column VARCHAR, %s as %s', async (way, encoding) => {
    await using file = duckdbFixture();
    const target = streamTarget(schema);
    const first = rowBatch(
      schema,
      [{ values: ['1', usual, 'x'] }, { values: ['2', null, 'y'] }],
      encoding,
    );
    const second = rowBatch(
      schema,
      [{ values: ['3', usual, 'z'] }, { values: ['4', odd, null] }],
      encoding,
    );
    const third = rowBatch(
      schema,
      [{ values: ['5', odd, 'v'] }, { values: ['6', usual, 'w'] }],
      'binary',
    );
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const chunk = { id: 'c', merge: false, order: '0' };
      const results = way.startsWith('loaded')
        ? [await session.loadChunk(target, chunk, chunkOf(first, second))]
        : await applyRows(session, target, '1', insertedRows(first), insertedRows(second));
      expect(results.reduce((sum, { applied }) => sum + applied, 0)).toBe(4);
      expect(file.notices).toEqual([
        { event: 'column_widened', fields: { stream: 'public.orders', column: 'a' } },
      ]);
    }
    // A later run finds the column as it is now.
    const plan = await destination.plan(target);
    expect(plan.columns[1]).toEqual({ name: 'a', type: 'VARCHAR', encoding: 'text' });
    await using again = await destination.openSession('p');
    await again.prepare(target);
    await applyRows(again, target, '3', insertedRows(third));
    const expected = [
      ['1', usual, 'x'],
      ['2', null, 'y'],
      ['3', usual, 'z'],
      ['4', odd, null],
      ['5', odd, 'v'],
      ['6', usual, 'w'],
    ];
    expect(await readTexts(again.read(target, encodingsOf(schema, 'text')))).toEqual(expected);
    expect(await readTexts(again.read(target, encodingsOf(schema, 'binary')))).toEqual(expected);
  });
});

describe('widening', () => {
  it('is undone with its transaction', async () => {
    await using file = duckdbFixture();
    const schema = streamSchema({ id: INT, a: { kind: 'decimal', precision: 4, scale: 1 } });
    const target = streamTarget(schema);
    const destination = await file.destination();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    await session.begin();
    await session.write(target, insertedRows(rowBatch(schema, [{ values: ['1', 'NaN'] }])));
    await session.rollback();
    expect((await destination.plan(target)).columns[1]?.type).toBe('DECIMAL(4,1)');
    await applyRows(
      session,
      target,
      '1',
      insertedRows(rowBatch(schema, [{ values: ['1', 'NaN'] }])),
    );
    expect((await destination.plan(target)).columns[1]?.type).toBe('VARCHAR');
  });

  it('happens to key columns and patched columns too', async () => {
    await using file = duckdbFixture();
    const schema = streamSchema({
      k: { kind: 'timestamp', zoned: false },
      a: { kind: 'decimal', precision: 4, scale: 1 },
      b: { kind: 'text' },
    });
    const target = streamTarget(schema);
    const destination = await file.destination();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    const usual = '2024-01-02 03:04:05';
    const odd = '294276-12-31 23:59:59';
    await applyRows(
      session,
      target,
      '1',
      insertedRows(rowBatch(schema, [{ values: [usual, '1.5', 'kept'] }])),
    );
    const batch = rowBatch(schema, [
      { op: OP_UPDATE, values: [usual, 'NaN', UNCHANGED] },
      { op: OP_UPDATE, values: [odd, '2.5', 'new'] },
    ]);
    await applyRows(session, target, '2', keyedRows(batch, [ACT_PATCH, ACT_REPLACE]));
    await applyRows(
      session,
      target,
      '3',
      insertedRows(rowBatch(schema, [{ values: [odd, '3.5', 'newer'] }])),
    );
    expect(await readTexts(session.read(target, encodingsOf(schema, 'text')))).toEqual([
      [usual, 'NaN', 'kept'],
      [odd, '3.5', 'newer'],
    ]);
  });

  it('gives way to dead letters where an index keeps the column as it is', async () => {
    await using file = duckdbFixture();
    await file.sql(
      'CREATE SCHEMA public',
      'CREATE TABLE public.orders (id INTEGER PRIMARY KEY, a DECIMAL(4,1))',
    );
    const schema = streamSchema({ id: INT, a: { kind: 'decimal', precision: 4, scale: 1 } });
    const target = streamTarget(schema);
    const destination = await file.destination();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    const batch = rowBatch(schema, [{ values: ['1', 'NaN'] }, { values: ['2', '2.5'] }]);
    const [result] = await applyRows(session, target, '1', insertedRows(batch));
    expect(result).toMatchObject({ applied: 1, deadLettered: 1 });
    const [letter] = await destination.deadLetters.list(null);
    expect(letter).toMatchObject({ code: 'value_rejected', op: 'r', replayedAt: null });
    const id = letter?.id ?? '';
    expect((await destination.deadLetters.get(id))?.payload).toEqual({ id: '1', a: 'NaN' });
    expect(await destination.deadLetters.replay([id])).toEqual([
      { id, error: 'it was refused again' },
    ]);
    await applyRows(
      session,
      target,
      '2',
      insertedRows(rowBatch(schema, [{ values: ['1', '1.0'] }])),
    );
    expect(await destination.deadLetters.replay([id])).toEqual([
      { id, error: 'a later change of the same key was applied' },
    ]);
    expect(await destination.deadLetters.remove([id])).toBe(1);
  });
});

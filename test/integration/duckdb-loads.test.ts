import { describe, expect, it } from 'vitest';
import { ACT_APPEND, ACT_DELETE, ACT_INSERT, ACT_SKIP } from '../../src/core/folded-rows.ts';
import {
  OP_BEFORE,
  OP_DELETE,
  OP_INSERT,
  OP_TRUNCATE,
  OP_UPDATE,
  type RowBatch,
} from '../../src/core/row-batch.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import {
  batchTexts,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
  UNCHANGED,
} from '../support/batches.ts';
import { applyRows, chunkOf, duckdbFixture, insertedRows } from '../support/duckdb-fixture.ts';

const orders = streamSchema({ id: { kind: 'int', bits: 64 }, name: { kind: 'text' } });
const mark = (order: string) => ({ order, committedAtMicros: 1_700_000_000_123_456n, ref: '1' });
const CHUNK = { id: 'c1', merge: false, order: '000' };

async function texts(batches: AsyncIterable<RowBatch>): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const batch of batches) rows.push(...batchTexts(batch));
  return rows.toSorted((a, b) => Number(a[0]) - Number(b[0]));
}

describe('append', () => {
  it('writes every event as a row of its own, with what happened, where and when', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders, { load: 'append' });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.loadChunk(target, CHUNK, chunkOf(rowBatch(orders, [{ values: ['1', 'a'] }])));
      const batch = rowBatch(orders, [
        { op: OP_INSERT, values: ['2', 'b'], event: 1 },
        { op: OP_BEFORE, values: ['2', undefined], event: 2 },
        { op: OP_UPDATE, values: ['3', UNCHANGED], event: 2 },
        { op: OP_DELETE, values: ['3', undefined], transaction: 1, event: 1 },
        { op: OP_INSERT, values: ['4', 'filtered'], transaction: 1, event: 2 },
        { op: OP_TRUNCATE, values: [undefined, undefined], transaction: 2, event: 7 },
      ]);
      const kept = [ACT_APPEND, ACT_SKIP, ACT_APPEND, ACT_APPEND, ACT_SKIP, ACT_APPEND];
      const actions = Uint8Array.from(kept);
      const transactions = [mark('001'), mark('002'), mark('003')];
      const results = await applyRows(session, target, '1', {
        kind: 'append',
        parts: [{ batch, actions }],
        transactions,
      });
      expect(results.map(({ applied }) => applied)).toEqual([4]);
    }
    await destination[Symbol.asyncDispose]();
    expect(
      await file.sql(
        `SELECT id, name, _forebay_op, _forebay_position, _forebay_unchanged, epoch_us(_forebay_committed_at)
         FROM public.orders ORDER BY _forebay_position`,
      ),
    ).toEqual([
      [1, 'a', 'r', '000/0000000000', null, null],
      [2, 'b', 'i', '001/0000000001', null, 1_700_000_000_123_456],
      [3, null, 'u', '001/0000000002', 'name', 1_700_000_000_123_456],
      [3, null, 'd', '002/0000000001', null, 1_700_000_000_123_456],
      [null, null, 't', '003/0000000007', null, 1_700_000_000_123_456],
    ]);
  });
});

describe('replace', () => {
  it('shows the old table until the new one is whole', async () => {
    await using file = duckdbFixture();
    await file.sql(
      'CREATE SCHEMA public',
      `CREATE TABLE public.orders AS SELECT 'old' AS what`,
      'CREATE VIEW public.names AS SELECT * FROM public.orders',
    );
    const target = streamTarget(orders, { load: 'replace' });
    const destination = await file.destination();
    expect((await destination.plan(target)).findings).toEqual([]);
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.loadChunk(target, CHUNK, chunkOf(rowBatch(orders, [{ values: ['1', 'a'] }])));
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql('SELECT what FROM public.names')).toEqual([['old']]);
    const again = await file.destination();
    {
      await using session = await again.openSession('p');
      await session.prepare(target);
      await session.loadChunk(
        target,
        { ...CHUNK, id: 'c2' },
        chunkOf(rowBatch(orders, [{ values: ['2', 'b'] }])),
      );
      await session.finishSnapshot(target);
      await session.finishSnapshot(target);
      await session.prepare(target);
      await applyRows(
        session,
        target,
        '1',
        insertedRows(rowBatch(orders, [{ values: ['2', 'B'] }])),
      );
    }
    await again[Symbol.asyncDispose]();
    expect(await file.sql('SELECT id, name FROM public.orders ORDER BY id')).toEqual([
      [1, 'a'],
      [2, 'B'],
    ]);
    expect(
      await file.sql(`SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%forebay_new'`),
    ).toEqual([[0]]);
  });

  it('empties the table when the source is empty', async () => {
    await using file = duckdbFixture();
    await file.sql(
      'CREATE SCHEMA public',
      `CREATE TABLE public.orders AS SELECT 1 AS id, 'old' AS name`,
    );
    const target = streamTarget(orders, { load: 'replace' });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.finishSnapshot(target);
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql('SELECT count(*) FROM public.orders')).toEqual([[0]]);
  });
});

describe('streams without a key', () => {
  const schema = streamSchema({ a: { kind: 'int', bits: 32 }, b: { kind: 'text' } }, { key: [] });

  it.each(['hard', 'soft', 'ignore'] as const)(
    'remove one equal row per delete (%s)',
    async (deletes) => {
      await using file = duckdbFixture();
      const target = streamTarget(schema, { deletes });
      const destination = await file.destination();
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const first = rowBatch(schema, [
        { values: ['1', 'x'] },
        { values: ['1', 'x'] },
        { values: ['1', 'x'] },
        { values: ['2', null] },
        { values: ['2', null] },
      ]);
      await session.loadChunk(target, CHUNK, chunkOf(first));
      const second = rowBatch(schema, [
        { op: OP_DELETE, values: ['1', 'x'] },
        { op: OP_DELETE, values: ['1', 'x'] },
        { op: OP_DELETE, values: ['2', null] },
        { op: OP_DELETE, values: ['3', 'none'] },
        { op: OP_INSERT, values: ['4', 'y'] },
      ]);
      const actions = Uint8Array.of(ACT_DELETE, ACT_DELETE, ACT_DELETE, ACT_DELETE, ACT_INSERT);
      await applyRows(session, target, '1', {
        kind: 'multiset',
        parts: [{ batch: second, actions }],
      });
      const left = await texts(session.read(target, ['text', 'text']));
      expect(left.length).toBe(deletes === 'ignore' ? 6 : 3);
      expect(left.at(-1)).toEqual(['4', 'y']);
    },
  );

  it('remove rows that came in the same transaction', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(schema);
    const destination = await file.destination();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    const multiset = (op: number, action: number) => ({
      kind: 'multiset' as const,
      parts: [
        { batch: rowBatch(schema, [{ op, values: ['1', 'x'] }]), actions: Uint8Array.of(action) },
      ],
    });
    const insert = multiset(OP_INSERT, ACT_INSERT);
    await applyRows(session, target, '1', insert, insert, multiset(OP_DELETE, ACT_DELETE));
    expect(await texts(session.read(target, ['text', 'text']))).toEqual([['1', 'x']]);
  });
});

describe('schema changes', () => {
  it('add, widen and rename columns in the transaction of the rows that need them', async () => {
    await using file = duckdbFixture();
    const before = streamSchema({
      id: { kind: 'int', bits: 32 },
      old: { kind: 'text' },
      n: { kind: 'decimal', precision: 4, scale: 2 },
    });
    const after: StreamSchema = streamSchema(
      {
        id: { kind: 'int', bits: 64 },
        fresh: { kind: 'text' },
        n: { kind: 'decimal', precision: null, scale: null },
        added: { kind: 'array', element: { kind: 'int', bits: 32 }, dimensions: 1 },
        empty: { kind: 'boolean' },
      },
      { version: 2 },
    );
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(streamTarget(before));
      await session.begin();
      await session.write(
        streamTarget(before),
        insertedRows(rowBatch(before, [{ values: ['1', 'a', '0.50'] }])),
      );
      await session.evolve(streamTarget(after), [
        { kind: 'widen-column', column: 0 },
        { kind: 'rename-column', from: 'old', column: 1, to: 'passing' },
        { kind: 'rename-column', from: 'passing', column: 1, to: null },
        { kind: 'widen-column', column: 2 },
        { kind: 'add-column', column: 3, existing: '{1,NULL}' },
        { kind: 'add-column', column: 4, existing: null },
      ]);
      const values = ['9000000000', 'b', 'NaN', '{}', 't'];
      await session.write(streamTarget(after), insertedRows(rowBatch(after, [{ values }])));
      await session.commit({ position: '1', source: { system: 's', facts: {} }, accounts: {} }, []);
      expect(await texts(session.read(streamTarget(after), encodingsOf(after, 'text')))).toEqual([
        ['1', 'a', '0.50', '{1,NULL}', null],
        values,
      ]);
    }
  });
});

describe('as a source', () => {
  it('finds tables with keys and reads them by ranges of rows', async () => {
    await using file = duckdbFixture();
    await file.sql(
      `CREATE TABLE wide (a UTINYINT, b UINTEGER, c UBIGINT, d HUGEINT, e ENUM('x', 'y'), f STRUCT(g INTEGER),
         h TIMESTAMP_S, i INTEGER[][], j TINYINT, k TIME, PRIMARY KEY (b, a))`,
      `INSERT INTO wide VALUES (255, 4294967295, 18446744073709551615, -170141183460469231731687303715884105728,
         'y', {'g': 1}, '2024-01-02 03:04:05', [[1, 2], [3, NULL]], -128, '24:00:00')`,
      'CREATE TABLE many AS SELECT range::BIGINT AS id, repeat(range::VARCHAR, 5) AS name FROM range(50000)',
      'DELETE FROM many WHERE id % 10 = 3',
    );
    const source = await file.source();
    expect((await source.check(null, 'snapshot')).map(({ severity }) => severity)).toEqual([
      'ok',
      'ok',
    ]);
    const [many, wide] = await source.discover();
    expect(wide?.schema.key.map((index) => wide.schema.columns[index]?.name)).toEqual(['b', 'a']);
    expect(wide?.schema.columns.map(({ type }) => type)).toMatchSnapshot();
    if (many === undefined || wide === undefined) throw new Error('tables are missing');
    await using snapshot = await source.snapshot?.open({ parallel: 2 });
    if (snapshot === undefined) throw new Error('no snapshot');
    const chunks = await snapshot.chunks(many.schema, { previous: null, targetBytes: 2_000_000 });
    expect(chunks.length).toBeGreaterThan(2);
    const rows = (
      await Promise.all(
        chunks
          .slice(0, 2)
          .map((chunk) =>
            texts(snapshot.read(many.schema, chunk, ['binary', 'text'], { dropped: 'null' })),
          ),
      )
    ).flat();
    for (const chunk of chunks.slice(2)) {
      for (const row of await texts(
        snapshot.read(many.schema, chunk, ['binary', 'text'], { dropped: 'null' }),
      ))
        rows.push(row);
    }
    expect(rows.length).toBe(45_000);
    expect(new Set(rows.map(([id]) => id)).size).toBe(45_000);
    expect(rows.find(([id]) => id === '49999')).toEqual(['49999', '49999'.repeat(5)]);
    const [chunk] = await snapshot.chunks(wide.schema, { previous: null, targetBytes: 1_000_000 });
    if (chunk === undefined) throw new Error('no chunk');
    expect(
      await texts(
        snapshot.read(wide.schema, chunk, encodingsOf(wide.schema, 'binary'), { dropped: 'null' }),
      ),
    ).toEqual([
      [
        '255',
        '4294967295',
        '18446744073709551615',
        '-170141183460469231731687303715884105728',
        'y',
        `{'g': 1}`,
        '2024-01-02 03:04:05',
        '{{1,2},{3,NULL}}',
        '-128',
        '24:00:00',
      ],
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { ACT_INSERT, ACT_REPLACE } from '../../src/core/folded-rows.ts';
import { rowBatch, streamSchema, streamTarget } from '../support/batches.ts';
import {
  applyRows,
  chunkOf,
  duckdbFixture,
  insertedRows,
  keyedRows,
} from '../support/duckdb-fixture.ts';

const orders = streamSchema({
  id: { kind: 'int', bits: 64 },
  name: { kind: 'text' },
  big: { kind: 'text' },
});
const row = (id: number, name: string | null, big: string | null = null) => ({
  values: [String(id), name, big],
});
const ORDERS = 'SELECT id, name, big FROM public.orders ORDER BY id, name';

describe('tables of the user', () => {
  it('keeps columns that the stream does not know, with their values and defaults', async () => {
    await using file = duckdbFixture();
    await file.sql(
      `CREATE SCHEMA public`,
      `CREATE TABLE public.orders (note VARCHAR DEFAULT 'none', id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, big VARCHAR)`,
      `INSERT INTO public.orders VALUES ('mine', 1, 'a', 'b')`,
    );
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.loadChunk(
        target,
        { id: 'c', merge: false, order: '0' },
        chunkOf(rowBatch(orders, [row(5, 'e')])),
      );
      const batch = rowBatch(orders, [row(1, 'A', 'B'), row(2, 'n'), row(3, null)]);
      const [result] = await applyRows(
        session,
        target,
        '1',
        keyedRows(batch, [ACT_REPLACE, ACT_INSERT, ACT_INSERT]),
      );
      expect(result).toMatchObject({ applied: 2, deadLettered: 1 });
    }
    const [letter] = await destination.deadLetters.list('p');
    expect(letter).toMatchObject({ code: 'constraint_violated', stream: 'public.orders' });
    await destination[Symbol.asyncDispose]();
    expect(await file.sql('SELECT note, id, name, big FROM public.orders ORDER BY id')).toEqual([
      ['mine', 1, 'A', 'B'],
      ['none', 2, 'n', null],
      ['none', 5, 'e', null],
    ]);
  });

  it('fails with a code and writes nothing when a foreign key refuses a row', async () => {
    await using file = duckdbFixture();
    await file.sql(
      `CREATE SCHEMA public`,
      `CREATE TABLE public.names (name VARCHAR PRIMARY KEY)`,
      `INSERT INTO public.names VALUES ('good')`,
      `CREATE TABLE public.orders (id BIGINT, name VARCHAR REFERENCES public.names, big VARCHAR)`,
    );
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.begin();
      const batch = rowBatch(orders, [row(1, 'good'), row(2, 'bad')]);
      await expect(session.write(target, insertedRows(batch))).rejects.toMatchObject({
        code: 'constraint_violated',
        stream: 'public.orders',
      });
      await session.rollback();
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([]);
  });

  it.each([
    ['a missing column', 'CREATE TABLE public.orders (id BIGINT, name VARCHAR)'],
    ['a narrower type', 'CREATE TABLE public.orders (id INTEGER, name VARCHAR, big VARCHAR)'],
    [
      'a column that must be filled',
      'CREATE TABLE public.orders (id BIGINT, name VARCHAR, big VARCHAR, x INT NOT NULL)',
    ],
    ['a view', 'CREATE VIEW public.orders AS SELECT 1::BIGINT AS id, NULL AS name, NULL AS big'],
  ])('refuses a table with %s', async (_, create) => {
    await using file = duckdbFixture();
    await file.sql('CREATE SCHEMA public', create);
    const target = streamTarget(orders);
    const destination = await file.destination();
    const plan = await destination.plan(target);
    expect(plan.findings[0]?.error?.code).toBe('destination_incompatible');
    await using session = await destination.openSession('p');
    await expect(session.prepare(target)).rejects.toMatchObject({
      code: 'destination_incompatible',
    });
  });

  it('takes wider integers and VARCHAR for anything', async () => {
    await using file = duckdbFixture();
    await file.sql(
      'CREATE SCHEMA public',
      'CREATE TABLE public.orders (a BIGINT, b VARCHAR, c HUGEINT, d DOUBLE)',
    );
    const schema = streamSchema({
      a: { kind: 'int', bits: 16 },
      b: { kind: 'timestamp', zoned: true },
      c: { kind: 'int', bits: 64 },
      d: { kind: 'float', bits: 32 },
    });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      const target = streamTarget(schema);
      await session.prepare(target);
      const values = ['-7', '2024-02-29 12:00:00.5+00', '-9223372036854775808', '0.5'];
      await applyRows(session, target, '1', insertedRows(rowBatch(schema, [{ values }])));
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql('SELECT a, b, c::VARCHAR, d::VARCHAR FROM public.orders')).toEqual([
      [-7, '2024-02-29 12:00:00.5+00', '-9223372036854775808', '0.5'],
    ]);
  });
});

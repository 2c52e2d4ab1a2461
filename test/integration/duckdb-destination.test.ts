import { describe, expect, it } from 'vitest';
import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  ACT_SKIP,
} from '../../src/core/folded-rows.ts';
import { OP_BEFORE, OP_DELETE, OP_INSERT, OP_UPDATE } from '../../src/core/row-batch.ts';
import { rowBatch, streamSchema, streamTarget, UNCHANGED } from '../support/batches.ts';
import {
  applyRows,
  checkpointAt,
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

describe('upsert', () => {
  it('inserts, replaces, patches and deletes by key in one transaction with its checkpoint', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const first = await session.loadChunk(
        target,
        { id: 'c1', merge: false, order: '0' },
        chunkOf(
          rowBatch(orders, [row(1, 'a', 'x'), row(2, 'b', 'y')]),
          rowBatch(orders, [row(3, 'c')]),
        ),
      );
      expect(first).toEqual({ read: 3, applied: 3, deadLettered: 0, bytes: 29 });
      const batch = rowBatch(orders, [
        { op: OP_UPDATE, values: ['1', 'A', UNCHANGED] },
        { op: OP_DELETE, values: ['2', undefined, undefined] },
        { op: OP_INSERT, values: ['3', 'C', 'z'] },
        { op: OP_UPDATE, values: ['4', 'd', null] },
        { op: OP_UPDATE, values: ['9', 'nobody', UNCHANGED] },
        { op: OP_UPDATE, values: ['8', 'skipped', 'x'] },
      ]);
      const [result] = await applyRows(
        session,
        target,
        '0/1',
        keyedRows(batch, [ACT_PATCH, ACT_DELETE, ACT_INSERT, ACT_REPLACE, ACT_PATCH, ACT_SKIP]),
      );
      expect(result?.applied).toBe(4);
      expect(result?.missing).toEqual([{ batch, rows: [4] }]);
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([
      [1, 'A', 'x'],
      [3, 'C', 'z'],
      [4, 'd', null],
    ]);
    expect(await file.sql('SELECT position, epoch FROM _forebay.checkpoints')).toEqual([
      ['0/1', 1],
    ]);
  });

  it('leaves nothing of a transaction that is rolled back', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await session.begin();
      await session.write(target, insertedRows(rowBatch(orders, [row(1, 'a')])));
      await session.rollback();
      await applyRows(session, target, '0/2', insertedRows(rowBatch(orders, [row(2, 'b')])));
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([[2, 'b', null]]);
  });

  it('marks deleted rows with soft deletes, and an upsert brings them back', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders, { deletes: 'soft' });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const deletes = rowBatch(orders, [
        { op: OP_DELETE, values: ['1', undefined, undefined] },
        { op: OP_DELETE, values: ['2', undefined, undefined] },
      ]);
      await applyRows(
        session,
        target,
        '1',
        insertedRows(rowBatch(orders, [row(1, 'a'), row(2, 'b'), row(3, 'c')])),
        keyedRows(deletes, [ACT_DELETE, ACT_DELETE]),
        insertedRows(rowBatch(orders, [row(2, 'back')])),
      );
      const seen: number[] = [];
      for await (const batch of session.read(target, ['binary', 'binary', 'binary']))
        seen.push(batch.rowCount);
      expect(seen).toEqual([2]);
    }
    await destination[Symbol.asyncDispose]();
    expect(
      await file.sql('SELECT id, name, _forebay_deleted_at IS NULL FROM public.orders ORDER BY id'),
    ).toEqual([
      [1, 'a', false],
      [2, 'back', true],
      [3, 'c', true],
    ]);
  });

  it('keeps rows with ignored deletes, truncate included', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders, { deletes: 'ignore' });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const gone = rowBatch(orders, [{ op: OP_DELETE, values: ['1', undefined, undefined] }]);
      const results = await applyRows(
        session,
        target,
        '1',
        insertedRows(rowBatch(orders, [row(1, 'a')])),
        keyedRows(gone, [ACT_DELETE]),
        { kind: 'truncate' },
      );
      expect(results.map(({ applied }) => applied)).toEqual([1, 1, 1]);
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([[1, 'a', null]]);
  });

  it('empties the table on truncate', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      await applyRows(
        session,
        target,
        '1',
        insertedRows(rowBatch(orders, [row(1, 'a')])),
        { kind: 'truncate' },
        insertedRows(rowBatch(orders, [row(2, 'b')])),
      );
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([[2, 'b', null]]);
  });

  it('moves a row whose key changed and keeps its unchanged columns', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const moves = rowBatch(orders, [
        { op: OP_BEFORE, values: ['1', undefined, undefined] },
        { op: OP_UPDATE, values: ['10', 'moved', UNCHANGED] },
        { op: OP_BEFORE, values: ['2', undefined, undefined] },
        { op: OP_UPDATE, values: ['3', 'merged', UNCHANGED] },
        { op: OP_BEFORE, values: ['77', undefined, undefined] },
        { op: OP_UPDATE, values: ['78', 'nobody', UNCHANGED] },
      ]);
      const results = await applyRows(
        session,
        target,
        '1',
        insertedRows(
          rowBatch(orders, [row(1, 'a', 'one'), row(2, 'b', 'two'), row(3, 'c', 'three')]),
        ),
        { kind: 'rekey', batch: moves, before: 0, after: 1 },
        { kind: 'rekey', batch: moves, before: 2, after: 3 },
        { kind: 'rekey', batch: moves, before: 4, after: 5 },
      );
      expect(results.map(({ applied }) => applied)).toEqual([3, 1, 1, 0]);
      expect(results[3]?.missing[0]?.rows).toEqual([5]);
    }
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([
      [3, 'merged', 'three'],
      [10, 'moved', 'one'],
    ]);
  });

  it('replaces rows by key when a chunk is merged', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const chunk = { merge: true, order: '0' };
      await session.loadChunk(
        target,
        { ...chunk, id: 'c1' },
        chunkOf(rowBatch(orders, [row(1, 'a'), row(2, 'b')])),
      );
      await session.loadChunk(
        target,
        { ...chunk, id: 'c2' },
        chunkOf(rowBatch(orders, [row(2, 'B'), row(3, 'c')])),
      );
    }
    const state = await destination.readState('p');
    expect([...(state?.chunks.get('public.orders') ?? [])].toSorted()).toEqual(['c1', 'c2']);
    await destination[Symbol.asyncDispose]();
    expect(await file.sql(ORDERS)).toEqual([
      [1, 'a', null],
      [2, 'B', null],
      [3, 'c', null],
    ]);
  });

  it('forgets chunks and rows when a snapshot is reset', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    await using session = await destination.openSession('p');
    await session.prepare(target);
    await session.loadChunk(
      target,
      { id: 'c1', merge: false, order: '0' },
      chunkOf(rowBatch(orders, [row(1, 'a')])),
    );
    await session.resetSnapshot(target, { removeRows: true });
    const state = await destination.readState('p');
    expect(state?.chunks.size).toBe(0);
    const rows: number[] = [];
    for await (const batch of session.read(target, ['text', 'text', 'text']))
      rows.push(batch.rowCount);
    expect(rows).toEqual([]);
  });
});

describe('fencing', () => {
  it('lets an earlier run write nothing once a later one has begun', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(orders);
    const destination = await file.destination();
    await using first = await destination.openSession('p');
    await first.prepare(target);
    await first.begin();
    await first.write(target, insertedRows(rowBatch(orders, [row(1, 'zombie')])));
    await using second = await destination.openSession('p');
    expect(second.epoch).toBe(first.epoch + 1);
    await expect(first.commit(checkpointAt('1'), [])).rejects.toMatchObject({ code: 'fenced' });
    await first.rollback();
    await expect(first.assertEpoch()).rejects.toMatchObject({ code: 'fenced' });
    await expect(
      first.loadChunk(
        target,
        { id: 'c', merge: false, order: '0' },
        chunkOf(rowBatch(orders, [row(2, 'z')])),
      ),
    ).rejects.toMatchObject({ code: 'fenced' });
    await second.assertEpoch();
    const rows: number[] = [];
    for await (const batch of second.read(target, ['text', 'text', 'text']))
      rows.push(batch.rowCount);
    expect(rows).toEqual([]);
  });

  it('notices a checkpoint that was changed by hand', async () => {
    await using file = duckdbFixture();
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.save(
        [{ stream: 's', state: 'streaming', reason: null, detail: '{}' }],
        checkpointAt('0/5'),
      );
    }
    expect((await destination.readState('p'))?.checkpoint).toEqual(checkpointAt('0/5'));
    await destination[Symbol.asyncDispose]();
    await file.sql(`UPDATE _forebay.checkpoints SET position = '0/6'`);
    await expect((await file.destination()).readState('p')).rejects.toMatchObject({
      code: 'checkpoint_corrupt',
    });
  });
});

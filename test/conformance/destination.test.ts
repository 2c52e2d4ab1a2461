// Destinations: what each load method and delete method leaves in the table.
import { expect, test } from 'vitest';

import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  type FoldedRows,
} from '../../src/core/folded-rows.ts';
import { OP_BEFORE, OP_DELETE, OP_INSERT, OP_UPDATE } from '../../src/core/row-batch.ts';
import {
  batchTexts,
  type BatchRow,
  encodingsOf,
  rowBatch,
  streamSchema,
  UNCHANGED,
} from '../support/batches.ts';
import { describeEachConnector } from '../support/conformance.ts';
import { applyRows, chunkOf, keyedRows } from '../support/duckdb-fixture.ts';
import {
  byId,
  contents,
  gone,
  items,
  loadSnapshot,
  opened,
  START,
  values,
} from '../support/item-rows.ts';

const allActions: FoldedRows = keyedRows(
  rowBatch(items, [
    { op: OP_UPDATE, values: ['1', 'patched', UNCHANGED] },
    gone(2),
    { op: OP_INSERT, values: ['3', 'again', 'z'] },
    { op: OP_UPDATE, values: ['4', 'upserted', null] },
    { op: OP_INSERT, values: ['5', 'new', 'w'] },
  ]),
  [ACT_PATCH, ACT_DELETE, ACT_INSERT, ACT_REPLACE, ACT_INSERT],
);
describeEachConnector('upsert', 'upsert', (kind) => {
  test('prepare can be done again, also by a later session', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await session.prepare(target);
    await loadSnapshot(session, target, START);
    await session.finishSnapshot(target);
    await session.prepare(target);
    await subject.close();
    const again = await opened(subject, {});
    expect(await contents(again.session, again.target)).toHaveLength(3);
  });

  test('inserts, replaces, patches and deletes by key', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    expect(await loadSnapshot(session, target, START)).toMatchObject({
      read: 3,
      applied: 3,
      deadLettered: 0,
    });
    const [result] = await applyRows(session, target, '1', allActions);
    expect(result).toMatchObject({ applied: 5, deadLettered: 0, missing: [] });
    expect(await contents(session, target)).toEqual([
      ['1', 'patched', 'kept'],
      ['3', 'again', 'z'],
      ['4', 'upserted', null],
      ['5', 'new', 'w'],
    ]);
  });

  test('the same changes again leave the same', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await loadSnapshot(session, target, START);
    await applyRows(session, target, '1', allActions);
    const once = await contents(session, target);
    await applyRows(session, target, '2', allActions);
    expect(await contents(session, target)).toEqual(once);
  });

  test('a patch of a row that is not there is told, not made up', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await loadSnapshot(session, target, START);
    const batch = rowBatch(items, [
      { op: OP_UPDATE, values: ['1', 'there', UNCHANGED] },
      { op: OP_UPDATE, values: ['9', 'nobody', UNCHANGED] },
    ]);
    const [result] = await applyRows(
      session,
      target,
      '1',
      keyedRows(batch, [ACT_PATCH, ACT_PATCH]),
    );
    expect(result?.missing.map(({ rows }) => rows)).toEqual([[1]]);
    expect((await contents(session, target)).map(([id]) => id)).toEqual(['1', '2', '3']);
  });

  test('soft deletes hide the row, and it comes back with its key', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { deletes: 'soft' });
    await loadSnapshot(session, target, START);
    await applyRows(
      session,
      target,
      '1',
      keyedRows(rowBatch(items, [gone(1), gone(2)]), [ACT_DELETE, ACT_DELETE]),
    );
    expect((await contents(session, target)).map(([id]) => id)).toEqual(['3']);
    await applyRows(
      session,
      target,
      '2',
      keyedRows(rowBatch(items, [values(2, 'back')]), [ACT_REPLACE]),
    );
    expect((await contents(session, target)).map(([id]) => id)).toEqual(['2', '3']);
  });

  test('a softly deleted row is not there for an update that leaves values out', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { deletes: 'soft' });
    await loadSnapshot(session, target, START);
    await applyRows(
      session,
      target,
      '1',
      keyedRows(rowBatch(items, [gone(1), gone(2)]), [ACT_DELETE, ACT_DELETE]),
    );
    const patches = rowBatch(items, [
      { op: OP_UPDATE, values: ['1', 'patched', UNCHANGED] },
      { op: OP_UPDATE, values: ['3', 'patched', UNCHANGED] },
    ]);
    const [patched] = await applyRows(
      session,
      target,
      '2',
      keyedRows(patches, [ACT_PATCH, ACT_PATCH]),
    );
    expect(patched?.missing.map(({ rows }) => rows)).toEqual([[0]]);
    const moves = rowBatch(items, [
      { op: OP_BEFORE, values: ['3', undefined, undefined] },
      { op: OP_UPDATE, values: ['2', 'moved', UNCHANGED] },
      { op: OP_BEFORE, values: ['1', undefined, undefined] },
      { op: OP_UPDATE, values: ['9', 'nobody', UNCHANGED] },
    ]);
    const moved = await applyRows(
      session,
      target,
      '3',
      { kind: 'rekey', batch: moves, before: 0, after: 1 },
      { kind: 'rekey', batch: moves, before: 2, after: 3 },
    );
    expect(moved.map(({ missing }) => missing.map(({ rows }) => rows))).toEqual([[], [[3]]]);
    expect(await contents(session, target)).toEqual([['2', 'moved', 'y']]);
  });

  test('ignored deletes and truncates leave the rows', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { deletes: 'ignore' });
    await loadSnapshot(session, target, START);
    const deletes = keyedRows(rowBatch(items, [gone(1)]), [ACT_DELETE]);
    await applyRows(session, target, '1', deletes, {
      kind: 'truncate',
    });
    expect(await contents(session, target)).toHaveLength(3);
  });

  test.each(['hard', 'soft'] as const)(
    'truncate empties with %s deletes, and rows may follow',
    async (deletes) => {
      await using subject = await kind.open();
      const { session, target } = await opened(subject, { deletes });
      await loadSnapshot(session, target, START);
      const insert = keyedRows(rowBatch(items, [values(2, 'after')]), [ACT_INSERT]);
      await applyRows(session, target, '1', { kind: 'truncate' }, insert);
      expect(await contents(session, target)).toEqual([['2', 'after', null]]);
    },
  );

  test('a key that changes takes along what the update left out', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await loadSnapshot(session, target, START);
    const batch = rowBatch(items, [
      { op: OP_BEFORE, values: ['1', undefined, undefined] },
      { op: OP_UPDATE, values: ['7', 'moved', UNCHANGED] },
      { op: OP_BEFORE, values: ['2', undefined, undefined] },
      { op: OP_UPDATE, values: ['3', 'over', UNCHANGED] },
    ]);
    await applyRows(session, target, '1', { kind: 'rekey', batch, before: 0, after: 1 });
    expect(await contents(session, target)).toEqual([
      ['2', 'b', 'x'],
      ['3', 'c', 'y'],
      ['7', 'moved', 'kept'],
    ]);
  });

  test('a chunk that is merged replaces rows that are there', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await loadSnapshot(session, target, START);
    const rows = rowBatch(items, [values(2, 'newer'), values(8, 'h')]);
    await session.loadChunk(target, { id: 'c2', merge: true, order: '0001' }, chunkOf(rows));
    expect((await contents(session, target)).map(([id, name]) => `${id} ${name}`)).toEqual([
      '1 a',
      '2 newer',
      '3 c',
      '8 h',
    ]);
  });

  test('columns of the user keep their value when a row is replaced', async () => {
    await using subject = await kind.open();
    await subject.sql(
      'create schema if not exists public',
      'create table public.items (id integer, name varchar, big varchar, mine varchar)',
      "insert into public.items values (1, 'a', 'x', 'kept')",
    );
    const { session, target } = await opened(subject, {});
    await session.finishSnapshot(target);
    const replaced = keyedRows(rowBatch(items, [values(1, 'b')]), [ACT_REPLACE]);
    await applyRows(session, target, '1', replaced);
    const wider = streamSchema(
      { id: { kind: 'int', bits: 32 }, name: { kind: 'text' }, mine: { kind: 'text' } },
      { name: 'items' },
    );
    expect(await contents(session, { ...target, schema: wider })).toEqual([['1', 'b', 'kept']]);
  });

  test('rows without a key: equal ones are counted', async () => {
    await using subject = await kind.open();
    const schema = streamSchema(
      { id: { kind: 'int', bits: 32 }, name: { kind: 'text' } },
      { name: 'bag', key: [], identity: 'whole-row' },
    );
    const { session, target } = await opened(subject, {}, { schema });
    const row = (name: string | null, op: number): BatchRow => ({ op, values: ['1', name] });
    const added = ['x', 'x', 'x', null, null].map((name) => row(name, OP_INSERT));
    const removed = ['x', null].map((name) => row(name, OP_DELETE));
    await session.finishSnapshot(target);
    const part = (rows: BatchRow[], action: number): FoldedRows => ({
      kind: 'multiset',
      parts: [{ batch: rowBatch(schema, rows), actions: new Uint8Array(rows.length).fill(action) }],
    });
    await applyRows(session, target, '1', part(added, ACT_INSERT));
    await applyRows(session, target, '2', part(removed, ACT_DELETE));
    expect((await contents(session, target)).map(([, name]) => String(name)).toSorted()).toEqual([
      'null',
      'x',
      'x',
    ]);
  });

  test('read gives both encodings, and stops early when asked to', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, {});
    await loadSnapshot(session, target, START);
    for (const wanted of ['binary', 'text'] as const) {
      const rows: (string | null)[][] = [];
      for await (const batch of session.read(target, encodingsOf(items, wanted))) {
        rows.push(...batchTexts(batch));
        subject.slabs.give(batch.slab);
      }
      expect(rows.toSorted(byId)).toEqual(START.map((row) => row.values));
    }
    for await (const batch of session.read(target, encodingsOf(items, 'text'))) {
      expect(batch.rowCount).toBeGreaterThan(0);
      subject.slabs.give(batch.slab);
      break;
    }
    expect(subject.slabs.takenBytes).toBe(0);
    expect(await contents(session, target)).toHaveLength(3);
  });
});

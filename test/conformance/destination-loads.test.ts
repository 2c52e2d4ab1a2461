// Destinations: what each load method and delete method leaves in the table.
import { expect, test } from 'vitest';

import { ACT_APPEND, ACT_DELETE, ACT_INSERT } from '../../src/core/folded-rows.ts';
import { OP_INSERT, OP_UPDATE } from '../../src/core/row-batch.ts';
import { rowBatch, streamSchema } from '../support/batches.ts';
import { describeEachConnector } from '../support/conformance.ts';
import { applyRows, chunkOf, keyedRows } from '../support/duckdb-fixture.ts';
import {
  contents,
  gone,
  items,
  loadSnapshot,
  mark,
  opened,
  START,
  values,
} from '../support/item-rows.ts';

describeEachConnector('append', 'append', (kind) => {
  test('keeps every event with its letter and a position that sorts in order', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { load: 'append' });
    await loadSnapshot(session, target, [values(1, 'read')]);
    const batch = rowBatch(items, [
      { ...values(1, 'up'), op: OP_UPDATE, transaction: 0, event: 0 },
      { ...gone(1), transaction: 0, event: 1 },
      { ...values(2, 'in'), op: OP_INSERT, transaction: 1, event: 0 },
    ]);
    const parts = [{ batch, actions: Uint8Array.of(ACT_APPEND, ACT_APPEND, ACT_APPEND) }];
    const transactions = [mark('0001'), mark('0002')];
    const [result] = await applyRows(session, target, '1', { kind: 'append', parts, transactions });
    expect(result).toMatchObject({ applied: 3, deadLettered: 0 });
    const rows = await contents(session, {
      ...target,
      schema: streamSchema(
        {
          _forebay_op: { kind: 'text' },
          _forebay_position: { kind: 'text' },
          id: { kind: 'int', bits: 32 },
          name: { kind: 'text' },
        },
        { name: 'items', key: [], identity: 'whole-row' },
      ),
    });
    const ordered = rows.toSorted((a, b) => ((a[1] ?? '') < (b[1] ?? '') ? -1 : 1));
    expect(ordered.map(([op, , id, name]) => [op, id, name])).toEqual([
      ['r', '1', 'read'],
      ['u', '1', 'up'],
      ['d', '1', null],
      ['i', '2', 'in'],
    ]);
    expect(new Set(rows.map(([, position]) => position)).size).toBe(4);
  });

  test('a snapshot that begins anew takes back its own rows and no change', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { load: 'append' });
    await loadSnapshot(session, target, [values(1, 'read')]);
    const batch = rowBatch(items, [{ ...values(2, 'in'), op: OP_INSERT }]);
    const parts = [{ batch, actions: Uint8Array.of(ACT_APPEND) }];
    await applyRows(session, target, '1', { kind: 'append', parts, transactions: [mark('0001')] });
    await session.resetSnapshot(target, { removeRows: true });
    expect((await contents(session, target)).map(([id]) => id)).toEqual(['2']);
  });
});

describeEachConnector('replace', 'replace', (kind) => {
  test('the old rows stand until the new ones are all in', async () => {
    await using subject = await kind.open();
    const first = await opened(subject, {}, { pipeline: 'earlier' });
    await loadSnapshot(first.session, first.target, START);
    await subject.close();
    const { session, target } = await opened(subject, { load: 'replace' });
    const rows = rowBatch(items, [values(9, 'fresh')]);
    await session.loadChunk(target, { id: 'r1', merge: false, order: '0' }, chunkOf(rows));
    await subject.close();

    const before = await opened(subject, {}, { pipeline: 'another' });
    expect((await contents(before.session, before.target)).map(([id]) => id)).toEqual([
      '1',
      '2',
      '3',
    ]);
    await subject.close();

    const last = await opened(subject, { load: 'replace' });
    await last.session.finishSnapshot(last.target);
    await last.session.finishSnapshot(last.target);
    expect(await contents(last.session, last.target)).toEqual([['9', 'fresh', null]]);
    await applyRows(
      last.session,
      last.target,
      '1',
      keyedRows(rowBatch(items, [gone(9)]), [ACT_DELETE]),
    );
    expect(await contents(last.session, last.target)).toEqual([]);
  });

  test('a source without rows leaves an empty table, where later runs go on', async () => {
    await using subject = await kind.open();
    const first = await opened(subject, {}, { pipeline: 'earlier' });
    await loadSnapshot(first.session, first.target, START);
    await subject.close();
    const { session, target } = await opened(subject, { load: 'replace' });
    await session.finishSnapshot(target);
    expect(await contents(session, target)).toEqual([]);
    const state = { stream: target.id, state: 'streaming', reason: null, detail: '{}' } as const;
    await session.save([state], null);
    await subject.close();
    const later = await opened(subject, { load: 'replace' });
    const insert = keyedRows(rowBatch(items, [values(5, 'new')]), [ACT_INSERT]);
    await applyRows(later.session, later.target, '1', insert);
    expect((await contents(later.session, later.target)).map(([id]) => id)).toEqual(['5']);
  });

  test('a table that a run began beside, before columns came, is no reason to refuse the stream', async () => {
    await using subject = await kind.open();
    const { session, target } = await opened(subject, { load: 'replace' });
    const rows = rowBatch(items, [values(9, 'begun')]);
    await session.loadChunk(target, { id: 'r1', merge: false, order: '0' }, chunkOf(rows));
    const { columns } = items;
    const late = { name: 'late', type: { kind: 'int', bits: 32 } } as const;
    const schema = {
      ...items,
      version: items.version + 1,
      columns: [...columns, { ...late, nativeType: 'integer', nullable: true, ref: '99' }],
    };
    const wider = { ...target, schema };
    await session.save([], null, [wider]);
    await session.resetSnapshot(wider, { removeRows: true });
    const whole = rowBatch(schema, [{ values: ['1', 'new', null, '7'] }]);
    await session.loadChunk(wider, { id: 'r2', merge: false, order: '0' }, chunkOf(whole));
    await session.finishSnapshot(wider);
    expect(await contents(session, wider)).toEqual([['1', 'new', null, '7']]);
  });
});

// Destinations: what is atomic, what a later run fences off, what is remembered and what drop leaves.
import { expect, test } from 'vitest';

import type { Checkpoint, StreamRecord } from '../../src/core/checkpoint.ts';
import type { DestinationSession, StreamTarget } from '../../src/core/connector.ts';
import { ACT_INSERT, type FoldedRows } from '../../src/core/folded-rows.ts';
import { OP_INSERT, type RowBatch } from '../../src/core/row-batch.ts';
import {
  batchTexts,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
} from '../support/batches.ts';
import { describeEachConnector, type Subject } from '../support/conformance.ts';
import { applyRows, checkpointAt, chunkOf, keyedRows } from '../support/duckdb-fixture.ts';

const items = streamSchema(
  { id: { kind: 'int', bits: 32 }, name: { kind: 'text' } },
  { name: 'items' },
);
const target = streamTarget(items);
const rowsOf = (...ids: number[]): RowBatch =>
  rowBatch(
    items,
    ids.map((id) => ({ op: OP_INSERT, values: [String(id), `n${id}`] })),
  );
const inserts = (...ids: number[]): FoldedRows =>
  keyedRows(
    rowsOf(...ids),
    ids.map(() => ACT_INSERT),
  );
const chunk = (id: string) => ({ id, merge: false, order: '0' });
const record: StreamRecord = {
  stream: target.id,
  state: 'streaming',
  reason: null,
  detail: '{"a":"é"}',
};

async function start(subject: Subject, pipeline = 'p'): Promise<DestinationSession> {
  const session = await (await subject.destination()).openSession(pipeline);
  await session.prepare(target);
  await session.finishSnapshot(target);
  return session;
}

async function ids(session: DestinationSession, of: StreamTarget = target): Promise<number[]> {
  const found: number[] = [];
  for await (const batch of session.read(of, encodingsOf(items, 'text'))) {
    found.push(...batchTexts(batch).map(([id]) => Number(id)));
  }
  return found.toSorted((a, b) => a - b);
}

describeEachConnector('sessions', 'upsert', (kind) => {
  test('nothing is remembered of a pipeline that never ran', async () => {
    await using subject = await kind.open();
    const destination = await subject.destination();
    expect(await destination.readState('p')).toBeNull();
    expect(await destination.pipelines()).toEqual([]);
    expect(await destination.leftovers('p')).toEqual([]);
    expect(await destination.deadLetters.list(null)).toEqual([]);
  });

  test('a commit makes data, position, accounts and records visible at once', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    expect(session.state.checkpoint).toBeNull();
    const account = { read: 7, applied: 4, folded: 1, filtered: 1, deadLettered: 1, bytes: 99 };
    const checkpoint: Checkpoint = { ...checkpointAt('0/AB'), accounts: { [target.id]: account } };
    await session.begin();
    await session.write(target, inserts(1, 2));
    await session.commit(checkpoint, [record]);
    expect(await ids(session)).toEqual([1, 2]);
    await subject.close();
    const state = await (await subject.destination()).readState('p');
    expect(state).toMatchObject({ epoch: session.epoch, checkpoint, streams: [record] });
  });

  test('a rollback leaves nothing, and the next transaction works', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    await session.begin();
    await session.write(target, inserts(1, 2));
    await session.rollback();
    await session.rollback();
    expect(await ids(session)).toEqual([]);
    await applyRows(session, target, '5', inserts(3));
    expect(await ids(session)).toEqual([3]);
  });

  test('a session that ends in the middle of a transaction leaves nothing of it', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    await applyRows(session, target, '1', inserts(1));
    await session.begin();
    await session.write(target, inserts(2));
    await subject.close();
    const again = await start(subject);
    expect(await ids(again)).toEqual([1]);
    expect(again.state.checkpoint?.position).toBe('1');
  });

  test('a chunk and its record are one: loaded once, and told to the next run', async () => {
    await using subject = await kind.open();
    const session = await (await subject.destination()).openSession('p');
    await session.prepare(target);
    await session.loadChunk(target, chunk('c1'), chunkOf(rowsOf(1, 2), rowsOf(3)));
    const broken = (async function* () {
      yield rowsOf(4);
      await Promise.resolve();
      throw new Error('the source went away');
    })();
    await expect(
      session.loadChunk(target, chunk('c2'), { kind: 'batches', batches: broken }),
    ).rejects.toThrow();
    await subject.close();
    const later = await (await subject.destination()).openSession('p');
    expect([...(later.state.chunks.get(target.id) ?? [])]).toEqual(['c1']);
    expect(await ids(later)).toEqual([1, 2, 3]);
    await later.resetSnapshot(target, { removeRows: true });
    expect(await ids(later)).toEqual([]);
    await later.loadChunk(target, chunk('c1'), chunkOf(rowsOf(9)));
    expect(await ids(later)).toEqual([9]);
  });

  test('save records streams and position without data', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    await session.save([{ ...record, state: 'paused', reason: 'why' }], checkpointAt('0/1'));
    await session.save([], null);
    await subject.close();
    expect(await (await subject.destination()).readState('p')).toMatchObject({
      checkpoint: { position: '0/1' },
      streams: [{ state: 'paused', reason: 'why' }],
    });
  });

  test('a later session fences the earlier one, whose writes fail and leave nothing', async () => {
    await using subject = await kind.open();
    const destination = await subject.destination();
    const first = await start(subject);
    const second = await destination.openSession('p').catch((error: unknown) => error);
    if (second instanceof Error) {
      // A system with one user at a time keeps the later one out instead.
      expect(second).toMatchObject({
        code: expect.stringMatching(/^(file_locked|pipeline_in_use)$/),
      });
      return;
    }
    const later = second as DestinationSession;
    expect(later.epoch).toBe(first.epoch + 1);
    await later.assertEpoch();
    await expect(first.assertEpoch()).rejects.toMatchObject({ code: 'fenced' });
    await expect(first.save([record], checkpointAt('9'))).rejects.toMatchObject({ code: 'fenced' });
    await expect(applyRows(first, target, '9', inserts(1))).rejects.toMatchObject({
      code: 'fenced',
    });
    await first.rollback();
    await applyRows(later, target, '2', inserts(2));
    expect(await ids(later)).toEqual([2]);
    await later[Symbol.asyncDispose]();
  });

  test('each run has a higher epoch than the one before', async () => {
    await using subject = await kind.open();
    const epochs: number[] = [];
    for (let run = 0; run < 3; run += 1) {
      epochs.push((await start(subject)).epoch);
      await subject.close();
    }
    expect(epochs).toEqual([1, 2, 3]);
  });

  test('a checkpoint that was changed by hand is found, not followed', async () => {
    await using subject = await kind.open();
    await applyRows(await start(subject), target, '0/7', inserts(1));
    await subject.close();
    await subject.sql("update _forebay.checkpoints set position = '0/8'");
    const destination = await subject.destination();
    await expect(destination.readState('p')).rejects.toMatchObject({ code: 'checkpoint_corrupt' });
  });

  test('drop removes what it named before, keeps the data and other pipelines', async () => {
    await using subject = await kind.open();
    await applyRows(await start(subject), target, '1', inserts(1));
    await subject.close();
    await start(subject, 'other');
    await subject.close();
    const destination = await subject.destination();
    expect([...(await destination.pipelines())].toSorted()).toEqual(['other', 'p']);
    const leftovers = await destination.leftovers('p');
    expect(leftovers.length).toBeGreaterThan(0);
    expect(leftovers.every((item) => item.kind !== '' && item.name !== '')).toBe(true);
    await destination.drop('p');
    await destination.drop('p');
    expect(await destination.leftovers('p')).toEqual([]);
    expect(await destination.pipelines()).toEqual(['other']);
    expect(await destination.readState('p')).toBeNull();
    await subject.close();
    expect(await ids(await start(subject, 'other'))).toEqual([1]);
  });

  test('the state names the run that took the epoch', async () => {
    await using subject = await kind.open();
    const destination = await subject.destination();
    const session = await destination.openSession('p', { acceptDamaged: false, run: 'first' });
    expect(session.state).toMatchObject({ epoch: 1, run: 'first' });
    expect(await destination.readState('p')).toMatchObject({ epoch: 1, run: 'first' });
    await subject.close();
    const again = await subject.destination();
    const next = await again.openSession('p', { acceptDamaged: false, run: 'first' });
    expect(next.state).toMatchObject({ epoch: 2, run: 'first' });
  });

  test('a table with other columns is refused by plan and prepare, and left as it is', async () => {
    await using subject = await kind.open();
    await subject.sql(
      'create schema if not exists public',
      'create table public.items (id date, other integer not null)',
    );
    const destination = await subject.destination();
    const plan = await destination.plan(target);
    expect(plan.findings.find(({ error }) => error !== null)?.error).toMatchObject({
      code: 'destination_incompatible',
    });
    const session = await destination.openSession('p');
    await expect(session.prepare(target)).rejects.toMatchObject({
      code: 'destination_incompatible',
    });
  });

  test('plan names columns, touches nothing and says what is there', async () => {
    await using subject = await kind.open();
    const destination = await subject.destination();
    const plan = await destination.plan(target);
    expect(plan).toMatchObject({ exists: false, empty: true });
    expect(plan.columns.map(({ name }) => name).slice(0, 2)).toEqual(['id', 'name']);
    expect(await destination.plan(target)).toEqual(plan);
    expect(await destination.pipelines()).toEqual([]);
    await applyRows(await start(subject), target, '1', inserts(1));
    expect(await destination.plan(target)).toMatchObject({ exists: true, empty: false });
  });

  test('check finds a good destination good', async () => {
    await using subject = await kind.open();
    const findings = await (await subject.destination()).check();
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describeEachConnector('schema changes', 'upsert', (kind) => {
  test('columns are added with their default, renamed, and swapped in one transaction', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    await applyRows(session, target, '1', inserts(1));
    const wider = streamTarget(
      streamSchema(
        {
          id: { kind: 'int', bits: 32 },
          label: { kind: 'text' },
          level: { kind: 'int', bits: 32 },
        },
        { name: 'items', version: 2 },
      ),
    );
    await session.begin();
    await session.evolve(wider, [
      { kind: 'rename-column', from: 'name', column: 1, to: null },
      { kind: 'add-column', column: 2, existing: '5' },
    ]);
    const batch = rowBatch(wider.schema, [{ op: OP_INSERT, values: ['2', 'b', '7'] }]);
    await session.write(wider, keyedRows(batch, [ACT_INSERT]));
    await session.commit(checkpointAt('2'), []);
    const rows: (string | null)[][] = [];
    for await (const read of session.read(wider, encodingsOf(wider.schema, 'text')))
      rows.push(...batchTexts(read));
    expect(rows.toSorted((a, b) => Number(a[0]) - Number(b[0]))).toEqual([
      ['1', 'n1', '5'],
      ['2', 'b', '7'],
    ]);
  });

  test('a column is widened, and a change that is rolled back is undone', async () => {
    await using subject = await kind.open();
    const session = await start(subject);
    await applyRows(session, target, '1', inserts(1));
    const big = streamTarget(
      streamSchema(
        { id: { kind: 'int', bits: 64 }, name: { kind: 'text' } },
        { name: 'items', version: 2 },
      ),
    );
    await session.begin();
    await session.evolve(big, [{ kind: 'widen-column', column: 0 }]);
    await session.rollback();
    expect(await ids(session)).toEqual([1]);
    await session.begin();
    await session.evolve(big, [{ kind: 'widen-column', column: 0 }]);
    const batch = rowBatch(big.schema, [{ op: OP_INSERT, values: ['9007199254740993', 'x'] }]);
    await session.write(big, keyedRows(batch, [ACT_INSERT]));
    await session.commit(checkpointAt('2'), []);
    const rows: (string | null)[][] = [];
    for await (const read of session.read(big, encodingsOf(big.schema, 'text')))
      rows.push(...batchTexts(read));
    expect(rows.map(([id]) => String(id)).toSorted()).toEqual(['1', '9007199254740993']);
  });
});

// Rows that a destination refuses: found alone, kept whole, tried again, removed.
import { expect, test } from 'vitest';

import type { LetterRange } from '../../src/core/dead-letter.ts';
import { ACT_INSERT, ACT_REPLACE } from '../../src/core/folded-rows.ts';
import { OP_INSERT, OP_UPDATE } from '../../src/core/row-batch.ts';
import {
  batchTexts,
  encodingsOf,
  rowBatch,
  streamSchema,
  streamTarget,
} from '../support/batches.ts';
import { describeEachConnector, type Subject } from '../support/conformance.ts';
import { applyRows, chunkOf, keyedRows } from '../support/duckdb-fixture.ts';

const items = streamSchema(
  { id: { kind: 'int', bits: 32 }, name: { kind: 'text' }, big: { kind: 'text' } },
  { name: 'items' },
);
const target = streamTarget(items);
const PLAIN = 'create table public.items (id integer, name varchar, big varchar)';
const PICKY = 'create table public.items (id integer, name varchar not null, big varchar)';

function batchOf(names: Readonly<Record<number, string | null>>, op: number) {
  return rowBatch(
    items,
    Object.entries(names).map(([id, name]) => ({ op, values: [id, name, 'é"\\'] })),
  );
}

async function open(subject: Subject) {
  const destination = await subject.destination();
  const session = await destination.openSession('p');
  await session.prepare(target);
  return { destination, session };
}

async function names(subject: Subject): Promise<string[]> {
  const { session } = await open(subject);
  const rows: (string | null)[][] = [];
  for await (const batch of session.read(target, encodingsOf(items, 'text')))
    rows.push(...batchTexts(batch));
  return rows.map(([id, name]) => `${id} ${name}`).toSorted();
}

/** Two letters: one of a chunk, one of a change. */
async function refuseTwo(subject: Subject): Promise<void> {
  await subject.sql('create schema if not exists public', PICKY);
  const { session } = await open(subject);
  const chunk = batchOf({ 1: 'a', 2: null, 3: 'c', 4: 'd' }, OP_INSERT);
  const loaded = await session.loadChunk(
    target,
    { id: 'c1', merge: false, order: '0' },
    chunkOf(chunk),
  );
  expect(loaded).toMatchObject({ read: 4, applied: 3, deadLettered: 1 });
  await session.finishSnapshot(target);
  const changes = batchOf({ 5: 'e', 6: null, 7: 'g' }, OP_INSERT);
  const [result] = await applyRows(
    session,
    target,
    '1',
    keyedRows(changes, [ACT_INSERT, ACT_INSERT, ACT_INSERT]),
  );
  expect(result).toMatchObject({ applied: 2, deadLettered: 1 });
  await subject.close();
}

describeEachConnector('dead letters', 'dead letters', (kind) => {
  test('one row of many is refused alone, and its letter tells all', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const { deadLetters } = await subject.destination();
    const list = await deadLetters.list('p');
    expect(list).toMatchObject([
      { pipeline: 'p', stream: 'public.items', code: 'constraint_violated', replayedAt: null },
      { pipeline: 'p', stream: 'public.items', code: 'constraint_violated', replayedAt: null },
    ]);
    expect(list.every(({ op }) => op === 'i' || op === 'r')).toBe(true);
    expect(
      list.every(({ reason, at, position }) => reason !== '' && at !== '' && position !== ''),
    ).toBe(true);
    expect(await deadLetters.list('nobody')).toEqual([]);
    const letters = await Promise.all(list.map(({ id }) => deadLetters.get(id)));
    expect(letters.map((letter) => letter?.payload)).toEqual([
      { id: '2', name: null, big: 'é"\\' },
      { id: '6', name: null, big: 'é"\\' },
    ]);
    expect(await deadLetters.get('999999')).toBeNull();
    await subject.close();
    expect(await names(subject)).toEqual(['1 a', '3 c', '4 d', '5 e', '7 g']);
  });

  test('a replay that fails again says why; once it is mended the rows are there', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const first = await subject.destination();
    const ids = (await first.deadLetters.list('p')).map(({ id }) => id);
    const failed = await first.deadLetters.replay(ids);
    expect(failed.map(({ error }) => error !== null)).toEqual([true, true]);
    await subject.close();
    await subject.sql('drop table public.items', PLAIN);
    const second = await subject.destination();
    expect(await second.deadLetters.replay(ids)).toEqual(ids.map((id) => ({ id, error: null })));
    expect(
      (await second.deadLetters.list('p')).every(({ replayedAt }) => replayedAt !== null),
    ).toBe(true);
    await subject.close();
    expect(await names(subject)).toEqual(['2 null', '6 null']);
  });

  test('a letter is not replayed over a later change of its row', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const { session, destination } = await open(subject);
    await applyRows(
      session,
      target,
      '2',
      keyedRows(batchOf({ 6: 'newer' }, OP_UPDATE), [ACT_REPLACE]),
    );
    const list = await destination.deadLetters.list('p');
    const letters = await Promise.all(list.map(({ id }) => destination.deadLetters.get(id)));
    const old = letters.find((letter) => letter?.payload['id'] === '6');
    expect(await destination.deadLetters.replay([old?.id ?? ''])).toMatchObject([
      { error: expect.any(String) },
    ]);
    await subject.close();
    expect(await names(subject)).toContain('6 newer');
  });

  test('pages have them in order, as far as they are asked for, and no value of theirs', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const { session, destination } = await open(subject);
    const { deadLetters } = destination;
    const all = {
      pipelines: ['other', 'p'],
      stream: null,
      ids: null,
      openOnly: false,
      after: null,
      limit: 10,
    };
    const ids = (await deadLetters.list('p')).map(({ id }) => id);
    const first = await deadLetters.page({ ...all, limit: 1 });
    expect(first.letters.map(({ id }) => id)).toEqual(ids.slice(0, 1));
    const second = await deadLetters.page({ ...all, limit: 1, after: first.next });
    expect(second.letters.map(({ id }) => id)).toEqual(ids.slice(1));
    const last = await deadLetters.page({ ...all, limit: 1, after: second.next });
    expect(last).toEqual({ letters: [], next: null });
    expect(first.letters[0]).toEqual({
      id: ids[0],
      stream: 'public.items',
      code: 'constraint_violated',
      reason: expect.stringMatching(/not.null.*name|name.*not.null/i),
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      isOpen: true,
    });
    const found = async (more: Partial<LetterRange>) =>
      (await deadLetters.page({ ...all, ...more })).letters.map(({ id }) => id);
    expect(await found({ pipelines: ['pp', 'q'] })).toEqual([]);
    expect(await found({ stream: 'public.others' })).toEqual([]);
    expect(await found({ ids: [ids[1] ?? '', '999999'] })).toEqual(ids.slice(1));
    // A later change of the row of the second.
    const newer = keyedRows(batchOf({ 6: 'newer' }, OP_UPDATE), [ACT_REPLACE]);
    await applyRows(session, target, '2', newer);
    expect(await found({ openOnly: true })).toEqual(ids.slice(0, 1));
    expect(await found({ openOnly: false })).toEqual(ids);
    await using parted = await destination.openSession('p_part');
    await parted.prepare(target);
    const refused = keyedRows(batchOf({ 9: null }, OP_INSERT), [ACT_INSERT]);
    await applyRows(parted, target, '3', refused);
    expect(await found({})).toHaveLength(3);
  });

  test('an older letter of a row is not open any more once a newer one was replayed', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const { session } = await open(subject);
    const again = keyedRows(batchOf({ 6: null }, OP_UPDATE), [ACT_REPLACE]);
    await applyRows(session, target, '2', again);
    await subject.close();
    await subject.sql('drop table public.items', PLAIN);
    const { deadLetters } = await subject.destination();
    const letters = await Promise.all(
      (await deadLetters.list('p')).map(({ id }) => deadLetters.get(id)),
    );
    const same = letters.filter((letter) => letter?.payload['id'] === '6');
    const newest = same.at(-1)?.id ?? '';
    expect(await deadLetters.replay([newest])).toEqual([{ id: newest, error: null }]);
    const page = await deadLetters.page({
      pipelines: ['p'],
      stream: null,
      ids: null,
      openOnly: true,
      after: null,
      limit: 10,
    });
    const open6 = page.letters.filter(({ id }) => same.some((letter) => letter?.id === id));
    expect(open6).toEqual([]);
  });

  test('letters are removed by id', async () => {
    await using subject = await kind.open();
    await refuseTwo(subject);
    const { deadLetters } = await subject.destination();
    const [first, second] = (await deadLetters.list(null)).map(({ id }) => id);
    expect(await deadLetters.remove([first ?? '', '999999'])).toBe(1);
    expect((await deadLetters.list(null)).map(({ id }) => id)).toEqual([second]);
  });

  test('letters of a transaction that is rolled back are gone with it', async () => {
    await using subject = await kind.open();
    await subject.sql('create schema if not exists public', PICKY);
    const { session, destination } = await open(subject);
    await session.begin();
    await session.write(
      target,
      keyedRows(batchOf({ 1: null, 2: 'b' }, OP_INSERT), [ACT_INSERT, ACT_INSERT]),
    );
    await session.rollback();
    expect(await destination.deadLetters.list(null)).toEqual([]);
  });
});

import { expect, test } from 'vitest';

import type { DestinationSession, StreamTarget } from '../../src/core/connector.ts';
import {
  column,
  makeBatch,
  makePart,
  makeSchema,
  streamOf,
  UNCHANGED,
} from '../support/row-specs.ts';
import {
  checkpointAt,
  openDestination,
  targetOf,
  writeAt,
} from '../support/postgres-destination.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const int4 = { kind: 'int', bits: 32 } as const;
const text = { kind: 'text' } as const;
const json = { kind: 'json' } as const;

const people = makeSchema({
  name: 'people',
  columns: [
    column('id', 'integer', int4),
    column('name', 'text', text),
    column('data', 'jsonb', json),
  ],
  key: ['id'],
});

async function startPeople(session: DestinationSession, target: StreamTarget): Promise<void> {
  await session.prepare(target);
  const batch = makeBatch(people, 'binary', [
    { cells: [1, 'one', '{"a": 1}'] },
    { cells: [2, 'two', null] },
    { cells: [3, 'three', '[]'] },
  ]);
  await session.loadChunk(
    target,
    { id: 'c1', merge: false, order: '0' },
    { kind: 'batches', batches: streamOf(batch) },
  );
  await session.finishSnapshot(target);
}

for (const encoding of ['binary', 'text'] as const) {
  describeEachServer(`keyed changes, ${encoding} cells`, (server) => {
    test('deletes, replaces, patches and inserts in one write', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people);
      await startPeople(session, target);
      const batch = makeBatch(people, encoding, [
        { op: 'delete', cells: [1, null, null] },
        { op: 'update', cells: [2, 'zwei', '{"b": 2}'] },
        { op: 'update', cells: [3, 'drei', UNCHANGED] },
        { op: 'insert', cells: [4, 'four', '4'] },
        { op: 'update', cells: [9, 'gone', UNCHANGED] },
        { op: 'update', cells: [5, 'five', null] },
      ]);
      const part = makePart(batch, ['delete', 'replace', 'patch', 'insert', 'patch', 'replace']);
      const result = await writeAt(session, '1', () =>
        session.write(target, { kind: 'keyed', parts: [part] }),
      );
      expect(result).toMatchObject({ applied: 5, deadLettered: 0 });
      expect(result.missing).toEqual([{ batch, rows: [4] }]);
      expect(await server.query(database, 'select * from people order by id')).toEqual([
        { id: 2, name: 'zwei', data: { b: 2 } },
        { id: 3, name: 'drei', data: [] },
        { id: 4, name: 'four', data: 4 },
        { id: 5, name: 'five', data: null },
      ]);
      const state = await destination.readState('p');
      expect(state?.checkpoint).toEqual(checkpointAt('1'));
    });

    test('takes rows that are there already when they come again as new', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people);
      await startPeople(session, target);
      const batch = makeBatch(people, encoding, [
        { op: 'insert', cells: [3, 'again', null] },
        { op: 'insert', cells: [7, 'seven', null] },
      ]);
      const rows = { kind: 'keyed', parts: [makePart(batch, ['insert', 'insert'])] } as const;
      for (const position of ['1', '2', '3']) {
        const result = await writeAt(session, position, () => session.write(target, rows));
        expect(result).toEqual({ applied: 2, deadLettered: 0, missing: [] });
      }
      expect(await server.query(database, 'select id, name from people order by id')).toEqual([
        { id: 1, name: 'one' },
        { id: 2, name: 'two' },
        { id: 3, name: 'again' },
        { id: 7, name: 'seven' },
      ]);
    });

    test('unique values may change places, also in patches', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people);
      await startPeople(session, target);
      await server.query(database, 'alter table people add unique (name), add extra text');
      await server.query(database, `update people set extra = 'kept ' || id`);
      const batch = makeBatch(people, encoding, [
        { op: 'update', cells: [1, 'two', null] },
        { op: 'update', cells: [2, 'three', UNCHANGED] },
        { op: 'update', cells: [3, 'one', UNCHANGED] },
        { op: 'insert', cells: [4, 'four', null] },
      ]);
      const part = makePart(batch, ['replace', 'patch', 'patch', 'insert']);
      const result = await writeAt(session, '1', () =>
        session.write(target, { kind: 'keyed', parts: [part] }),
      );
      expect(result).toEqual({ applied: 4, deadLettered: 0, missing: [] });
      expect(await server.query(database, 'select * from people order by id')).toEqual([
        { id: 1, name: 'two', data: null, extra: 'kept 1' },
        { id: 2, name: 'three', data: null, extra: 'kept 2' },
        { id: 3, name: 'one', data: [], extra: 'kept 3' },
        { id: 4, name: 'four', data: null, extra: null },
      ]);
    });

    test('sets apart the rows that a constraint refuses, and replays them in order', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people);
      await startPeople(session, target);
      await server.query(
        database,
        `alter table people add constraint no_bad check (name <> 'bad')`,
      );
      const rows = Array.from({ length: 200 }, (_, index) => ({
        op: 'insert' as const,
        cells: [index + 100, index === 20 || index === 150 ? 'bad' : `n${index}`, null],
      }));
      const batch = makeBatch(people, encoding, rows);
      const part = makePart(
        batch,
        rows.map(() => 'insert' as const),
      );
      const result = await writeAt(session, '5', () =>
        session.write(target, { kind: 'keyed', parts: [part] }),
      );
      expect(result).toEqual({ applied: 198, deadLettered: 2, missing: [] });
      const letters = await destination.deadLetters.list('p');
      expect(letters).toMatchObject([
        { op: 'i', code: 'constraint_violated', position: '5', stream: 'public.people' },
        { op: 'i', code: 'constraint_violated', position: '5', stream: 'public.people' },
      ]);
      expect(letters[0]?.reason).toContain('23514');
      const [first, second] = letters;
      if (first === undefined || second === undefined) throw new Error('two letters expected');
      expect((await destination.deadLetters.get(first.id))?.payload).toEqual({
        id: '120',
        name: 'bad',
        data: null,
      });

      const later = makeBatch(people, encoding, [{ op: 'insert', cells: [120, 'good', null] }]);
      await writeAt(session, '6', () =>
        session.write(target, { kind: 'keyed', parts: [makePart(later, ['insert'])] }),
      );
      await server.query(database, 'alter table people drop constraint no_bad');
      const replayed = await destination.deadLetters.replay([second.id, first.id]);
      expect(replayed).toEqual([
        { id: first.id, error: 'skipped: a later change of the same row was applied' },
        { id: second.id, error: null },
      ]);
      expect(
        await server.query(database, 'select id, name from people where id in (120, 250)'),
      ).toEqual([
        { id: 120, name: 'good' },
        { id: 250, name: 'bad' },
      ]);
      expect(await destination.deadLetters.remove([first.id])).toBe(1);
    });

    test('moves a row to a new key and keeps what the update left unchanged', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people);
      await startPeople(session, target);
      const moved = makeBatch(people, encoding, [
        { op: 'before', cells: [1, null, null] },
        { op: 'update', cells: [10, 'ten', UNCHANGED] },
      ]);
      const onto = makeBatch(people, encoding, [
        { op: 'before', cells: [2, null, null] },
        { op: 'update', cells: [3, 'onto three', UNCHANGED] },
      ]);
      const lost = makeBatch(people, encoding, [
        { op: 'before', cells: [77, null, null] },
        { op: 'update', cells: [78, 'x', UNCHANGED] },
      ]);
      const results = await writeAt(session, '1', async () => [
        await session.write(target, { kind: 'rekey', batch: moved, before: 0, after: 1 }),
        await session.write(target, { kind: 'rekey', batch: onto, before: 0, after: 1 }),
        await session.write(target, { kind: 'rekey', batch: lost, before: 0, after: 1 }),
      ]);
      expect(results.map((result) => result.applied)).toEqual([1, 1, 0]);
      expect(results[2]?.missing).toEqual([{ batch: lost, rows: [1] }]);
      expect(await server.query(database, 'select * from people order by id')).toEqual([
        { id: 3, name: 'onto three', data: [] },
        { id: 10, name: 'ten', data: { a: 1 } },
      ]);
    });

    test('soft deletes mark, and a row that comes back is unmarked', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people, { deletes: 'soft' });
      await startPeople(session, target);
      const gone = makeBatch(people, encoding, [
        { op: 'delete', cells: [1, null, null] },
        { op: 'delete', cells: [2, null, null] },
      ]);
      const back = makeBatch(people, encoding, [{ op: 'insert', cells: [2, 'back', null] }]);
      await writeAt(session, '1', async () => {
        await session.write(target, {
          kind: 'keyed',
          parts: [makePart(gone, ['delete', 'delete'])],
        });
        await session.write(target, { kind: 'keyed', parts: [makePart(back, ['insert'])] });
      });
      const select =
        'select id, name, _forebay_deleted_at is not null as gone from people order by id';
      expect(await server.query(database, select)).toEqual([
        { id: 1, name: 'one', gone: true },
        { id: 2, name: 'back', gone: false },
        { id: 3, name: 'three', gone: false },
      ]);
      const read: number[] = [];
      for await (const rows of session.read(target, ['binary', 'binary', 'binary'])) {
        for (let row = 0; row < rows.rowCount; row++)
          read.push(rows.slab.readInt32BE(rows.cells[row * 6] ?? 0));
      }
      expect(read.toSorted((a, b) => a - b)).toEqual([2, 3]);
    });

    test('appends every event with where and when', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const target = targetOf(people, { load: 'append' });
      await startPeople(session, target);
      const transactions = [{ order: '00A', committedAtMicros: 1_700_000_000_123_456n, ref: '1' }];
      const batch = makeBatch(people, encoding, [
        { op: 'insert', event: 0, cells: [1, 'one', null] },
        { op: 'before', event: 1, cells: [1, null, null] },
        { op: 'update', event: 1, cells: [2, 'two', UNCHANGED] },
        { op: 'delete', event: 2, cells: [2, null, null] },
        { op: 'truncate', event: 3, cells: [null, null, null] },
      ]);
      const part = makePart(batch, ['append', 'skip', 'append', 'append', 'append']);
      const result = await writeAt(session, '1', () =>
        session.write(target, { kind: 'append', parts: [part], transactions }),
      );
      expect(result).toEqual({ applied: 4, deadLettered: 0, missing: [] });
      const select = `select id, _forebay_op as op, _forebay_position as position, _forebay_unchanged as unchanged,
        to_char(_forebay_committed_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') as at
        from people where _forebay_op <> 'r' order by _forebay_position`;
      const at = '2023-11-14 22:13:20.123456';
      expect(await server.query(database, select)).toEqual([
        { id: 1, op: 'i', position: '00A/0000000000', unchanged: null, at },
        { id: 2, op: 'u', position: '00A/0000000001', unchanged: 'data', at },
        { id: 2, op: 'd', position: '00A/0000000002', unchanged: null, at },
        { id: null, op: 't', position: '00A/0000000003', unchanged: null, at },
      ]);
      const reads = await server.query(
        database,
        `select distinct _forebay_position as p from people where _forebay_op = 'r'`,
      );
      expect(reads).toEqual([{ p: '0/0000000000' }]);
    });

    test('without a key, a delete takes one of several equal rows', async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const schema = makeSchema({
        name: 'bag',
        columns: [
          column('n', 'integer', int4),
          column('doc', 'json', json),
          column('at', 'point', { kind: 'other' }),
        ],
      });
      const target = targetOf(schema);
      await session.prepare(target);
      const encodings = [encoding, encoding, 'text'] as const;
      const rows = makeBatch(schema, encodings, [
        ...Array.from({ length: 3 }, () => ({ cells: [1, '{"x": 1}', '(1,2)'] })),
        { cells: [null, null, null] },
        { cells: [null, null, null] },
      ]);
      await session.loadChunk(
        target,
        { id: 'c', merge: false, order: '0' },
        { kind: 'batches', batches: streamOf(rows) },
      );
      await session.finishSnapshot(target);
      const changes = makeBatch(schema, encodings, [
        { op: 'delete', cells: [1, '{"x": 1}', '(1,2)'] },
        { op: 'delete', cells: [1, '{"x": 1}', '(1,2)'] },
        { op: 'delete', cells: [null, null, null] },
        { op: 'insert', cells: [2, '[]', '(0,0)'] },
      ]);
      const part = makePart(changes, ['delete', 'delete', 'delete', 'insert']);
      const result = await writeAt(session, '1', () =>
        session.write(target, { kind: 'multiset', parts: [part] }),
      );
      expect(result).toEqual({ applied: 4, deadLettered: 0, missing: [] });
      expect(await server.query(database, 'select n, doc, at::text from bag order by n')).toEqual([
        { n: 1, doc: { x: 1 }, at: '(1,2)' },
        { n: 2, doc: [], at: '(0,0)' },
        { n: null, doc: null, at: null },
      ]);
    });
  });
}

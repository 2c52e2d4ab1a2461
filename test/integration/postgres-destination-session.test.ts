import { expect, test } from 'vitest';

import type { StreamTarget } from '../../src/core/connector.ts';
import { makeSchema, column, makeBatch, makePart, streamOf } from '../support/row-specs.ts';
import {
  checkpointAt,
  openDestination,
  targetOf,
  testContext,
  writeAt,
} from '../support/postgres-destination.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const int4 = { kind: 'int', bits: 32 } as const;
const int8 = { kind: 'int', bits: 64 } as const;
const text = { kind: 'text' } as const;

const items = makeSchema({
  name: 'items',
  columns: [column('id', 'integer', int4), column('name', 'text', text)],
  key: ['id'],
});

function chunkOf(...ids: number[]) {
  const batch = makeBatch(
    items,
    'binary',
    ids.map((id) => ({ cells: [id, `n${id}`] })),
  );
  return { kind: 'batches', batches: streamOf(batch) } as const;
}

const plain = (id: string) => ({ id, merge: false, order: '0' });
const merged = (id: string) => ({ id, merge: true, order: '0' });

describeEachServer('runs of a pipeline', (server) => {
  test('a later run fences the one before, whose open transaction leaves nothing', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using first = await destination.openSession('p');
    const target = targetOf(items);
    await first.prepare(target);
    await first.finishSnapshot(target);
    await first.begin();
    const rows = makeBatch(items, 'binary', [{ op: 'insert', cells: [1, 'zombie'] }]);
    await first.write(target, { kind: 'keyed', parts: [makePart(rows, ['insert'])] });

    await using second = await destination.openSession('p');
    expect(second.epoch).toBe(first.epoch + 1);
    await writeAt(second, '2', () =>
      second.write(target, {
        kind: 'keyed',
        parts: [makePart(makeBatch(items, 'binary', [{ cells: [1, 'alive'] }]), ['insert'])],
      }),
    );
    await expect(first.commit(checkpointAt('1'), [])).rejects.toMatchObject({ code: 'fenced' });
    await expect(first.assertEpoch()).rejects.toMatchObject({ code: 'fenced' });
    await expect(first.loadChunk(target, plain('z'), chunkOf(9))).rejects.toMatchObject({
      code: 'fenced',
    });
    await expect(first.save([], checkpointAt('9'))).rejects.toMatchObject({ code: 'fenced' });
    await expect(second.assertEpoch()).resolves.toBeUndefined();
    expect(await server.query(database, 'select * from items')).toEqual([{ id: 1, name: 'alive' }]);
  });

  test('is fenced when its checkpoint is gone, and refuses an edited one', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    await session.save([], checkpointAt('1'));
    await server.query(database, `update _forebay.checkpoints set position = '7'`);
    await expect(destination.readState('p')).rejects.toMatchObject({ code: 'checkpoint_corrupt' });
    await server.query(database, 'delete from _forebay.checkpoints');
    await session.begin();
    await expect(session.commit(checkpointAt('2'), [])).rejects.toMatchObject({ code: 'fenced' });
    await session.rollback();
    expect(await destination.readState('p')).toBeNull();
  });

  test('refuses metadata of a newer release', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    expect(await destination.readState('p')).toBeNull();
    await (await destination.openSession('p'))[Symbol.asyncDispose]();
    await server.query(database, 'insert into _forebay.format values (99)');
    await expect(destination.openSession('p')).rejects.toMatchObject({ code: 'newer_version' });
    expect(
      (await destination.check()).filter((finding) => finding.severity === 'error'),
    ).toMatchObject([{ step: 'metadata' }]);
  });

  test('remembers streams, chunks and position; drop leaves nothing but the data', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    const target = targetOf(items);
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      const record = {
        stream: target.id,
        state: 'snapshot',
        reason: null,
        detail: '{"a":1}',
      } as const;
      await session.save([record], checkpointAt('1'));
      expect(await session.loadChunk(target, plain('c1'), chunkOf(1, 2))).toMatchObject({
        read: 2,
        applied: 2,
      });
      await expect(session.loadChunk(target, plain('c1'), chunkOf(3))).rejects.toThrow();
      await Promise.all(
        [3, 4, 5, 6, 7, 8].map((id) => session.loadChunk(target, plain(`c${id}`), chunkOf(id))),
      );
    }
    const state = await destination.readState('p');
    expect(state).toMatchObject({
      epoch: 1,
      checkpoint: checkpointAt('1'),
      streams: [{ stream: 'public.items', state: 'snapshot', reason: null, detail: '{"a":1}' }],
    });
    expect(state?.chunks.get(target.id)?.size).toBe(7);
    expect(await destination.pipelines()).toEqual(['p']);
    expect(await destination.leftovers('p')).toMatchObject([{ kind: 'checkpoint' }]);
    await destination.drop('p');
    expect(await server.query(database, `select to_regnamespace('_forebay') as there`)).toEqual([
      { there: null },
    ]);
    expect(await server.query(database, 'select count(*)::int as n from items')).toEqual([
      { n: 8 },
    ]);
  });

  test('a rolled back transaction takes everything with it and the next one works', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const target = targetOf(items);
    await session.prepare(target);
    await session.finishSnapshot(target);
    const part = makePart(makeBatch(items, 'text', [{ op: 'insert', cells: [1, 'x'] }]), [
      'insert',
    ]);
    await session.begin();
    await session.write(target, { kind: 'keyed', parts: [part] });
    await session.rollback();
    await session.rollback();
    expect(await server.query(database, 'select * from items')).toEqual([]);
    await writeAt(session, '1', () => session.write(target, { kind: 'keyed', parts: [part] }));
    expect(await server.query(database, 'select * from items')).toEqual([{ id: 1, name: 'x' }]);
  });
});

describeEachServer('snapshot loads', (server) => {
  test('merges chunks into rows that are there, also as frames', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    await server.query(
      database,
      `create table items (id int, name text); insert into items values (1, 'old'), (9, 'mine')`,
    );
    const target = targetOf(items);
    expect(await destination.plan(target)).toMatchObject({
      exists: true,
      empty: false,
      frameFormat: 'pg-copy-binary',
    });
    await session.prepare(target);
    await session.loadChunk(target, merged('c1'), chunkOf(1, 2));
    const frames = await framesOf(
      server.url(database),
      `select * from (values (2, 'two'), (3, 'three')) v`,
    );
    const loaded = await session.loadChunk(target, merged('c2'), {
      kind: 'frames',
      stream: frames,
    });
    expect(loaded).toMatchObject({ read: 2, applied: 2 });
    const more = await framesOf(server.url(database), `select 4, 'four'`);
    await session.loadChunk(target, plain('c3'), { kind: 'frames', stream: more });
    await session.finishSnapshot(target);
    await session.finishSnapshot(target);
    expect(await server.query(database, 'select * from items order by id')).toEqual([
      { id: 1, name: 'n1' },
      { id: 2, name: 'two' },
      { id: 3, name: 'three' },
      { id: 4, name: 'four' },
      { id: 9, name: 'mine' },
    ]);
    await session.resetSnapshot(target, { removeRows: true });
    expect(await server.query(database, 'select * from items')).toEqual([]);
    expect((await destination.readState('p'))?.chunks.size).toBe(0);
  });

  test('sets refused rows apart and loads the others', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const target = targetOf(items);
    await session.prepare(target);
    const batch = makeBatch(
      items,
      'binary',
      Array.from({ length: 100 }, (_, id) => ({
        cells: [id, id === 42 ? Buffer.from([0xff, 0xfe]) : 'fine'],
      })),
    );
    const result = await session.loadChunk(target, plain('c'), {
      kind: 'batches',
      batches: streamOf(batch),
    });
    expect(result).toMatchObject({ read: 100, applied: 99, deadLettered: 1 });
    const [letter] = await destination.deadLetters.list('p');
    expect(letter).toMatchObject({ op: 'r', code: 'value_rejected', position: 'c' });
    const whole = await destination.deadLetters.get(letter?.id ?? '');
    expect(whole?.payload).toEqual({ id: '42', name: String.raw`\xfffe` });
  });

  test('replaces a table under its views and grants, at the end and at once', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    const target = targetOf(items, { load: 'replace' });
    await server.query(
      database,
      `create table items (id int, name text); insert into items values (1, 'old');
       create view seen as select * from items`,
    );
    await using session = await destination.openSession('p');
    await session.prepare(target);
    await session.loadChunk(target, plain('c1'), chunkOf(5, 6));
    expect(await server.query(database, 'select id from seen')).toEqual([{ id: 1 }]);
    expect(await destination.leftovers('p')).toMatchObject([
      { kind: 'checkpoint' },
      { kind: 'stage table' },
    ]);
    await session.finishSnapshot(target);
    expect(await server.query(database, 'select id from seen order by id')).toEqual([
      { id: 5 },
      { id: 6 },
    ]);
    // A crash before the stream's state was recorded: nothing is loaded again, nothing may be lost.
    await using again = await destination.openSession('p');
    await again.prepare(target);
    await again.finishSnapshot(target);
    expect(await server.query(database, 'select id from seen order by id')).toEqual([
      { id: 5 },
      { id: 6 },
    ]);
    await again.resetSnapshot(target, { removeRows: false });
    await again.prepare(target);
    await again.loadChunk(target, plain('c1'), chunkOf(7));
    await again.finishSnapshot(target);
    expect(await server.query(database, 'select id from seen')).toEqual([{ id: 7 }]);
    expect(await destination.leftovers('p')).toMatchObject([{ kind: 'checkpoint' }]);
  });
});

describeEachServer('destination tables', (server) => {
  test('names of any kind, types of the user, computed columns', async () => {
    const database = await server.createDatabase();
    const notices: string[] = [];
    await using destination = await openDestination(server.url(database), testContext(notices));
    const name = `Tab"le 🚰 ${'x'.repeat(40)}`;
    const schema = makeSchema({
      namespace: 'My Schema',
      name,
      columns: [
        column('Id', 'bigint', int8),
        column('mood', 'public.mood', text),
        column('code', 'character varying(3)', text),
        column('tags', 'text[]', { kind: 'array', element: text, dimensions: 1 }),
        column('moods', 'public.mood[]', { kind: 'array', element: text, dimensions: 1 }),
        column('net', 'inet', { kind: 'other' }),
      ],
      key: ['Id'],
      computed: [
        { name: 'twice', nativeType: 'bigint', expression: '"Id" * 2' },
        { name: 'odd', nativeType: 'bigint', expression: 'public.not_there("Id")' },
      ],
    });
    const target = targetOf(schema);
    const plan = await destination.plan(target);
    expect(plan.columns).toEqual([
      { name: 'Id', type: 'bigint', encoding: 'binary' },
      { name: 'mood', type: 'text', encoding: 'binary' },
      { name: 'code', type: 'character varying(3)', encoding: 'binary' },
      { name: 'tags', type: 'text[]', encoding: 'binary' },
      { name: 'moods', type: 'text', encoding: 'text' },
      { name: 'net', type: 'inet', encoding: 'text' },
    ]);
    expect(plan).toMatchObject({ exists: false, empty: true, frameFormat: null });
    expect(plan.findings).toMatchObject([{ step: 'computed_column', severity: 'warning' }]);
    await using session = await destination.openSession('p');
    await session.prepare(target);
    expect(notices).toEqual(['computed_column_left_out']);
    const encodings = plan.columns.map((item) => item.encoding);
    const array = Buffer.concat([
      Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0x04, 0x13, 0, 0, 0, 2, 0, 0, 0, 1]),
      Buffer.from([0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0x62]),
    ]);
    const batch = makeBatch(schema, encodings, [
      { cells: [1n, 'happy', 'abc', array, '{happy,sad}', '10.0.0.1/8'] },
      { cells: [2n, 'sad', 'abcd', null, null, null] },
    ]);
    const result = await session.loadChunk(target, plain('c'), {
      kind: 'batches',
      batches: streamOf(batch),
    });
    // A value that is too long is refused, never cut.
    expect(result).toMatchObject({ applied: 1, deadLettered: 1 });
    await session.finishSnapshot(target);
    const rows = await server.query(
      database,
      `select * from "My Schema"."${name.replaceAll('"', '""')}"`,
    );
    expect(rows).toEqual([
      {
        Id: '1',
        mood: 'happy',
        code: 'abc',
        tags: ['a', 'b'],
        moods: '{happy,sad}',
        net: '10.0.0.1/8',
        twice: '2',
      },
    ]);
  });

  test('a table with other columns is refused with the way out', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await server.query(database, 'create table items (id smallint, must int not null)');
    const target = targetOf(items);
    const { findings } = await destination.plan(target);
    expect(findings).toMatchObject([
      { step: 'destination_table', severity: 'error', stream: 'public.items' },
    ]);
    for (const part of [
      'column id is smallint',
      'column name (text) is missing',
      'column must is NOT NULL',
    ]) {
      expect(findings[0]?.message).toContain(part);
    }
    await using session = await destination.openSession('p');
    await expect(session.prepare(target)).rejects.toMatchObject({
      code: 'destination_incompatible',
    });
  });

  test("wider columns take the values, and print them in the stream's type", async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await server.query(database, 'create table items (name varchar, id numeric)');
    await using session = await destination.openSession('p');
    const target = targetOf(items);
    expect((await destination.plan(target)).columns.map((item) => item.encoding)).toEqual([
      'text',
      'binary',
    ]);
    await session.prepare(target);
    await session.loadChunk(target, plain('c'), chunkOf(1, 2));
    await session.finishSnapshot(target);
    const part = makePart(makeBatch(items, 'binary', [{ op: 'update', cells: [2, 'two'] }]), [
      'replace',
    ]);
    await writeAt(session, '1', () => session.write(target, { kind: 'keyed', parts: [part] }));
    expect(await server.query(database, 'select * from items order by id')).toEqual([
      { name: 'n1', id: '1' },
      { name: 'two', id: '2' },
    ]);
    const lengths: number[] = [];
    for await (const batch of session.read(target, ['binary', 'binary']))
      lengths.push(batch.cells[1] ?? 0);
    expect(lengths).toEqual([4]);
  });

  test('columns are added, widened and renamed inside the transaction', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    await session.prepare(targetOf(items));
    await session.loadChunk(targetOf(items), plain('c'), chunkOf(1));
    await session.finishSnapshot(targetOf(items));
    const wider = makeSchema({
      name: 'items',
      version: 2,
      columns: [
        column('id', 'bigint', int8),
        column('title', 'text', text),
        column('state', 'text', text),
      ],
      key: ['id'],
    });
    const target: StreamTarget = targetOf(wider);
    const steps = [
      { kind: 'widen-column', column: 0 },
      { kind: 'rename-column', from: 'name', column: 1, to: null },
      { kind: 'add-column', column: 2, existing: `it's \\ old` },
    ] as const;
    const part = makePart(
      makeBatch(wider, 'binary', [{ op: 'insert', cells: [2n ** 40n, 'big', 'new'] }]),
      ['insert'],
    );
    for (const position of ['1', '2']) {
      await writeAt(session, position, async () => {
        await session.evolve(target, steps);
        await session.write(target, { kind: 'keyed', parts: [part] });
      });
    }
    expect(await server.query(database, 'select * from items order by id')).toEqual([
      { id: '1', title: 'n1', state: `it's \\ old` },
      { id: '1099511627776', title: 'big', state: 'new' },
    ]);
  });

  test('truncates, also where foreign keys forbid it', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const target = targetOf(items);
    await session.prepare(target);
    await session.loadChunk(target, plain('c'), chunkOf(1, 2));
    await session.finishSnapshot(target);
    await server.query(database, 'create table child (id int references items (id))');
    const transaction = { order: '1', committedAtMicros: null, ref: '1' };
    await writeAt(session, '1', () =>
      session.write(target, { kind: 'truncate', transaction, event: 0 }),
    );
    expect(await server.query(database, 'select * from items')).toEqual([]);
  });
});

describeEachServer('checks of a destination', (server) => {
  test('name the statement that mends a missing privilege', async () => {
    const database = await server.createDatabase();
    await server.query(
      'postgres',
      `do $$ begin create role poor login password 'poor'; exception when duplicate_object then null; end $$`,
    );
    await server.query(
      database,
      `revoke create on schema public from public; revoke temporary on database ${database} from public`,
    );
    const url = server.url(database).replace(`postgres:${server.password}@`, 'poor:poor@');
    await using destination = await openDestination(url);
    const errors = (await destination.check()).filter((finding) => finding.severity === 'error');
    expect(errors.map((finding) => finding.error?.code)).toEqual([
      'privilege_missing',
      'privilege_missing',
    ]);
    expect(errors[0]?.fix).toBe(`GRANT CREATE ON DATABASE "${database}" TO "poor";`);
    expect((await destination.plan(targetOf(items))).findings).toMatchObject([
      { step: 'destination_privileges', fix: 'GRANT USAGE, CREATE ON SCHEMA "public" TO poor;' },
    ]);
    await expect(destination.openSession('p')).rejects.toMatchObject({ code: 'privilege_missing' });
    await server.query(
      database,
      `alter database ${database} set default_transaction_read_only = on`,
    );
    await using late = await openDestination(url);
    expect(await late.check()).toContainEqual(
      expect.objectContaining({ step: 'writable', severity: 'error' }),
    );
  });
});

/** Rows in COPY BINARY, as a source of the same family sends them. */
async function framesOf(url: string, select: string) {
  const { PgConnection } = await import('../../src/connectors/postgres/connection.ts');
  const { parsePostgresUrl } = await import('../../src/connectors/postgres/config.ts');
  const { signal } = new AbortController();
  const connection = await PgConnection.connect(parsePostgresUrl(url), {
    applicationName: 'test',
    signal,
  });
  const copy = await connection.copyOut(`COPY (${select}) TO STDOUT (FORMAT binary)`);
  const pieces: Buffer[] = [];
  for await (const piece of copy.frames) pieces.push(Buffer.from(piece));
  await connection.close();
  return { frames: streamOf(...pieces), rows: () => copy.rows() };
}

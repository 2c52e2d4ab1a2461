import { expect, test } from 'vitest';

import type { StreamTarget } from '../../src/core/connector.ts';
import {
  chunkOf,
  items,
  openDestination,
  plain,
  targetOf,
  testContext,
  writeAt,
} from '../support/postgres-destination.ts';
import { column, makeBatch, makePart, makeSchema, streamOf } from '../support/row-specs.ts';
import { describeEachServer } from '../support/shared-servers.ts';

const int8 = { kind: 'int', bits: 64 } as const;
const text = { kind: 'text' } as const;

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
    await writeAt(session, '1', () => session.write(target, { kind: 'truncate' }));
    expect(await server.query(database, 'select * from items')).toEqual([]);
  });
});

describeEachServer('tables made by others', (server) => {
  for (const encoding of ['binary', 'text'] as const) {
    test(`identity, generated and extra columns stay what they are, ${encoding} cells`, async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      await server.query(
        database,
        `create table items (id int generated always as identity, name text, extra text default 'mine',
           loud text generated always as (upper(name)) stored, unique (id))`,
      );
      const target = targetOf(items);
      await session.prepare(target);
      await session.loadChunk(target, plain('c'), chunkOf(1, 2, 3));
      await session.finishSnapshot(target);
      const changes = makeBatch(items, encoding, [
        { op: 'update', cells: [1, 'one'] },
        { op: 'delete', cells: [2, null] },
        { op: 'insert', cells: [3, 'three'] },
        { op: 'insert', cells: [4, 'four'] },
      ]);
      const part = makePart(changes, ['replace', 'delete', 'insert', 'insert']);
      await writeAt(session, '1', () => session.write(target, { kind: 'keyed', parts: [part] }));
      expect(await server.query(database, 'select * from items order by id')).toEqual([
        { id: 1, name: 'one', extra: 'mine', loud: 'ONE' },
        { id: 3, name: 'three', extra: 'mine', loud: 'THREE' },
        { id: 4, name: 'four', extra: 'mine', loud: 'FOUR' },
      ]);
    });

    test(`keys that are equal but written otherwise are one key, ${encoding} cells`, async () => {
      const database = await server.createDatabase();
      await using destination = await openDestination(server.url(database));
      await using session = await destination.openSession('p');
      const schema = makeSchema({
        name: 'keys',
        columns: [
          column('k', 'numeric', { kind: 'decimal', precision: null, scale: null }),
          column('c', 'character(3)', text),
          column('v', 'text', text),
        ],
        key: ['c', 'k'],
      });
      const target = targetOf(schema);
      await session.prepare(target);
      await session.finishSnapshot(target);
      const short = encoding === 'text' ? '1.0' : Buffer.from('00010000000000010001', 'hex');
      const long = encoding === 'text' ? '1.00' : Buffer.from('00010000000000020001', 'hex');
      const first = makeBatch(schema, encoding, [{ op: 'insert', cells: [short, 'a  ', 'old'] }]);
      const second = makeBatch(schema, encoding, [{ op: 'update', cells: [long, 'a', 'new'] }]);
      await writeAt(session, '1', () =>
        session.write(target, { kind: 'keyed', parts: [makePart(first, ['insert'])] }),
      );
      await writeAt(session, '2', () =>
        session.write(target, { kind: 'keyed', parts: [makePart(second, ['replace'])] }),
      );
      expect(await server.query(database, 'select k::text, c, v from keys')).toEqual([
        { k: '1.00', c: 'a  ', v: 'new' },
      ]);
    });
  }

  test('a replaced table with other columns keeps its grants, and its views keep it', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    await server.query(
      database,
      'create table items (id int, old text); grant select on items to pg_monitor',
    );
    const target = targetOf(items, { load: 'replace' });
    await session.prepare(target);
    await session.loadChunk(target, plain('c'), chunkOf(1));
    await server.query(database, 'create view seen as select id from items');
    await expect(session.finishSnapshot(target)).rejects.toMatchObject({
      code: 'destination_incompatible',
    });
    await server.query(database, 'drop view seen');
    await session.finishSnapshot(target);
    const [row] = await server.query(
      database,
      `select i.*, has_table_privilege('pg_monitor', 'items', 'select') as granted from items i`,
    );
    expect(row).toEqual({ id: 1, name: 'n1', granted: true });
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

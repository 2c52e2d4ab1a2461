import { expect, test } from 'vitest';

import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import { PgConnection } from '../../src/connectors/postgres/connection.ts';
import {
  checkpointAt,
  chunkOf,
  items,
  merged,
  openDestination,
  plain,
  targetOf,
  writeAt,
} from '../support/postgres-destination.ts';
import { makeBatch, makePart, streamOf } from '../support/row-specs.ts';
import { describeEachServer } from '../support/shared-servers.ts';

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
      await expect(session.loadChunk(target, plain('c1'), chunkOf(3))).rejects.toThrow(
        'loaded before',
      );
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

  test('chunks that are merged at once make one key and agree on rows that are in several', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const target = targetOf(items);
    await session.prepare(target);
    const loads = Array.from({ length: 12 }, (_, n) =>
      session.loadChunk(target, merged(`c${n}`), chunkOf(1, n + 10)),
    );
    await Promise.all(loads);
    await session.finishSnapshot(target);
    expect(await server.query(database, 'select count(*)::int as n from items')).toEqual([
      { n: 13 },
    ]);
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

  test('a stream that is replaced again takes merged chunks and changes beside the table in use', async () => {
    const database = await server.createDatabase();
    await using destination = await openDestination(server.url(database));
    await using session = await destination.openSession('p');
    const target = targetOf(items, { load: 'replace' });
    const record = { stream: target.id, state: 'streaming', reason: null, detail: '' } as const;
    await session.prepare(target);
    await session.loadChunk(target, plain('c1'), chunkOf(1));
    await session.finishSnapshot(target);
    await session.save([record], checkpointAt('1'));
    await session.resetSnapshot(target, { removeRows: false });
    await session.prepare(target);
    await session.loadChunk(target, merged('c1'), chunkOf(2, 3));
    await session.loadChunk(target, merged('c2'), chunkOf(3, 4));
    const changes = makeBatch(items, 'binary', [{ op: 'update', cells: [3, 'three'] }]);
    await writeAt(session, '2', () =>
      session.write(target, { kind: 'keyed', parts: [makePart(changes, ['replace'])] }),
    );
    expect(await server.query(database, 'select id from items')).toEqual([{ id: 1 }]);
    await session.finishSnapshot(target);
    const later = makeBatch(items, 'binary', [{ op: 'delete', cells: [2, null] }]);
    await writeAt(session, '3', () =>
      session.write(target, { kind: 'keyed', parts: [makePart(later, ['delete'])] }),
    );
    expect(await server.query(database, 'select * from items order by id')).toEqual([
      { id: 3, name: 'three' },
      { id: 4, name: 'n4' },
    ]);
  });
});

/** Rows in COPY BINARY, as a source of the same family sends them. */
async function framesOf(url: string, select: string) {
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

// Change streams: order, transactions, positions, and that only an acknowledgement lets the log go.
import { expect, test } from 'vitest';

import type { ChangeCapability, Source } from '../../src/core/connector.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import { batchTexts, encodingsOf, rowBatch } from '../support/batches.ts';
import { record } from '../support/change-recorder.ts';
import { describeEachConnector, type Subject } from '../support/conformance.ts';

const TABLES = [
  'create schema if not exists public',
  'create table public.a (id integer primary key, v varchar)',
  'create table public.b (id integer primary key, v varchar)',
];

async function begun(subject: Subject) {
  await subject.sql(...TABLES, "insert into public.a values (1, 'old')");
  const source = await subject.source();
  const { changes } = source;
  if (changes === undefined) throw new TypeError('no changes');
  const streams = (await source.discover()).map(({ schema }) => schema);
  const start = await changes.create('p', streams, { parallel: 1 });
  return { source, changes, streams, start };
}

async function snapshotIds(
  source: Source,
  streams: readonly StreamSchema[],
  subject: Subject,
  start: Awaited<ReturnType<ChangeCapability['create']>>,
) {
  const schema = streams.find(({ stream }) => stream.name === 'a');
  if (schema === undefined) throw new Error('no table a');
  const ids: (string | null)[] = [];
  for (const chunk of await start.snapshot.chunks(schema, {
    previous: null,
    targetBytes: 1024 * 1024,
  })) {
    for await (const batch of start.snapshot.read(schema, chunk, encodingsOf(schema, 'text'), {
      dropped: 'null',
    })) {
      ids.push(...batchTexts(batch).map(([id = null]) => id));
      subject.slabs.give(batch.slab);
    }
  }
  expect(source.family).not.toBe('');
  return ids;
}

describeEachConnector('changes', 'changes', (kind) => {
  test('the snapshot and the stream meet: nothing is in both, nothing in neither', async () => {
    await using subject = await kind.open();
    const { source, changes, streams, start } = await begun(subject);
    await subject.sql("insert into public.a values (2, 'after')");
    expect(await snapshotIds(source, streams, subject, start)).toEqual(['1']);
    await start.snapshot[Symbol.asyncDispose]();
    await using seen = await record(source, subject.slabs, {
      pipeline: 'p',
      position: start.position,
      streams,
    });
    await seen.caughtUp();
    expect(seen.rows.map(({ op, values }) => [op, ...values])).toEqual([['i', '2', 'after']]);
    expect(changes.comparePositions(start.position, seen.position())).toBe(-1);
    await changes.verify('p', { position: start.position, source: start.identity, accounts: {} });
  });

  test('events come in order with their transaction, and every operation with what it needs', async () => {
    await using subject = await kind.open();
    const { source, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    await subject.sql(
      "begin; insert into public.a values (2, 'x'); insert into public.b values (1, 'y'); update public.a set v = 'z' where id = 1; commit",
      'update public.a set id = 3 where id = 2',
      'delete from public.b where id = 1',
      'begin; insert into public.b values (7, null); rollback',
      'truncate public.a',
    );
    await using seen = await record(source, subject.slabs, {
      pipeline: 'p',
      position: start.position,
      streams,
    });
    await seen.caughtUp();
    const of = (stream: string) => seen.rows.filter((row) => row.stream === stream);
    expect(of('public.a').map(({ op, values }) => [op, ...values])).toEqual([
      ['i', '2', 'x'],
      ['u', '1', 'z'],
      ['b', '2', null],
      ['u', '3', 'x'],
      ['t', null, null],
    ]);
    expect(of('public.b').map(({ op, values }) => [op, ...values])).toEqual([
      ['i', '1', 'y'],
      ['d', '1', null],
    ]);
    const places = seen.rows
      .filter(({ op }) => op !== 'b')
      .map(({ order, event }) => `${order}/${String(event).padStart(10, '0')}`);
    expect(new Set(places).size).toBe(places.length);
    expect(new Set(seen.rows.map(({ transaction }) => transaction)).size).toBe(4);
    for (const stream of ['public.a', 'public.b']) {
      const orders = of(stream).map(({ order }) => order);
      expect(orders).toEqual(orders.toSorted());
    }
  });

  test('positions are ordered, and a reader that resumes sees what came after and nothing before', async () => {
    await using subject = await kind.open();
    const { source, changes, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    let middle = start.position;
    {
      await using seen = await record(source, subject.slabs, {
        pipeline: 'p',
        position: start.position,
        streams,
      });
      await subject.sql("insert into public.a values (2, 'x')");
      await seen.caughtUp();
      middle = seen.commits.at(-1) ?? '';
    }
    await subject.sql("insert into public.a values (3, 'y')");
    await using again = await record(source, subject.slabs, {
      pipeline: 'p',
      position: middle,
      streams,
    });
    await again.caughtUp();
    expect(again.rows.map(({ values }) => values)).toEqual([['3', 'y']]);
    const all = [start.position, middle, again.position()];
    const orders = all.map((position) => changes.orderOf(position));
    expect(orders).toEqual(orders.toSorted());
    expect(changes.comparePositions(middle, middle)).toBe(0);
    expect(changes.comparePositions(again.position(), start.position)).toBe(1);
    expect(changes.distanceBytes(start.position, middle) ?? 1).toBeGreaterThan(0);
  });

  test('what was not acknowledged comes again, however often it was read', async () => {
    await using subject = await kind.open();
    const { source, changes, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    await subject.sql("insert into public.a values (2, 'x')");
    for (let turn = 0; turn < 2; turn += 1) {
      await using seen = await record(source, subject.slabs, {
        pipeline: 'p',
        position: start.position,
        streams,
      });
      await seen.caughtUp();
      expect(seen.rows.map(({ values }) => values)).toEqual([['2', 'x']]);
    }
    let done = start.position;
    {
      await using seen = await record(source, subject.slabs, {
        pipeline: 'p',
        position: start.position,
        streams,
      });
      await seen.caughtUp();
      done = seen.position();
      seen.reader.acknowledge(done);
    }
    const checkpoint = (position: string) => ({ position, source: start.identity, accounts: {} });
    expect(await changes.verify('p', checkpoint(done))).toEqual(start.identity);
    await expect(changes.verify('p', checkpoint(start.position))).rejects.toMatchObject({
      code: 'position_lost',
    });
  });

  test('another server, or what was removed, is a lost position that says why', async () => {
    await using subject = await kind.open();
    const { changes, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    const facts = Object.fromEntries(
      Object.keys(start.identity.facts).map((name) => [name, 'another']),
    );
    const foreign = {
      position: start.position,
      source: { ...start.identity, facts },
      accounts: {},
    };
    await expect(changes.verify('p', foreign)).rejects.toMatchObject({ code: 'position_lost' });
    expect((await changes.leftovers('p')).length).toBeGreaterThan(0);
    await changes.drop('p');
    await changes.drop('p');
    expect(await changes.leftovers('p')).toEqual([]);
    await expect(
      changes.verify('p', { position: start.position, source: start.identity, accounts: {} }),
    ).rejects.toMatchObject({ code: 'position_lost' });
  });

  test('a later snapshot knows which transactions it has', async () => {
    await using subject = await kind.open();
    const { source, changes, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    await using seen = await record(source, subject.slabs, {
      pipeline: 'p',
      position: start.position,
      streams,
    });
    await subject.sql("insert into public.a values (2, 'before')");
    await using snapshot = await source.snapshot?.open({ parallel: 1 });
    await subject.sql("insert into public.a values (3, 'after')");
    await seen.caughtUp();
    const visibility = snapshot?.visibility ?? null;
    if (visibility === null) throw new Error('the snapshot does not tell what it sees');
    const visible = seen.rows.map(({ transaction, order, values }) => [
      values[1],
      changes.isVisible(visibility, { ref: transaction, order, committedAtMicros: null }),
    ]);
    expect(visible).toEqual([
      ['before', true],
      ['after', false],
    ]);
  });

  test('streams that are not asked for are left out; those added later are sent from then on', async () => {
    await using subject = await kind.open();
    await subject.sql(...TABLES);
    const source = await subject.source();
    const { changes } = source;
    if (changes === undefined) throw new TypeError('no changes');
    const all = (await source.discover()).map(({ schema }) => schema);
    const onlyA = all.filter(({ stream }) => stream.name === 'a');
    const onlyB = all.filter(({ stream }) => stream.name === 'b');
    const start = await changes.create('p', onlyA, { parallel: 1 });
    await start.snapshot[Symbol.asyncDispose]();
    expect([...start.memberships.keys()]).toEqual(['public.a']);
    expect(await changes.memberships('p', all)).toEqual(start.memberships);
    await using seen = await record(source, subject.slabs, {
      pipeline: 'p',
      position: start.position,
      streams: onlyA,
    });
    await subject.sql(
      "insert into public.b values (1, 'unseen')",
      "insert into public.a values (1, 'a')",
    );
    await seen.caughtUp();
    const added = await changes.addStreams('p', onlyB);
    seen.reader.include(onlyB);
    await subject.sql("insert into public.b values (2, 'seen')");
    await seen.caughtUp();
    expect(seen.rows.map(({ stream, values }) => [stream, ...values])).toEqual([
      ['public.a', '1', 'a'],
      ['public.b', '2', 'seen'],
    ]);
    expect(await changes.memberships('p', all)).toEqual(new Map([...start.memberships, ...added]));
  });

  test('lookup gives the rows as they are now, by key', async () => {
    await using subject = await kind.open();
    const { changes, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    await subject.sql(
      "insert into public.a values (2, 'x')",
      "update public.a set v = 'now' where id = 1",
    );
    const schema = streams.find(({ stream }) => stream.name === 'a');
    if (schema === undefined) throw new Error('no table a');
    const keys = rowBatch(schema, [
      { values: ['1', null] },
      { values: ['9', null] },
      { values: ['2', null] },
    ]);
    const found = await changes.lookup(schema, keys, [0, 1]);
    expect(found === null).toBe(kind.sendsAllValues === true);
    if (found === null) return;
    expect(batchTexts(found)).toEqual([['1', 'now']]);
    subject.slabs.give(found.slab);
    expect(subject.slabs.takenBytes).toBe(0);
  });

  test('slabs all come back when a reader ends', async () => {
    await using subject = await kind.open();
    const { source, streams, start } = await begun(subject);
    await start.snapshot[Symbol.asyncDispose]();
    {
      await using seen = await record(source, subject.slabs, {
        pipeline: 'p',
        position: start.position,
        streams,
      });
      await subject.sql(
        "insert into public.a select i, repeat('x', 100) from generate_series(10, 20000) t(i)",
      );
      await seen.caughtUp();
      expect(seen.rows).toHaveLength(19_991);
      expect(seen.drops).toEqual([]);
    }
    expect(subject.slabs.takenBytes).toBe(0);
  });
});

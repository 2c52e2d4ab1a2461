// Sources: what they find, and that a snapshot reads every row exactly once.
import { expect, test } from 'vitest';

import type { SnapshotChunk, SnapshotReader, Source } from '../../src/core/connector.ts';
import type { StreamSchema } from '../../src/core/stream-schema.ts';
import type { CellEncoding } from '../../src/core/value.ts';
import { batchTexts, encodingsOf } from '../support/batches.ts';
import { describeEachConnector, type Subject } from '../support/conformance.ts';

const ROWS = 20_000;
const PARTS = `create table shop.parts (
  a integer not null, b varchar not null, note varchar, amount decimal(12,2), made timestamp, primary key (a, b))`;
const FILL = `insert into shop.parts select i % 7, 'k' || i, case when i % 3 = 0 then null else 'n' || i end,
  i / 4.0, timestamp '2024-01-01 00:00:00' from generate_series(1, ${ROWS}) t(i)`;

async function shop(subject: Subject): Promise<void> {
  await subject.sql(
    'create schema shop',
    PARTS,
    FILL,
    'create table shop.nothing (id integer primary key)',
  );
}

async function schemaOf(source: Source, table: string): Promise<StreamSchema> {
  const found = (await source.discover()).find(({ schema }) => schema.stream.name === table);
  if (found === undefined) throw new Error(`${table} was not discovered`);
  return found.schema;
}

function snapshotOf(source: Source) {
  if (source.snapshot === undefined) throw new TypeError('no snapshot');
  return source.snapshot;
}

/** All rows of a chunk as texts, slabs given back. */
async function readChunk(
  subject: Subject,
  reader: SnapshotReader,
  what: { schema: StreamSchema; chunk: SnapshotChunk; encodings: readonly CellEncoding[] },
): Promise<(string | null)[][]> {
  const rows: (string | null)[][] = [];
  for await (const batch of reader.read(what.schema, what.chunk, what.encodings, {
    dropped: 'null',
  })) {
    rows.push(...batchTexts(batch));
    subject.slabs.give(batch.slab);
  }
  return rows;
}

const SMALL = { previous: null, targetBytes: 128 * 1024 };

describeEachConnector('source', 'snapshot', (kind) => {
  test('check finds nothing wrong with a good system, and changes nothing', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'parts');
    const findings = await source.check([schema], 'snapshot');
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(findings.every(({ step, message }) => step !== '' && message !== '')).toBe(true);
    expect(await source.check(null, 'snapshot')).toEqual(await source.check(null, 'snapshot'));
  });

  test('discover tells columns in order, the key in its order, and what may be read', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const catalog = await source.discover();
    expect(
      catalog.map(({ schema }) => `${schema.stream.namespace}.${schema.stream.name}`).toSorted(),
    ).toEqual(['shop.nothing', 'shop.parts']);
    const parts = catalog.find(({ schema }) => schema.stream.name === 'parts');
    expect(parts?.readable).toBe(true);
    expect(parts?.schema.columns.map(({ name }) => name)).toEqual([
      'a',
      'b',
      'note',
      'amount',
      'made',
    ]);
    expect(parts?.schema.columns.map(({ type }) => type)).toEqual([
      { kind: 'int', bits: 32 },
      { kind: 'text' },
      { kind: 'text' },
      { kind: 'decimal', precision: 12, scale: 2 },
      { kind: 'timestamp', zoned: false },
    ]);
    expect(parts?.schema).toMatchObject({
      identity: 'key',
      key: [0, 1],
      version: 1,
      family: source.family,
    });
    expect(parts?.schema.columns.map(({ nullable }) => nullable)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ]);
    expect(new Set(parts?.schema.columns.map(({ ref }) => ref)).size).toBe(5);
  });

  test('chunks cover every row exactly once, and slabs all come back', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'parts');
    await using reader = await snapshotOf(source).open({ parallel: 2 });
    const chunks = await reader.chunks(schema, SMALL);
    expect(chunks.length).toBeGreaterThan(1);
    expect(new Set(chunks.map(({ id }) => id)).size).toBe(chunks.length);
    const rows: (string | null)[][] = [];
    for (const chunk of chunks) {
      rows.push(
        ...(await readChunk(subject, reader, {
          schema,
          chunk,
          encodings: encodingsOf(schema, 'binary'),
        })),
      );
    }
    expect(rows).toHaveLength(ROWS);
    expect(new Set(rows.map(([, b]) => b)).size).toBe(ROWS);
    const sample = rows.find(([, b]) => b === 'k10');
    expect(sample).toEqual(['3', 'k10', 'n10', '2.50', '2024-01-01 00:00:00']);
    expect(subject.slabs.takenBytes).toBe(0);
  });

  test('both encodings say the same', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'parts');
    await using reader = await snapshotOf(source).open({ parallel: 1 });
    const [chunk] = await reader.chunks(schema, SMALL);
    if (chunk === undefined) throw new Error('no chunk');
    const binary = await readChunk(subject, reader, {
      schema,
      chunk,
      encodings: encodingsOf(schema, 'binary'),
    });
    const text = await readChunk(subject, reader, {
      schema,
      chunk,
      encodings: encodingsOf(schema, 'text'),
    });
    expect(text).toEqual(binary);
    expect(text.length).toBeGreaterThan(0);
  });

  test('a later snapshot reads the remaining chunks by their ids', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'parts');
    const encodings = encodingsOf(schema, 'binary');
    const seen: (string | null)[][] = [];
    let previous: readonly string[] = [];
    {
      await using reader = await snapshotOf(source).open({ parallel: 1 });
      const chunks = await reader.chunks(schema, SMALL);
      previous = chunks.map(({ id }) => id);
      const [first] = chunks;
      if (first !== undefined)
        seen.push(...(await readChunk(subject, reader, { schema, chunk: first, encodings })));
    }
    await using again = await snapshotOf(source).open({ parallel: 1 });
    const chunks = await again.chunks(schema, { previous, targetBytes: 10 * 1024 * 1024 });
    expect(chunks.map(({ id }) => id)).toEqual(previous);
    for (const chunk of chunks.slice(1)) {
      seen.push(...(await readChunk(subject, again, { schema, chunk, encodings })));
    }
    expect(new Set(seen.map(([, b]) => b)).size).toBe(ROWS);
    expect(seen).toHaveLength(ROWS);
  });

  test('an early stop gives back what was read ahead, and the reader goes on', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'parts');
    const encodings = encodingsOf(schema, 'binary');
    await using reader = await snapshotOf(source).open({ parallel: 1 });
    const [chunk] = await reader.chunks(schema, {
      previous: null,
      targetBytes: 1024 * 1024 * 1024,
    });
    if (chunk === undefined) throw new Error('no chunk');
    for await (const batch of reader.read(schema, chunk, encodings, { dropped: 'null' })) {
      subject.slabs.give(batch.slab);
      break;
    }
    expect(subject.slabs.takenBytes).toBe(0);
    expect((await readChunk(subject, reader, { schema, chunk, encodings })).length).toBe(ROWS);
  });

  test('an empty table has no row', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const source = await subject.source();
    const schema = await schemaOf(source, 'nothing');
    await using reader = await snapshotOf(source).open({ parallel: 1 });
    for (const chunk of await reader.chunks(schema, SMALL)) {
      expect(await readChunk(subject, reader, { schema, chunk, encodings: ['binary'] })).toEqual(
        [],
      );
    }
    expect(subject.slabs.takenBytes).toBe(0);
  });

  test('a table that is gone is a schema failure of that table', async () => {
    await using subject = await kind.open();
    await shop(subject);
    const schema = await schemaOf(await subject.source(), 'parts');
    await subject.close();
    await subject.sql('drop table shop.parts');
    const source = await subject.source();
    await using reader = await snapshotOf(source).open({ parallel: 1 });
    const reading = async (): Promise<void> => {
      for (const chunk of await reader.chunks(schema, SMALL)) {
        await readChunk(subject, reader, {
          schema,
          chunk,
          encodings: encodingsOf(schema, 'binary'),
        });
      }
    };
    await expect(reading()).rejects.toMatchObject({
      class: 'schema',
      code: expect.stringMatching(/^table_/),
    });
    expect(subject.slabs.takenBytes).toBe(0);
  });

  test('a source can be closed twice', async () => {
    await using subject = await kind.open();
    const source = await subject.source();
    await source[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });
});

// Constraints of tables that the user made: the row that one refuses is a dead letter, the others go on.
import { describe, expect, it } from 'vitest';
import type { SqlValue } from '../../src/connectors/duckdb/database.ts';
import type { DestinationSession, StreamTarget } from '../../src/core/connector.ts';
import {
  ACT_APPEND,
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
} from '../../src/core/folded-rows.ts';
import { OP_BEFORE, OP_UPDATE } from '../../src/core/row-batch.ts';
import {
  type BatchRow,
  rowBatch,
  streamSchema,
  streamTarget,
  UNCHANGED,
} from '../support/batches.ts';
import {
  applyRows,
  chunkOf,
  type DuckdbFixture,
  duckdbFixture,
  keyedRows,
} from '../support/duckdb-fixture.ts';

const COLUMNS = {
  id: { kind: 'int', bits: 64 },
  name: { kind: 'text' },
  n: { kind: 'int', bits: 32 },
} as const;
const things = streamSchema(COLUMNS, { name: 'things' });
const keyless = streamSchema(COLUMNS, { name: 'things', key: [] });

const row = (id: number, name: string | null, n = 0): BatchRow => ({
  values: [String(id), name, String(n)],
});
const marks = [{ order: '1', committedAtMicros: 0n, ref: '1' }];

async function withTable(
  file: DuckdbFixture,
  create: string | readonly string[],
  target: StreamTarget,
  act: (session: DestinationSession) => Promise<void>,
): Promise<{ rows: SqlValue[][]; letters: string[][] }> {
  await file.sql('CREATE SCHEMA public', ...[create].flat());
  const destination = await file.destination();
  {
    await using session = await destination.openSession('p');
    await session.prepare(target);
    await act(session);
  }
  const letters: string[][] = [];
  for (const { id, op, code, reason } of await destination.deadLetters.list('p')) {
    const letter = await destination.deadLetters.get(id);
    letters.push([op, code, reason, String(letter?.payload['id'])]);
  }
  letters.sort((a, b) => Number(a[3]) - Number(b[3]));
  await destination[Symbol.asyncDispose]();
  const rows = await file.sql('SELECT id, name, n FROM public.things ORDER BY id, name, n');
  return { rows, letters };
}

const CHECKED = `CREATE TABLE public.things (id BIGINT, name VARCHAR CHECK (name <> 'bad'), n INT)`;
const NAMED = `CREATE TABLE public.things (id BIGINT PRIMARY KEY, name VARCHAR UNIQUE, n INT)`;
const CHECK = `CHECK(("name" != 'bad'))`;
const UNIQUE = 'UNIQUE("name")';
const broken = (id: number, reason = CHECK, op = 'r') => [
  op,
  'constraint_violated',
  reason,
  String(id),
];

describe('a chunk of a snapshot', () => {
  it.each([
    ['into an empty table', CHECKED, false],
    [
      'into a table with rows',
      [CHECKED, `INSERT INTO public.things VALUES (1, 'old', 0), (2, 'old', 0)`],
      true,
    ],
    [
      'into a table with columns of the user',
      `CREATE TABLE public.things (mine INT DEFAULT 4 CHECK (mine > n), id BIGINT, name VARCHAR, n INT, CHECK (name <> 'bad'))`,
      false,
    ],
  ] as const)('%s leaves out what a CHECK refuses', async (_, create, merge) => {
    await using file = duckdbFixture();
    const { rows, letters } = await withTable(
      file,
      create,
      streamTarget(things),
      async (session) => {
        const batches = [
          [row(1, 'a'), row(2, 'bad')],
          [row(3, 'bad'), row(4, 'd'), row(5, null)],
        ];
        const result = await session.loadChunk(
          streamTarget(things),
          { id: 'c', merge, order: '0' },
          chunkOf(...batches.map((batch) => rowBatch(things, batch))),
        );
        expect(result).toMatchObject({ read: 5, applied: 3, deadLettered: 2 });
      },
    );
    expect(rows).toEqual([
      [1, 'a', 0],
      ...(merge ? [[2, 'old', 0]] : []),
      [4, 'd', 0],
      [5, null, 0],
    ]);
    expect(letters).toEqual([broken(2), broken(3)]);
  });

  it.each([
    ['a UNIQUE column', [NAMED], UNIQUE],
    [
      'a unique index on an expression',
      [
        'CREATE TABLE public.things (id BIGINT, name VARCHAR, n INT)',
        'CREATE UNIQUE INDEX one_name ON public.things (lower(name), n)',
      ],
      'unique index one_name',
    ],
  ])('takes one row of those that are equal by %s', async (_, create, reason) => {
    await using file = duckdbFixture();
    const { rows, letters } = await withTable(
      file,
      create,
      streamTarget(things),
      async (session) => {
        await session.loadChunk(
          streamTarget(things),
          { id: 'c', merge: false, order: '0' },
          chunkOf(
            rowBatch(things, [row(1, 'a'), row(2, 'b'), row(3, 'a')]),
            rowBatch(things, [row(4, 'b'), row(5, null), row(6, null)]),
          ),
        );
      },
    );
    expect(rows.map(([id]) => id)).toEqual([1, 2, 5, 6]);
    expect(letters).toEqual([broken(3, reason), broken(4, reason)]);
  });
});

describe('changes by key', () => {
  const target = streamTarget(things);
  const start = `INSERT INTO public.things VALUES (1, 'one', 1), (2, 'two', 2), (3, 'three', 3)`;

  it('that a CHECK refuses leave the row as it was', async () => {
    await using file = duckdbFixture();
    const create = `CREATE TABLE public.things (id BIGINT, name VARCHAR, n INT, CHECK (name <> 'bad'), CHECK (length(name) > n))`;
    const { rows, letters } = await withTable(file, [create, start], target, async (session) => {
      const batch = rowBatch(things, [
        row(1, 'bad'),
        { op: OP_UPDATE, values: ['2', UNCHANGED, '3'] },
        { op: OP_UPDATE, values: ['3', UNCHANGED, '4'] },
        row(4, 'bad'),
        row(5, 'five'),
      ]);
      const acts = [ACT_REPLACE, ACT_PATCH, ACT_PATCH, ACT_INSERT, ACT_INSERT];
      const [result] = await applyRows(session, target, '1', keyedRows(batch, acts));
      expect(result).toMatchObject({ applied: 2, deadLettered: 3, missing: [] });
    });
    expect(rows).toEqual([
      [1, 'one', 1],
      [2, 'two', 2],
      [3, 'three', 4],
      [5, 'five', 0],
    ]);
    expect(letters).toEqual([broken(1), broken(2, 'CHECK((length("name") > n))', 'u'), broken(4)]);
  });

  it('that a CHECK cannot be asked of are refused', async () => {
    await using file = duckdbFixture();
    const create = `CREATE TABLE public.things (id BIGINT, name VARCHAR CHECK (name::INT > 3), n INT)`;
    const { rows, letters } = await withTable(file, create, target, async (session) => {
      const batch = rowBatch(things, [row(1, '4'), row(2, 'x'), row(3, '2')]);
      await applyRows(session, target, '1', keyedRows(batch, [ACT_INSERT, ACT_INSERT, ACT_INSERT]));
    });
    expect(rows).toEqual([[1, '4', 0]]);
    expect(letters).toHaveLength(2);
  });

  it('may hand unique values from row to row', async () => {
    await using file = duckdbFixture();
    const { rows, letters } = await withTable(file, [NAMED, start], target, async (session) => {
      const batch = rowBatch(things, [row(1, 'two'), row(2, 'one'), row(3, null), row(4, 'three')]);
      const acts = [ACT_REPLACE, ACT_REPLACE, ACT_DELETE, ACT_INSERT];
      await applyRows(session, target, '1', keyedRows(batch, acts));
    });
    expect(rows).toEqual([
      [1, 'two', 0],
      [2, 'one', 0],
      [4, 'three', 0],
    ]);
    expect(letters).toEqual([]);
  });

  it('that need what a refused row keeps are refused with it', async () => {
    await using file = duckdbFixture();
    const create = [
      `CREATE TABLE public.things (id BIGINT PRIMARY KEY, name VARCHAR UNIQUE, n INT CHECK (n < 9))`,
      start,
    ];
    const { rows, letters } = await withTable(file, create, target, async (session) => {
      const batch = rowBatch(things, [row(1, 'x', 9), row(4, 'one'), row(5, 'three'), row(6, 'y')]);
      const acts = [ACT_REPLACE, ACT_INSERT, ACT_INSERT, ACT_INSERT];
      await applyRows(session, target, '1', keyedRows(batch, acts));
    });
    expect(rows.map(([id, name]) => [id, name])).toEqual([
      [1, 'one'],
      [2, 'two'],
      [3, 'three'],
      [6, 'y'],
    ]);
    expect(letters).toHaveLength(3);
  });

  it('of the key itself are held against the row that has it or moves', async () => {
    await using file = duckdbFixture();
    const { rows, letters } = await withTable(file, [CHECKED, start], target, async (session) => {
      const moves = [
        ['1', '11', 'bad'],
        ['2', '12', 'fine'],
      ] as const;
      for (const [index, [from, to, name]] of moves.entries()) {
        const batch = rowBatch(things, [
          { op: OP_BEFORE, values: [from, undefined, undefined] },
          { op: OP_UPDATE, values: [to, name, UNCHANGED] },
        ]);
        const rekey = { kind: 'rekey', batch, before: 0, after: 1 } as const;
        const [result] = await applyRows(session, target, String(index), rekey);
        expect(result).toMatchObject({ applied: index, deadLettered: 1 - index });
      }
    });
    expect(rows).toEqual([
      [1, 'one', 1],
      [3, 'three', 3],
      [12, 'fine', 2],
    ]);
    expect(letters).toEqual([broken(11, CHECK, 'u')]);
  });

  it('are written from their letters once the constraint is gone', async () => {
    await using file = duckdbFixture();
    await withTable(file, CHECKED, target, async (session) => {
      await applyRows(
        session,
        target,
        '1',
        keyedRows(rowBatch(things, [row(1, 'bad')]), [ACT_INSERT]),
      );
    });
    await using destination = await file.destination();
    const ids = (await destination.deadLetters.list('p')).map(({ id }) => id);
    const [again] = await destination.deadLetters.replay(ids);
    expect(again?.error).toBe('it was refused again');
    await destination[Symbol.asyncDispose]();
    await file.sql(
      'DROP TABLE public.things',
      'CREATE TABLE public.things (id BIGINT, name VARCHAR, n INT)',
    );
    await using later = await file.destination();
    expect((await later.deadLetters.replay(ids))[0]?.error).toBeNull();
    await later[Symbol.asyncDispose]();
    expect(await file.sql('SELECT name FROM public.things')).toEqual([['bad']]);
  });
});

describe('rows without a key, and events', () => {
  it('rows that a rule refuses stay out, others stand in for those removed', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(keyless);
    const create = [
      `CREATE TABLE public.things (id BIGINT, name VARCHAR UNIQUE CHECK (name <> 'bad'), n INT)`,
      `INSERT INTO public.things VALUES (1, 'one', 0), (2, 'two', 0)`,
    ];
    const { rows, letters } = await withTable(file, create, target, async (session) => {
      const batch = rowBatch(keyless, [
        row(1, 'one'),
        row(1, 'one', 5),
        row(3, 'two'),
        row(4, 'bad'),
      ]);
      const actions = Uint8Array.of(ACT_DELETE, ACT_INSERT, ACT_INSERT, ACT_INSERT);
      const [result] = await applyRows(session, target, '1', {
        kind: 'multiset',
        parts: [{ batch, actions }],
      });
      expect(result).toMatchObject({ applied: 2, deadLettered: 2 });
    });
    expect(rows).toEqual([
      [1, 'one', 5],
      [2, 'two', 0],
    ]);
    expect(letters).toEqual([broken(3, UNIQUE), broken(4)]);
  });

  it('events that a rule refuses stay out', async () => {
    await using file = duckdbFixture();
    const target = streamTarget(things, { load: 'append' });
    const create = `CREATE TABLE public.things (id BIGINT PRIMARY KEY, name VARCHAR CHECK (name <> 'bad'), n INT)`;
    const { rows, letters } = await withTable(file, create, target, async (session) => {
      await session.loadChunk(
        target,
        { id: 'c', merge: false, order: '0' },
        chunkOf(rowBatch(things, [row(1, 'a'), row(2, 'bad')])),
      );
      const batch = rowBatch(things, [row(3, 'c'), row(1, 'again'), row(4, 'bad')]);
      const actions = Uint8Array.of(ACT_APPEND, ACT_APPEND, ACT_APPEND);
      const append = { kind: 'append', parts: [{ batch, actions }], transactions: marks } as const;
      const [result] = await applyRows(session, target, '1', append);
      expect(result).toMatchObject({ applied: 1, deadLettered: 2 });
    });
    expect(rows).toEqual([
      [1, 'a', 0],
      [3, 'c', 0],
    ]);
    expect(letters).toEqual([broken(1, 'PRIMARY KEY(id)'), broken(2), broken(4)]);
  });
});

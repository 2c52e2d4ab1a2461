// Indexes of the user on a DuckDB table: any changes that keep the values apart are written, in any order.
import { describe, expect, it } from 'vitest';
import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  type FoldedRows,
} from '../../src/core/folded-rows.ts';
import { OP_BEFORE, OP_UPDATE } from '../../src/core/row-batch.ts';
import {
  type BatchRow,
  rowBatch,
  streamSchema,
  streamTarget,
  UNCHANGED,
} from '../support/batches.ts';
import { chunkOf, checkpointAt, duckdbFixture, keyedRows } from '../support/duckdb-fixture.ts';
import { type Random, seededRandom } from '../support/random.ts';

const schema = streamSchema(
  { id: { kind: 'int', bits: 64 }, tag: { kind: 'text' }, n: { kind: 'int', bits: 32 } },
  { name: 'tagged' },
);

type Rows = Map<number, { readonly tag: string; readonly n: number }>;

/** More rows than DuckDB handles at once, so that values pass from one vector to another. */
const ROWS = 3000;

/** The same rows, their tags handed on. */
function rotated(rows: Rows): Rows {
  const tags = [...rows.values()].map(({ tag }) => tag);
  return new Map([...rows].map(([id, { n }], index) => [id, { tag: tags.at(index - 1) ?? '', n }]));
}

const full = (rows: Rows, id: number): BatchRow => {
  const row = rows.get(id);
  return { values: [String(id), row?.tag ?? null, String(row?.n ?? 0)] };
};

/** Some rows go, some come, and the values of all that changed are dealt out anew. */
function reshuffle(rows: Rows, random: Random): FoldedRows {
  const touched = [...rows.keys()].filter(() => random.chance(40));
  const tags = touched.map((id) => rows.get(id)?.tag ?? '');
  const acts = new Map<number, number>();
  for (const id of touched) {
    const gone = random.chance(20);
    if (gone) rows.delete(id);
    acts.set(id, gone ? ACT_DELETE : random.chance(50) ? ACT_REPLACE : ACT_PATCH);
  }
  while (rows.size < ROWS) {
    const id = random.below(ROWS * 4);
    if (rows.has(id)) continue;
    rows.set(id, { tag: '', n: 0 });
    acts.set(id, acts.has(id) ? ACT_REPLACE : ACT_INSERT);
  }
  const batch: BatchRow[] = [];
  for (const [id, act] of acts) {
    const old = rows.get(id);
    if (old !== undefined) {
      const [tag = `t${random.below(1e9)}`] = tags.splice(random.below(tags.length), 1);
      rows.set(id, { tag, n: act === ACT_PATCH ? old.n : random.below(100) });
    }
    const row = full(rows, id);
    batch.push(
      act === ACT_PATCH
        ? { op: OP_UPDATE, values: [row.values[0], row.values[1], UNCHANGED] }
        : row,
    );
  }
  return keyedRows(rowBatch(schema, batch), [...acts.values()]);
}

/** A row takes another key. */
function move(rows: Rows, random: Random): FoldedRows {
  const from = random.pick([...rows.keys()]);
  const row = rows.get(from) ?? { tag: '', n: 0 };
  let to = from;
  while (rows.has(to)) to = random.below(ROWS * 4);
  rows.delete(from);
  rows.set(to, row);
  const batch = rowBatch(schema, [
    { op: OP_BEFORE, values: [String(from), undefined, undefined] },
    { op: OP_UPDATE, values: [String(to), row.tag, UNCHANGED] },
  ]);
  return { kind: 'rekey', batch, before: 0, after: 1 };
}

describe('indexes of the user', () => {
  it.each([
    [
      'a primary key and a unique column',
      ['CREATE TABLE public.tagged (id BIGINT PRIMARY KEY, tag VARCHAR UNIQUE, n INT)'],
    ],
    [
      'the same beside a column of their own',
      [
        'CREATE TABLE public.tagged (id BIGINT PRIMARY KEY, mine INT DEFAULT 5, tag VARCHAR UNIQUE, n INT)',
      ],
    ],
    ['its key', ['CREATE TABLE public.tagged (id BIGINT PRIMARY KEY, tag VARCHAR, n INT)']],
    [
      'its key beside a column of their own',
      [
        'CREATE TABLE public.tagged (id BIGINT PRIMARY KEY, mine INT DEFAULT 5, tag VARCHAR, n INT)',
      ],
    ],
    [
      'indexes made later',
      [
        'CREATE TABLE public.tagged (id BIGINT, tag VARCHAR, n INT)',
        'CREATE UNIQUE INDEX tags ON public.tagged (tag)',
        'CREATE INDEX ns ON public.tagged (n)',
        'CREATE UNIQUE INDEX ids ON public.tagged (id)',
      ],
    ],
  ])('%s', { timeout: 120_000 }, async (_, create) => {
    await using file = duckdbFixture();
    await file.sql('CREATE SCHEMA public', ...create);
    const target = streamTarget(schema);
    const random = seededRandom(7);
    let rows: Rows = new Map();
    for (let id = 0; id < ROWS; id += 1) rows.set(id, { tag: `t${id}`, n: id });
    const destination = await file.destination();
    {
      await using session = await destination.openSession('p');
      await session.prepare(target);
      for (const merge of [false, true]) {
        if (merge) rows = rotated(rows);
        const ids = [...rows.keys()];
        const batch = rowBatch(
          schema,
          ids.map((id) => full(rows, id)),
        );
        const chunk = { id: String(merge), merge, order: '0' };
        const result = await session.loadChunk(target, chunk, chunkOf(batch));
        expect(result).toMatchObject({ applied: ROWS, deadLettered: 0 });
      }
      for (let transaction = 0; transaction < 8; transaction += 1) {
        const before = new Map(rows);
        await session.begin();
        for (let write = 0; write < 3; write += 1) {
          for (const change of [reshuffle(rows, random), move(rows, random), move(rows, random)]) {
            const result = await session.write(target, change);
            expect(result).toMatchObject({ deadLettered: 0, missing: [] });
          }
        }
        if (random.chance(30)) {
          await session.rollback();
          rows = before;
        } else await session.commit(checkpointAt(String(transaction)), []);
      }
    }
    await destination[Symbol.asyncDispose]();
    const there = await file.sql('SELECT id, tag, n FROM public.tagged ORDER BY id');
    const here = [...rows].toSorted(([a], [b]) => a - b).map(([id, { tag, n }]) => [id, tag, n]);
    expect(there).toEqual(here);
  });
});

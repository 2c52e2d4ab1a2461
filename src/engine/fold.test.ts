import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import {
  batchTexts,
  type BatchRow,
  rowBatch,
  streamSchema,
  UNCHANGED,
} from '../../test/support/batches.ts';
import {
  ACT_DELETE,
  ACT_INSERT,
  ACT_PATCH,
  ACT_REPLACE,
  ACT_SKIP,
  type FoldedPart,
  type FoldedRows,
} from '../core/folded-rows.ts';
import {
  OP_BEFORE,
  OP_DELETE,
  OP_INSERT,
  OP_READ,
  OP_TRUNCATE,
  OP_UPDATE,
  type RowBatch,
} from '../core/row-batch.ts';
import { SlabPool } from '../core/slab.ts';
import { UNCHANGED_CELL } from '../core/value.ts';
import { foldKeyed, foldNothing } from './fold.ts';
import { foldMultiset } from './fold-multiset.ts';

const schema = streamSchema({
  id: { kind: 'int', bits: 32 },
  a: { kind: 'text' },
  big: { kind: 'text' },
});
const mark = { order: '1', committedAtMicros: null, ref: '1' };

type Row = readonly [string, string | null, string | null];
type Table = Map<string, Row>;

interface Step {
  readonly kind: 'insert' | 'update' | 'move' | 'delete' | 'truncate' | 'read';
  readonly key: number;
  readonly to: number;
  readonly a: string | null;
  readonly big: string | null;
  readonly keepsBig: boolean;
}

const value = fc.option(fc.string({ maxLength: 3 }), { nil: null });
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom(
    'insert',
    'insert',
    'update',
    'update',
    'move',
    'delete',
    'read',
    'truncate',
  ),
  key: fc.nat(5),
  to: fc.nat(5),
  a: value,
  big: value,
  keepsBig: fc.boolean(),
});

const truncateRow: BatchRow = { op: OP_TRUNCATE, values: [undefined, undefined, undefined] };

/** Carries out what is possible of a step in the source, and gives the rows that it would send. */
function happen(table: Table, { kind, key, to, a, big, keepsBig }: Step): BatchRow[] {
  const id = String(key);
  const old = table.get(id);
  if (kind === 'truncate') {
    table.clear();
    return [truncateRow];
  }
  if (kind === 'insert') {
    if (old !== undefined) return [];
    table.set(id, [id, a, big]);
    return [{ op: OP_INSERT, values: [id, a, big] }];
  }
  if (kind === 'read') {
    if (old === undefined) return [];
    return [{ op: OP_READ, values: old }];
  }
  if (old === undefined) return [];
  if (kind === 'delete') {
    table.delete(id);
    return [{ op: OP_DELETE, values: [id, undefined, undefined] }];
  }
  const target = kind === 'move' ? String(to) : id;
  if (target !== id && table.has(target)) return [];
  table.delete(id);
  table.set(target, [target, a, keepsBig ? old[2] : big]);
  const after: BatchRow = { op: OP_UPDATE, values: [target, a, keepsBig ? UNCHANGED : big] };
  return target === id ? [after] : [{ op: OP_BEFORE, values: [id, undefined, undefined] }, after];
}

/** Cuts rows into batches; a row and the old identity before it stay together. */
function batchesOf(rows: readonly (readonly BatchRow[])[], sizes: readonly number[]): RowBatch[] {
  const batches: RowBatch[] = [];
  let left = [...rows];
  for (let turn = 0; left.length > 0; turn += 1) {
    const size = sizes.length === 0 ? left.length : (sizes[turn % sizes.length] ?? 1);
    batches.push(rowBatch(schema, left.slice(0, size).flat()));
    left = left.slice(size);
  }
  return batches;
}

function partRows(part: FoldedPart): { action: number; row: Row; keepsBig: boolean }[] {
  return batchTexts(part.batch).map(([id = null, a = null, big = null], index) => ({
    action: part.actions[index] ?? ACT_SKIP,
    row: [id ?? '', a, big],
    keepsBig: part.batch.cells[index * 6 + 5] === UNCHANGED_CELL,
  }));
}

function applyKeyed(table: Table, rows: FoldedRows & { kind: 'keyed' }): void {
  const all = rows.parts.flatMap(partRows).filter(({ action }) => action !== ACT_SKIP);
  const keys = all.map(({ row }) => row[0]);
  expect(new Set(keys).size, 'each key once').toBe(keys.length);
  for (const { action, row } of all) if (action === ACT_DELETE) table.delete(row[0]);
  for (const { action, row, keepsBig } of all) {
    if (action === ACT_INSERT || action === ACT_REPLACE) {
      expect(keepsBig, 'whole rows only').toBe(false);
      table.set(row[0], row);
    } else if (action === ACT_PATCH) {
      const old = table.get(row[0]);
      expect(old, 'a row to patch').toBeDefined();
      table.set(row[0], [row[0], row[1], keepsBig ? (old?.[2] ?? null) : row[2]]);
    }
  }
}

function applyRekey(table: Table, { batch, before, after }: FoldedRows & { kind: 'rekey' }): void {
  const rows = partRows({ batch, actions: new Uint8Array(batch.rowCount) });
  const oldKey = rows[before]?.row[0] ?? '';
  const fresh = rows[after];
  if (fresh === undefined) return;
  const old = table.get(oldKey);
  table.delete(oldKey);
  table.set(fresh.row[0], [
    fresh.row[0],
    fresh.row[1],
    fresh.keepsBig ? (old?.[2] ?? null) : fresh.row[2],
  ]);
}

function apply(table: Table, folded: readonly FoldedRows[]): void {
  for (const rows of folded) {
    if (rows.kind === 'keyed') applyKeyed(table, rows);
    else if (rows.kind === 'truncate') table.clear();
    else if (rows.kind === 'rekey') applyRekey(table, rows);
    else throw new Error(`not of a keyed fold: ${rows.kind}`);
  }
}

const history = fc.record({
  start: fc.uniqueArray(fc.nat(5)),
  steps: fc.array(step, { maxLength: 40 }),
  sizes: fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 }),
});

function startTable(keys: readonly number[]): Table {
  return new Map(keys.map((key) => [String(key), [String(key), 'start', `big ${key}`]]));
}

const sorted = (table: Table): Row[] =>
  [...table.values()].toSorted((a, b) => (a[0] < b[0] ? -1 : 1));

describe('foldKeyed', () => {
  test('leaves the table that the events one by one would leave', () => {
    fc.assert(
      fc.property(history, ({ start, steps, sizes }) => {
        const source = startTable(start);
        const events = steps.map((item) => happen(source, item)).filter((rows) => rows.length > 0);
        const batches = batchesOf(events, sizes);
        const slabs = new SlabPool(0);
        const skip = batches.map(() => null);
        const output = foldKeyed({ batches, skip, transactions: [mark], slabs });
        const copy = startTable(start);
        apply(copy, output.rows);
        expect(sorted(copy)).toEqual(sorted(source));
        expect(output.read).toBe(events.length);
        expect(output.filtered).toBe(0);
        for (const slab of output.slabs) slabs.give(slab);
        expect(slabs.takenBytes).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test('applied again from the start, it leaves the same', () => {
    fc.assert(
      fc.property(history, ({ start, steps, sizes }) => {
        const source = startTable(start);
        // A row whose key moved cannot be patched a second time: the engine reads it from the source.
        const plain = steps.filter(({ keepsBig }) => !keepsBig);
        const events = plain.map((item) => happen(source, item)).filter((rows) => rows.length > 0);
        const input = {
          batches: batchesOf(events, sizes),
          transactions: [mark],
          slabs: new SlabPool(0),
        };
        const output = foldKeyed({ ...input, skip: input.batches.map(() => null) });
        const copy = startTable(start);
        apply(copy, output.rows);
        apply(copy, output.rows);
        expect(sorted(copy)).toEqual(sorted(source));
      }),
    );
  });

  test('rows that are left out are counted and have no effect', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(5), fc.boolean()), { maxLength: 30 }), (rows) => {
        const batch = rowBatch(
          schema,
          rows.map(([key], index) => ({
            op: OP_UPDATE,
            values: [String(key), String(index), null],
          })),
        );
        const skip = Uint8Array.from(rows, ([, out]) => Number(out));
        const output = foldKeyed({
          batches: [batch],
          skip: [skip],
          transactions: [mark],
          slabs: new SlabPool(0),
        });
        const copy: Table = new Map();
        apply(copy, output.rows);
        const expected: Table = new Map();
        for (const [index, [key, out]] of rows.entries()) {
          if (!out) expected.set(String(key), [String(key), String(index), null]);
        }
        expect(sorted(copy)).toEqual(sorted(expected));
        expect(output.read - output.folded - output.filtered).toBe(expected.size);
        expect(output.filtered).toBe(rows.filter(([, out]) => out).length);
      }),
    );
  });

  test('finds keys among many, whatever their bytes', () => {
    const keys = Array.from({ length: 5000 }, (_, index) => String((index * 65_536) % 2_000_003));
    const batch = rowBatch(
      schema,
      [...keys, ...keys].map((key, at) => ({ op: OP_UPDATE, values: [key, String(at), null] })),
    );
    const output = foldKeyed({
      batches: [batch],
      skip: [null],
      transactions: [mark],
      slabs: new SlabPool(0),
    });
    expect(output.folded).toBe(keys.length * 2 - new Set(keys).size);
  });
});

test('foldNothing keeps every event', () => {
  const batch = rowBatch(schema, [
    { op: OP_BEFORE, values: ['1', undefined, undefined] },
    { op: OP_UPDATE, values: ['2', 'x', null] },
    { op: OP_DELETE, values: ['2', undefined, undefined] },
  ]);
  const output = foldNothing({
    batches: [batch],
    skip: [null],
    transactions: [mark],
    slabs: new SlabPool(0),
  });
  expect(output).toMatchObject({ read: 2, folded: 0, filtered: 0 });
});

describe('foldMultiset', () => {
  const bag = streamSchema({ a: { kind: 'text' } }, { key: [], identity: 'whole-row' });

  test('leaves as many equal rows as the events one by one would', () => {
    const event = fc.tuple(
      fc.constantFrom('insert', 'delete', 'update', 'truncate'),
      fc.constantFrom('x', 'y', null),
      fc.constantFrom('x', 'z', null),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const source: (string | null)[] = ['x', 'y', null];
        const remove = (rows: (string | null)[], row: string | null): boolean => {
          const at = rows.indexOf(row);
          if (at >= 0) rows.splice(at, 1);
          return at >= 0;
        };
        const sent = events.flatMap(([kind, a, to]): BatchRow[] => {
          if (kind === 'truncate') {
            source.length = 0;
            return [{ op: OP_TRUNCATE, values: [undefined] }];
          }
          if (kind === 'insert') {
            source.push(a);
            return [{ op: OP_INSERT, values: [a] }];
          }
          if (!remove(source, a)) return [];
          if (kind === 'delete') return [{ op: OP_DELETE, values: [a] }];
          source.push(to);
          return [
            { op: OP_BEFORE, values: [a] },
            { op: OP_UPDATE, values: [to] },
          ];
        });
        const output = foldMultiset({
          batches: [rowBatch(bag, sent)],
          skip: [null],
          transactions: [mark],
          slabs: new SlabPool(0),
        });
        const copy: (string | null)[] = ['x', 'y', null];
        for (const rows of output.rows) {
          if (rows.kind === 'truncate') copy.length = 0;
          if (rows.kind !== 'multiset') continue;
          const all = rows.parts.flatMap((part) =>
            batchTexts(part.batch).map(([row = null], index) => ({
              row,
              action: part.actions[index],
            })),
          );
          for (const { row, action } of all)
            if (action === ACT_DELETE) expect(remove(copy, row)).toBe(true);
          for (const { row, action } of all) if (action === ACT_INSERT) copy.push(row);
        }
        expect(copy.map(String).toSorted()).toEqual(source.map(String).toSorted());
      }),
      { numRuns: 500 },
    );
  });
});

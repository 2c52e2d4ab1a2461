import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { batchTexts, rowBatch } from '../../test/support/batches.ts';
import type { Column, ExistingRows, StreamSchema } from '../core/stream-schema.ts';
import type { LogicalType } from '../core/value.ts';
import { isWidening, planEvolution, projectBatch } from './schema-evolution.ts';

interface Given {
  readonly ref: number;
  readonly name: string;
  readonly type?: LogicalType;
  readonly nativeType?: string;
  readonly existingRows?: ExistingRows;
}

const text: LogicalType = { kind: 'text' };

function schemaOf(columns: readonly Given[], key = 0): StreamSchema {
  return {
    stream: { namespace: 'public', name: 't' },
    ref: '1',
    version: 1,
    columns: columns.map(({ ref, name, type, nativeType, existingRows }): Column => ({
      ref: String(ref),
      name,
      type: type ?? text,
      nativeType: nativeType ?? 'text',
      nullable: true,
      ...(existingRows === undefined ? {} : { existingRows }),
    })),
    computed: [],
    identity: 'key',
    key: [key],
    family: 'postgres',
  };
}

const evolve = { policy: 'evolve', retired: [] } as const;

/** Carries the steps out on the names of a table; a name that is taken or missing fails. */
function carryOut(before: StreamSchema, after: StreamSchema): Map<string, string> {
  const plan = planEvolution(before, after, evolve);
  if (plan.kind !== 'evolve') throw new Error(plan.kind);
  const names = new Map(before.columns.map(({ name, ref }) => [name, ref]));
  for (const step of plan.steps) {
    const column = after.columns[step.column];
    if (column === undefined) throw new Error('no such column');
    if (step.kind === 'rename-column') {
      const ref = names.get(step.from);
      const to = step.to ?? column.name;
      expect(ref, `${step.from} is there`).toBe(column.ref);
      expect(names.has(to), `${to} is free`).toBe(false);
      names.delete(step.from);
      names.set(to, column.ref);
    } else if (step.kind === 'add-column' && !names.has(column.name))
      names.set(column.name, column.ref);
  }
  return names;
}

describe('planEvolution', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];

  test('renames reach their names in any permutation, rings included', () => {
    fc.assert(
      fc.property(
        fc.shuffledSubarray(names, { minLength: 5 }),
        fc.shuffledSubarray([...names, 'x', 'y'], { minLength: 5, maxLength: 5 }),
        (from, to) => {
          const before = schemaOf(from.map((name, ref) => ({ ref, name })));
          const after = schemaOf(to.map((name, ref) => ({ ref, name })));
          const found = carryOut(before, after);
          expect(found).toEqual(new Map(to.map((name, ref) => [name, String(ref)])));
        },
      ),
      { numRuns: 500 },
    );
  });

  test('a column that is dropped stays; added ones come with what the rows held', () => {
    const before = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 2, name: 'old' },
    ]);
    const after = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 3, name: 'new', existingRows: { kind: 'value', text: '7' } },
      { ref: 4, name: 'empty', existingRows: { kind: 'null' } },
    ]);
    expect(planEvolution(before, after, evolve)).toMatchObject({
      kind: 'evolve',
      readAgain: false,
      steps: [
        { kind: 'add-column', column: 1, existing: '7' },
        { kind: 'add-column', column: 2, existing: null },
      ],
    });
  });

  test('a name that comes back is another column: the rows are read again', () => {
    const before = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 2, name: 'b' },
    ]);
    const again: Given = { ref: 3, name: 'b', existingRows: { kind: 'null' } };
    const after = schemaOf([{ ref: 1, name: 'id' }, again]);
    expect(planEvolution(before, after, evolve)).toMatchObject({ readAgain: true });
    const later = planEvolution(schemaOf([{ ref: 1, name: 'id' }]), after, {
      policy: 'evolve',
      retired: ['b'],
    });
    expect(later).toMatchObject({ readAgain: true });
    const unknown = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 3, name: 'c', existingRows: { kind: 'unknown' } },
    ]);
    expect(planEvolution(before, unknown, evolve)).toMatchObject({ readAgain: true });
  });

  test('narrowing and key changes pause, whatever else changed', () => {
    const before = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 2, name: 'n', type: { kind: 'int', bits: 64 }, nativeType: 'bigint' },
    ]);
    const narrow = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 2, name: 'n', type: { kind: 'int', bits: 32 }, nativeType: 'integer' },
    ]);
    expect(planEvolution(before, narrow, evolve).kind).toBe('pause');
    expect(planEvolution(narrow, before, evolve)).toMatchObject({
      steps: [{ kind: 'widen-column', column: 1 }],
    });
    expect(planEvolution(before, { ...before, key: [1] }, evolve).kind).toBe('pause');
  });

  test('the policies pause and ignore', () => {
    const before = schemaOf([{ ref: 1, name: 'id' }]);
    const after = schemaOf([
      { ref: 1, name: 'id' },
      { ref: 2, name: 'b' },
    ]);
    expect(planEvolution(before, after, { policy: 'pause', retired: [] })).toEqual({
      kind: 'pause',
      reason: 'column b added',
    });
    expect(planEvolution(before, before, { policy: 'pause', retired: [] })).toMatchObject({
      kind: 'evolve',
      steps: [],
    });
    expect(planEvolution(before, after, { policy: 'ignore', retired: [] })).toEqual({
      kind: 'ignore',
      changes: ['column b added'],
    });
  });
});

describe('isWidening', () => {
  const bits = fc.constantFrom(16 as const, 32 as const, 64 as const);
  const decimal = fc.record({
    kind: fc.constant('decimal' as const),
    precision: fc.integer({ min: 1, max: 12 }),
    scale: fc.integer({ min: 0, max: 4 }),
  });
  const numeric: fc.Arbitrary<LogicalType> = fc.oneof(
    fc.record({ kind: fc.constant('int' as const), bits }),
    decimal,
  );
  const column = (type: LogicalType): Column => ({
    name: 'c',
    ref: '1',
    nullable: true,
    nativeType: '',
    type,
  });

  /** Largest whole part and digits behind the point. */
  function extent(type: LogicalType): readonly [number, number] {
    if (type.kind === 'int') return [2 ** (type.bits - 1), 0];
    if (type.kind === 'decimal')
      return [10 ** ((type.precision ?? 0) - (type.scale ?? 0)), type.scale ?? 0];
    return [0, 0];
  }

  test('only a type that has room for every value is wider', () => {
    fc.assert(
      fc.property(numeric, numeric, (from, to) => {
        if (!isWidening(column(from), column(to))) return;
        const [wholeFrom, scaleFrom] = extent(from);
        const [wholeTo, scaleTo] = extent(to);
        expect(wholeTo).toBeGreaterThanOrEqual(wholeFrom);
        expect(scaleTo).toBeGreaterThanOrEqual(scaleFrom);
      }),
      { numRuns: 1000 },
    );
  });

  test('every type is as wide as itself', () => {
    fc.assert(fc.property(numeric, (type) => isWidening(column(type), column(type))));
  });
});

test('projectBatch finds columns by identity and leaves new ones out', () => {
  const now = schemaOf([
    { ref: 1, name: 'id' },
    { ref: 3, name: 'new' },
    { ref: 2, name: 'renamed' },
  ]);
  const then = schemaOf([
    { ref: 1, name: 'id' },
    { ref: 2, name: 'old' },
    { ref: 9, name: 'gone' },
  ]);
  const batch = rowBatch(now, [{ values: ['1', 'n', 'o'] }, { values: ['2', null, null] }]);
  const projected = projectBatch(batch, then);
  expect(projected.schema).toBe(then);
  expect(batchTexts(projected)).toEqual([
    ['1', 'o', null],
    ['2', null, null],
  ]);
  expect(projected.cells.filter((_, word) => word % 6 === 5)).toEqual(Int32Array.of(-3, -3));
});

import { expect, test } from 'vitest';
import { column, makeSchema } from '../../test/support/row-specs.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { LogicalType } from '../core/value.ts';
import { followSchema } from './recover-schema.ts';
import { groupBuckets } from './row-sums.ts';

const int: LogicalType = { kind: 'int', bits: 32 };
const text: LogicalType = { kind: 'text' };
const id = column('id', 'integer', int);
const before = makeSchema({
  name: 't',
  columns: [id, column('a', 'integer', int)],
  key: ['id'],
  version: 3,
});

function follow(found: StreamSchema, policy: 'evolve' | 'ignore' = 'evolve') {
  return followSchema({ schema: before, retired: [] }, found, policy);
}

test('an unchanged table keeps its version', () => {
  const step = follow({ ...before, version: 1 });
  expect(step).toMatchObject({ schema: { version: 3 }, steps: [], changes: [] });
});

test('a narrowed column is approved: no step for it, the others are taken', () => {
  const columns = [id, column('a', 'text', text), column('b', 'integer', int)];
  const step = follow(makeSchema({ name: 't', columns, key: ['id'] }));
  expect(step.schema.version).toBe(4);
  expect(step.steps).toEqual([{ kind: 'add-column', column: 2, existing: null }]);
  expect(step.changes).toEqual(['column b added', 'column a changed from integer to text']);
});

test('another key is approved', () => {
  const step = follow(makeSchema({ name: 't', columns: [...before.columns], key: ['a'] }));
  expect(step).toMatchObject({ schema: { key: [1] }, steps: [], changes: ['the key changed'] });
});

test('in a table made anew columns are known by name, whatever their number', () => {
  const found = makeSchema({ name: 't', columns: [column('a', 'integer', int), id], key: ['id'] });
  const step = follow({ ...found, ref: '99' });
  expect(step.steps).toEqual([]);
  expect(step.changes).toEqual([]);
});

test('a rename is followed while the table is the same one', () => {
  const found = makeSchema({ name: 't', columns: [id, column('z', 'integer', int)], key: ['id'] });
  expect(follow(found).steps).toEqual([{ kind: 'rename-column', from: 'a', column: 1, to: null }]);
});

test('a renamed column of another table is a new one, and the old one is retired', () => {
  const found = makeSchema({ name: 't', columns: [id, column('z', 'integer', int)], key: ['id'] });
  const step = follow({ ...found, ref: '99' });
  expect(step.steps).toEqual([{ kind: 'add-column', column: 1, existing: null }]);
  expect(step.retired).toEqual(['a']);
});

test('ignored: new columns stay out', () => {
  const columns = [...before.columns, { ...column('b', 'integer', int), nullable: true, ref: '3' }];
  const step = follow({ ...before, version: 1, columns }, 'ignore');
  expect(step.schema.columns.map(({ name }) => name)).toEqual(['id', 'a']);
  expect(step).toMatchObject({
    schema: { version: 3 },
    steps: [],
    changes: ['ignored: column b added'],
  });
});

test('ranges are grouped up to the limit; one that is larger goes alone', () => {
  const counts = Uint32Array.of(3, 4, 5, 20, 1);
  expect(groupBuckets([0, 1, 2, 3, 4], counts, 8).map(({ buckets }) => buckets)).toEqual([
    [0, 1],
    [2],
    [3],
    [4],
  ]);
});

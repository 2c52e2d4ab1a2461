import { describe, expect, test } from 'vitest';

import { streamSchema, streamTarget } from '../../../test/support/batches.ts';
import type { StreamTarget } from '../../core/connector.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { DocumentTransform } from '../document-transform.ts';
import { adopt, initialShape, type ProbedFields } from './adopt.ts';
import { Growth } from './growth.ts';
import { eachField } from './fields.ts';
import { columnName, type LaneShape, laneTarget } from './lane-shape.ts';
import { shapeOf, withShape } from './lane-state.ts';
import { probeOf } from './probe.ts';

const RULES = { transformation: 'v1', separator: '_' };

const SCHEMA = streamSchema({
  id: { kind: 'int', bits: 64 },
  name: { kind: 'text' },
  active: { kind: 'boolean' },
  price: { kind: 'decimal', precision: 8, scale: 2 },
  at: { kind: 'timestamp', zoned: true },
  data: { kind: 'json' },
  tags: { kind: 'array', element: { kind: 'text' }, dimensions: 1 },
});

type Document = Record<string, unknown>;

function probe(
  schema: StreamSchema,
  change: (document: Document) => Document,
  flatten = false,
): ProbedFields {
  const { json, fieldsOf } = probeOf(schema);
  const transform: DocumentTransform = (document) => ({
    kind: 'document',
    json: JSON.stringify(change(JSON.parse(document) as Document)),
  });
  return fieldsOf(transform(json), flatten);
}

function begin(change: (document: Document) => Document, flatten = false): LaneShape {
  return initialShape(streamTarget(SCHEMA), probe(SCHEMA, change, flatten), RULES);
}

const names = ({ columns }: LaneShape): string[] =>
  columns.map(({ name, type, from }) => `${name}:${type.kind}${from === null ? '' : `=${from}`}`);

/** The source with other columns; `change` makes them of those that there are. */
function withColumns(
  change: (columns: StreamSchema['columns'][number][]) => StreamSchema['columns'],
): StreamTarget {
  return streamTarget({
    ...SCHEMA,
    version: 2,
    columns: change(SCHEMA.columns.map((column) => ({ ...column }))),
  });
}

describe('a table begins with', () => {
  test('the columns that come through, under their new names and with their types', () => {
    const shape = begin(({ id, name, active, ...rest }) => ({
      user_id: id,
      label: name,
      enabled: active,
      constant: 7,
      nothing: null,
      nested: rest,
    }));
    expect(names(shape)).toEqual([
      'user_id:int=1',
      'label:text=2',
      'enabled:boolean',
      'constant:decimal',
      'nested:json',
    ]);
    expect(laneTarget(shape).schema).toMatchObject({ key: [0], identity: 'key', computed: [] });
  });

  test('flattened fields, where they are asked for; what was JSON stays', () => {
    const shape = begin(
      ({ id, ...rest }) => ({ id, deep: { rest, data: rest['data'] }, data: rest['data'] }),
      true,
    );
    expect(names(shape)).toContain('deep_rest_price:decimal=4');
    expect(names(shape)).toContain('deep_data:json=6');
    expect(names(shape)).toContain('data:json=6');
  });

  test('the hash of a key that does not come through', () => {
    const shape = begin(({ name }) => ({ name }));
    expect(names(shape)).toEqual(['_forebay_key:text', 'name:text=2']);
    expect(laneTarget(shape).schema.key).toEqual([0]);
    expect(names(initialShape(streamTarget(SCHEMA), null, RULES))).toEqual(['_forebay_key:text']);
  });

  test('the columns of the source, where rows have no key and nothing is known', () => {
    const schema = streamSchema({ a: { kind: 'text' }, b: { kind: 'uuid' } }, { key: [] });
    expect(names(initialShape(streamTarget(schema), null, RULES))).toEqual([
      'a:text=1',
      'b:uuid=2',
    ]);
  });

  test('a value of its own per column of every type, which the transformation may look at closely', () => {
    const kinds = ['bytes', 'date', 'time', 'interval', 'uuid', 'other', 'text', 'json'] as const;
    const schema = streamSchema(
      Object.fromEntries([
        ...kinds.flatMap((kind) => [1, 2, 3].map((n) => [`${kind}${n}`, { kind }] as const)),
        ...[16, 32, 64].map(
          (bits) => [`int${bits}`, { kind: 'int', bits: bits as 16 | 32 | 64 }] as const,
        ),
        ['float', { kind: 'float', bits: 64 } as const],
        ['list', { kind: 'array', element: { kind: 'bytes' }, dimensions: 2 } as const],
      ]),
    );
    const fields = probe(schema, (document) =>
      Object.fromEntries(Object.entries(document).map(([name, value]) => [`to_${name}`, value])),
    );
    expect(fields?.map(({ path, column }) => [path[0], `to_${column?.name ?? ''}`])).toEqual(
      fields?.map(({ path }) => [path[0], path[0]]),
    );
  });
});

describe('a table follows the source', () => {
  const same = (document: Document): Document => document;
  const shape = begin(same);

  test('with a column that was added, and the value that rows have there', () => {
    const target = withColumns((columns) => [
      ...columns,
      { name: 'vat', type: { kind: 'text' }, nativeType: 'text', nullable: true, ref: '8' },
    ]);
    const steps = [{ kind: 'add-column', column: 7, existing: 'x' }] as const;
    const change = adopt(shape, target, { fields: probe(target.schema, same), steps }, RULES);
    expect(change.steps).toEqual([{ kind: 'add-column', column: 7, existing: 'x' }]);
    expect(change.shape.version).toBe(2);
  });

  test('with two columns whose names were swapped, step by step', () => {
    const target = withColumns((columns) =>
      columns.map((column) => {
        if (column.name === 'name') return { ...column, name: 'at' };
        return column.name === 'at' ? { ...column, name: 'name' } : column;
      }),
    );
    const steps = [
      { kind: 'rename-column', from: 'name', column: 1, to: 'parked' },
      { kind: 'rename-column', from: 'at', column: 4, to: null },
      { kind: 'rename-column', from: 'parked', column: 1, to: null },
    ] as const;
    const change = adopt(shape, target, { fields: probe(target.schema, same), steps }, RULES);
    expect(change.steps).toEqual(steps);
    expect(names(change.shape).filter((name) => /name|at:/.test(name))).toEqual([
      'at:text=2',
      'name:timestamp=5',
    ]);
  });

  test('without a rename, where the transformation gave the field its name', () => {
    const titled = ({ id, name, alias }: Document): Document => ({ id, title: name ?? alias });
    const target = withColumns((columns) =>
      columns.map((column) => (column.name === 'name' ? { ...column, name: 'alias' } : column)),
    );
    const steps = [{ kind: 'rename-column', from: 'name', column: 1, to: null }] as const;
    const change = adopt(
      begin(titled),
      target,
      { fields: probe(target.schema, titled), steps },
      RULES,
    );
    expect(change.steps).toEqual([]);
    expect(names(change.shape)).toEqual(['id:int=1', 'title:text=2']);
  });

  test('with a type that is wider there, where the column still has the one before', () => {
    const target = withColumns((columns) =>
      columns.map((column) =>
        column.name === 'price'
          ? {
              ...column,
              type: { kind: 'decimal', precision: 12, scale: 2 },
              nativeType: 'decimal(12,2)',
            }
          : column,
      ),
    );
    const how = { fields: probe(target.schema, same), steps: [] };
    expect(adopt(shape, target, how, RULES).steps).toEqual([{ kind: 'widen-column', column: 3 }]);
  });

  test('also where the table was made anew, by the names', () => {
    const anew = streamTarget({
      ...SCHEMA,
      ref: '99',
      columns: SCHEMA.columns.map((column) => ({ ...column, ref: `9${column.ref}` })),
    });
    const change = adopt(shape, anew, { fields: null, steps: [] }, RULES);
    expect(names(change.shape)[0]).toBe('id:int=91');
    expect(change.steps).toEqual([]);
  });

  test('but not to another key', () => {
    const moved = probe(SCHEMA, ({ id, ...rest }) => ({ user_id: id, ...rest }));
    const masked = probe(SCHEMA, (document) => ({ ...document, id: 'masked' }));
    for (const fields of [moved, masked])
      expect(() => adopt(shape, streamTarget(SCHEMA), { fields, steps: [] }, RULES)).toThrow(
        expect.objectContaining({ code: 'schema_change' }),
      );
    const hashed = begin(({ name }) => ({ name }));
    expect(adopt(hashed, streamTarget(SCHEMA), { fields: moved, steps: [] }, RULES).shape.key).toBe(
      'hash',
    );
  });
});

describe('a table grows', () => {
  const shape = begin(({ id, price, active }) => ({ id, price, active }));

  function grow(...documents: readonly string[]): ReturnType<Growth['apply']> {
    const growth = new Growth();
    for (const json of documents) {
      eachField(
        json,
        () => false,
        (id, span) => {
          const column = shape.columns.find(({ path }) => path.join() === id);
          if (column === undefined) growth.add(id, { json, span }, null);
          else growth.widen(column, span.kind);
        },
      );
    }
    return growth.apply(shape, '_');
  }

  test.for<[string, string[], string]>([
    ['a number', ['{"x":1}', '{"x":1.5}'], 'x:decimal'],
    ['a number and a text', ['{"x":1}', '{"x":"a"}'], 'x:text'],
    ['a text and an object', ['{"x":"a"}', '{"x":{}}'], 'x:text'],
    ['an object and a text', ['{"x":{}}', '{"x":"a"}'], 'x:json'],
    ['a boolean and a number', ['{"x":true}', '{"x":1}'], 'x:text'],
  ])('by a column for %s', ([, documents, column]) => {
    expect(names(grow(...documents).shape).at(-1)).toBe(column);
  });

  test('by nothing for a null', () => {
    expect(grow('{"x":null}').shape).toBe(shape);
  });

  test.for<[string, string[], string]>([
    ['a number that is too long', ['{"price":1}'], 'price:decimal'],
    ['a text in the place of a number', ['{"price":"a"}', '{"price":1}'], 'price:text'],
    ['a number in the place of a boolean', ['{"active":1}'], 'active:text'],
  ])('by making room for %s', ([, documents, column]) => {
    const change = grow(...documents);
    expect(names(change.shape)).toContain(column);
    expect(change.steps).toHaveLength(1);
  });

  test('once, where two chunks need the same', () => {
    const growth = new Growth();
    growth.add('x', { json: '1', span: { kind: 'number', start: 0, end: 1 } }, null);
    const first = growth.apply(shape, '_');
    expect(growth.apply(first.shape, '_').steps).toEqual([]);
  });

  test('not without end', () => {
    const fields = Object.fromEntries(Array.from({ length: 1001 }, (_, n) => [`f${n}`, n]));
    expect(() => grow(JSON.stringify(fields))).toThrow(
      expect.objectContaining({ code: 'schema_change' }),
    );
  });
});

test('what is remembered beside the engine is read back, and the engine keeps its own', () => {
  const shape = begin(({ id, price }) => ({ id, price, more: [1] }));
  const record = {
    stream: 'public.orders',
    state: 'streaming',
    reason: null,
    detail: '{"v":1}',
  } as const;
  expect(shapeOf(record)).toBeNull();
  const kept = withShape(record, shape);
  expect(JSON.parse(kept.detail)).toMatchObject({ v: 1 });
  const read = shapeOf(kept);
  expect(read?.columns).toEqual(shape.columns);
  expect(read === null ? null : laneTarget(read)).toEqual(laneTarget(shape));
  expect(() => shapeOf({ ...record, detail: '{"transformed":{}}' })).toThrow(
    expect.objectContaining({ code: 'checkpoint_corrupt' }),
  );
});

test('column names end at a character, and are told apart', () => {
  expect(columnName(['é'.repeat(40)], '_', new Set())).toBe('é'.repeat(31));
  expect(columnName(['😀'.repeat(20)], '_', new Set())).toBe('😀'.repeat(15));
  expect(columnName(['A'], '_', new Set(['a', 'a_2']))).toBe('A_3');
});

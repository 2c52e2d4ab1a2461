import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { LogicalType } from '../../core/value.ts';
import { compileCustom } from './compile.ts';
import { type PushDown, pushDown } from './push-down.ts';

const TYPES: Readonly<Record<string, LogicalType>> = {
  id: { kind: 'int', bits: 32 },
  name: { kind: 'text' },
  active: { kind: 'boolean' },
  price: { kind: 'decimal', precision: 10, scale: 2 },
  born: { kind: 'date' },
  data: { kind: 'json' },
};

const SCHEMA: StreamSchema = {
  stream: { namespace: 'public', name: 'people' },
  ref: '1',
  version: 1,
  columns: Object.entries(TYPES).map(([name, type], index) => ({
    name,
    type,
    nativeType: type.kind,
    nullable: true,
    ref: String(index + 1),
  })),
  computed: [],
  identity: 'key',
  key: [0],
  family: 'postgres',
};

function pushed(specification: unknown): Extract<PushDown, { readonly kind: 'pushed' }> {
  const result = pushDown(specification, SCHEMA);
  if (result.kind === 'kept') throw new Error(result.why);
  return result;
}

describe('what a source does itself', () => {
  it('names, constants and masks, in the order of the document', () => {
    const { fields, where } = pushed({
      mapping: {
        rename: { name: 'title' },
        drop: ['price', 'data'],
        set: { origin: "'crm'", copy: 'id' },
      },
      mask: { title: { method: 'truncate', length: 3 }, born: { method: 'redact' } },
    });
    expect([...fields]).toEqual([
      ['id', { kind: 'column', column: 0 }],
      ['title', { kind: 'prefix', column: 1, characters: 3 }],
      ['active', { kind: 'column', column: 2 }],
      ['born', { kind: 'replaced', column: 4, text: '[redacted]' }],
      ['origin', { kind: 'constant', json: '"crm"' }],
      ['copy', { kind: 'column', column: 0 }],
    ]);
    expect(where).toBeNull();
  });

  it('filters, in the words of the columns that are left by then', () => {
    const { where } = pushed({
      steps: [
        { mapping: { rename: { id: 'name', name: 'id' } } },
        { filter: "-7 < name and id = 'x'" },
      ],
    });
    expect(where).toEqual({
      kind: 'and',
      parts: [
        { kind: 'number', column: 0, operator: '>', number: '-7' },
        { kind: 'text', column: 1, operator: '=', text: 'x' },
      ],
    });
  });
});

describe('what stays here, and why', () => {
  it.each([
    [{ module: 'x.js' }, 'a module runs here'],
    [{ mapping: { cast: { id: 'text' } } }, 'id is cast here'],
    [{ mapping: { set: { next: 'id + 1' } } }, 'next is computed here'],
    [
      { mapping: { set: { city: "'Zürich'" } } },
      'a constant has characters that not every database has',
    ],
    [{ mapping: { rename: { id: 'name' } } }, 'two columns would be called name'],
    [{ mapping: { drop: ['data.inner'] } }, 'data.inner is inside of a value'],
    [
      { mask: { name: { method: 'hash', salt: 'salt and pepper' } } },
      'name is masked here, so that no key leaves it',
    ],
    [{ mask: { price: { method: 'truncate', length: 2 } } }, 'price is no text and is cut here'],
    [{ filter: 'price > 3' }, 'the filter compares price here'],
    [{ filter: 'id > 1e400' }, 'the filter compares id here'],
    [{ filter: "id = '3'" }, 'the filter compares id here'],
    [{ filter: "name > 'm'" }, 'the filter compares name here'],
    [{ filter: "born > '2024'" }, 'the filter compares born here'],
    [{ filter: 'data is null' }, 'the filter looks into data'],
    [{ filter: 'name' }, 'the filter takes name for a truth value'],
    [{ filter: "lower(name) = 'x'" }, 'the filter is computed here'],
    [
      { steps: [{ mask: { name: { method: 'redact' } } }, { filter: "name = 'x'" }] },
      "the filter looks at name, which is not the source's any more",
    ],
  ])('%j', (specification, why) => {
    expect(pushDown(specification, SCHEMA)).toEqual({ kind: 'kept', why });
  });

  it('anything, where the source does not know how its text is encoded', () => {
    const result = pushDown({ mapping: { drop: ['name'] } }, { ...SCHEMA, rawText: true });
    expect(result).toMatchObject({ kind: 'kept' });
  });
});

describe('fields', () => {
  const name = fc.constantFrom(...Object.keys(TYPES), 'other');
  const specification = fc.record(
    {
      rename: fc.dictionary(name, name, { maxKeys: 3 }),
      drop: fc.array(name, { maxLength: 3 }),
      set: fc.dictionary(
        name,
        fc.constantFrom("'x'", 'id', 'name', 'other', 'null', 'true', '1.50'),
        {
          maxKeys: 3,
        },
      ),
    },
    { requiredKeys: [] },
  );

  it('are those that the document has, with its values', () => {
    fc.assert(
      fc.property(fc.array(specification, { minLength: 1, maxLength: 3 }), (mappings) => {
        const steps = mappings.map((mapping) => ({ mapping }));
        const compiled = compileCustom({ steps }, { module: () => () => ({ kind: 'filtered' }) });
        const result = compiled.ok ? pushDown({ steps }, SCHEMA) : null;
        fc.pre(compiled.ok && result?.kind === 'pushed');
        if (!compiled.ok || result?.kind !== 'pushed') return;
        const values = SCHEMA.columns.map((_, index) => `"value ${index}"`);
        const members = SCHEMA.columns.map((column, index) => `"${column.name}":${values[index]}`);
        const outcome = compiled.transform(`{${members.join(',')}}`);
        const texts = [...result.fields].map(([field, of]) => {
          if (of.kind === 'constant') return `"${field}":${of.json}`;
          return `"${field}":${values[of.column]}`;
        });
        expect(outcome).toEqual({ kind: 'document', json: `{${texts.join(',')}}` });
      }),
      { numRuns: 2000 },
    );
  });
});

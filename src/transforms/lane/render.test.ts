import { describe, expect, test } from 'vitest';

import { rowBatch, streamSchema, streamTarget } from '../../../test/support/batches.ts';
import type { LogicalType } from '../../core/value.ts';
import { initialShape } from './adopt.ts';
import { Growth } from './growth.ts';
import { bind, type Rendered, render } from './render.ts';

const RULES = { transformation: 'v1', separator: '_' };

/** A row of these columns, whose first is the key, and the document that came back. */
function rendered(
  columns: Readonly<Record<string, LogicalType>>,
  values: readonly (string | null | undefined)[],
  json: string,
  natives: Readonly<Record<string, string>> = {},
): Rendered {
  const plain = streamSchema(columns);
  const schema = {
    ...plain,
    columns: plain.columns.map((column) => ({
      ...column,
      nativeType: natives[column.name] ?? column.nativeType,
    })),
  };
  const fields = schema.columns.map((column) => ({
    path: [column.name],
    kind: 'null' as const,
    column,
  }));
  const binding = bind(initialShape(streamTarget(schema), fields, RULES));
  const batch = rowBatch(schema, [{ values }], 'text');
  const before = binding.documents.of(batch, 0);
  if (before === null) throw new TypeError('not UTF-8');
  const rules = { growth: new Growth(), leftOut: () => {}, flatten: false };
  return render(binding, { source: { batch, row: 0 }, before, json }, rules);
}

const INT = { id: { kind: 'int', bits: 32 } } as const;
const DECIMAL = { id: { kind: 'decimal', precision: null, scale: null } } as const;

describe('the key of a row', () => {
  test.for<[Readonly<Record<string, LogicalType>>, string, string]>([
    [INT, '7', '7'],
    [DECIMAL, '1.50', '1.5'],
    [DECIMAL, '1.50', '15e-1'],
    [DECIMAL, '100', '100.0'],
    [{ id: { kind: 'text' } }, 'a\u2028"', '"a\\u2028\\""'],
    [
      { id: { kind: 'timestamp', zoned: true } },
      '2024-05-06 07:08:09+00',
      '"2024-05-06T07:08:09Z"',
    ],
  ])('is taken from the source where the value is the same: %j %s %s', ([columns, text, json]) => {
    expect(rendered(columns, [text], `{"id":${json}}`)).toEqual({ kind: 'cells', cells: [0] });
  });

  test.for<[Readonly<Record<string, LogicalType>>, string, string]>([
    [INT, '7', '{"id":8}'],
    [INT, '7', '{"id":"7"}'],
    [INT, '7', '{"id":null}'],
    [INT, '7', '{}'],
    [DECIMAL, '10', '{"id":1}'],
    [DECIMAL, '100', '{"id":1}'],
    [{ id: { kind: 'text' } }, 'a', '{"id":"b"}'],
    [{ id: { kind: 'text' } }, '1.0', '{"id":"1.00"}'],
  ])('may not change: %j %s %s', ([columns, text, json]) => {
    expect(rendered(columns, [text], json)).toMatchObject({
      kind: 'failed',
      code: 'transform_key',
    });
  });
});

describe('a value', () => {
  const columns = {
    ...INT,
    name: { kind: 'text' },
    at: { kind: 'timestamp', zoned: false },
  } as const;

  test('that did not change is the cell that it was', () => {
    const values = ['1', 'é "x"', '2024-05-06 07:08:09'];
    const json = JSON.stringify({ at: '2024-05-06T07:08:09', name: 'é "x"', id: 1 });
    expect(rendered(columns, values, json)).toEqual({ kind: 'cells', cells: [0, 1, 2] });
  });

  test('that did change is written in the form of its type', () => {
    const json = '{"id":1,"name":2.50,"at":"2024-05-06T07:08:10.5Z"}';
    expect(rendered(columns, ['1', 'a', null], json)).toEqual({
      kind: 'cells',
      cells: [0, '2.50', '2024-05-06 07:08:10.5'],
    });
  });

  test('that did not come is NULL, but where the source left it as it was', () => {
    expect(rendered(columns, ['1', 'a', undefined], '{"id":1}')).toEqual({
      kind: 'cells',
      cells: [0, null, 2],
    });
  });

  test('that is too long for its column makes the column grow', () => {
    const limited = { name: 'character varying(3)' };
    const at = '2024-05-06 07:08:09';
    expect(rendered(columns, ['1', 'a', at], '{"id":1,"name":"😀😀😀"}', limited).kind).toBe(
      'cells',
    );
    expect(rendered(columns, ['1', 'a', at], '{"id":1,"name":"abcd"}', limited).kind).toBe('grows');
  });

  test('that no column can hold fails the row', () => {
    const text = { name: 'text' };
    expect(rendered(columns, ['1', 'a', null], '{"id":1,"name":"\\ud800"}', text)).toMatchObject({
      kind: 'failed',
      code: 'value_rejected',
    });
  });
});

test.for(['[1]', '"a"', '', '{"id":1', '{"id":1}{}', 'null'])(
  'an outcome that is no object fails: %s',
  (json) => {
    expect(rendered(INT, ['1'], json)).toMatchObject({
      kind: 'failed',
      code: 'transform_document',
    });
  },
);

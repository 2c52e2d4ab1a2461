import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DocumentTransform } from '../document-transform.ts';
import { compileCustom } from './compile.ts';

const noModule = (): DocumentTransform => () => ({ kind: 'filtered' });

function apply(specification: unknown, json: string, module = noModule): string {
  const result = compileCustom(specification, { module, nowMs: () => 1_700_000_000_000 });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  const outcome = result.transform(json);
  if (outcome.kind === 'failed') return `${outcome.code}: ${outcome.message}`;
  return outcome.kind === 'document' ? outcome.json : outcome.kind;
}

function problems(specification: unknown): readonly string[] {
  const result = compileCustom(specification, { module: noModule });
  return result.ok
    ? []
    : result.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

describe('filter', () => {
  it.each([
    ["status = 'paid'", '{"status":"paid","n":12.50}', '{"status":"paid","n":12.50}'],
    ["status = 'paid'", '{"status":"open"}', 'filtered'],
    ["status = 'paid'", '{}', 'filtered'],
    ['ready', '{"ready":1}', 'transform_expression: filter: the expression is no boolean'],
    [
      "lower(n) = 'x'",
      '{"n":5}',
      'transform_expression: filter: lower() takes a text, and was given a number',
    ],
    ['true', '[1]', 'transform_json: the document is no object'],
    ['true', '{"a":}', 'transform_json: at character 6: a value is expected'],
  ])('%s of %s: %s', (filter, json, expected) => {
    expect(apply({ filter }, json)).toBe(expected);
  });

  it('hands on a document that it keeps as it was written', () => {
    expect(apply({ filter: 'true' }, '{ "a" : 1.0 }')).toBe('{ "a" : 1.0 }');
  });
});

describe('mapping', () => {
  it('renames, drops, casts and sets, in that order, and leaves the rest untouched', () => {
    const mapping = {
      rename: { id: 'order_id' },
      drop: ['secret'],
      cast: { order_id: 'text', qty: 'integer' },
      set: { total: 'price * qty', source: "'crm'", version: 2, gone: null },
    };
    const json =
      '{"id":1481305274100000000000000000000,"secret":"x","price":12.50,"qty":"3","note":-0}';
    expect(apply({ mapping }, json)).toBe(
      '{"order_id":"1481305274100000000000000000000","price":12.50,"qty":3,"note":-0,"total":37.50,"source":"crm","version":2,"gone":null}',
    );
  });

  it.each([
    [{ rename: { a: 'b', b: 'a' } }, '{"a":1,"b":2}', '{"b":1,"a":2}'],
    [{ rename: { a: 'b' } }, '{"a":1,"b":2}', 'transform_mapping: the place of column b is taken'],
    [{ rename: { 'a.b': 'c.d' } }, '{"a":{"b":1}}', '{"a":{},"c":{"d":1}}'],
    [
      { rename: { 'a.b': 'c' } },
      '{"a":{"b":1},"c":0}',
      'transform_mapping: the place of column c is taken',
    ],
    [{ rename: { missing: 'c' } }, '{"a":1}', '{"a":1}'],
    [
      { drop: ['a.b', 'list[*].x', 'two[0]', 'no.such'] },
      '{"a":{"b":1,"c":2},"list":[{"x":1,"y":2},3],"two":[1,2]}',
      '{"a":{"c":2},"list":[{"y":2},3],"two":[2]}',
    ],
    [{ drop: ['["a.b"]', '"c d"'] }, '{"a.b":1,"c d":2,"e":3}', '{"e":3}'],
    [{ cast: { 'list[*]': 'integer' } }, '{"list":["1","2"]}', '{"list":[1,2]}'],
    [{ set: { a: 'b', b: 'a' } }, '{"a":1,"b":2}', '{"a":2,"b":1}'],
    [
      { set: { 'a.b.c': '1', 'list[1]': '2' } },
      '{"a":null,"list":[0]}',
      '{"a":{"b":{"c":1}},"list":[0,2]}',
    ],
    [
      { set: { 'a.b': '1' } },
      '{"a":5}',
      'transform_mapping: set a.b: something else is in the way',
    ],
    [{ set: { a: '1 / b' } }, '{"b":0}', 'transform_expression: set a: division by zero'],
    [{ set: { at: 'now()' } }, '{}', '{"at":"2023-11-14T22:13:20Z"}'],
    [{ set: { '__proto__.x': '1' } }, '{}', '{"__proto__":{"x":1}}'],
  ])('%j of %s: %s', (mapping, json, expected) => {
    expect(apply({ mapping }, json)).toBe(expected);
  });

  it.each([
    ['integer', '2147483647', '2147483647'],
    ['integer', '2147483648', null],
    ['integer', '12.0', '12'],
    ['integer', '12.5', null],
    ['integer', '"0012"', '12'],
    ['integer', 'true', '1'],
    ['bigint', '"9223372036854775807"', '9223372036854775807'],
    ['bigint', '9223372036854775808', null],
    ['bigint', '"1e3"', '1000'],
    ['bigint', '1e999999', null],
    ['decimal', '1e999999', '1e999999'],
    ['decimal', '"-012.50"', '-12.50'],
    ['decimal', '".5"', '0.5'],
    ['decimal', '"12,5"', null],
    ['decimal(5,2)', '12.345', '12.35'],
    ['decimal(5,2)', '1234', null],
    ['double', '0.1000000000000000055511151231257827', '0.1'],
    ['double', '1e400', null],
    ['boolean', '"Yes"', 'true'],
    ['boolean', '0', 'false'],
    ['boolean', '2', null],
    ['text', '12.50', '"12.50"'],
    ['text', '{"b":1.0}', '"{\\"b\\":1.0}"'],
    ['date', '"2024-05-06T23:00:00-05:00"', '"2024-05-07"'],
    ['date', '"2024-02-30"', null],
    ['timestamp', '"2024-05-06"', '"2024-05-06T00:00:00"'],
    ['timestamp', '5', null],
    ['json', '"[1.50]"', '[1.50]'],
    ['json', '"[1.50"', null],
    ['integer', 'null', 'null'],
  ])('casts to %s: %s is %s', (type, value, expected) => {
    const outcome = apply({ mapping: { cast: { secret: type } } }, `{"secret":${value}}`);
    if (expected !== null) expect(outcome).toBe(`{"secret":${expected}}`);
    else expect(outcome).toMatch(/^transform_cast: column secret holds a \w+ that is no [\w(),]+$/);
  });
});

describe('steps and modules', () => {
  const stamped =
    (path: string): DocumentTransform =>
    (json) => ({
      kind: 'document',
      json: `${json.slice(0, -1)},"module":"${path}"}`,
    });

  it('applies filter, mapping, mask, module in that order', () => {
    const specification = {
      module: 'm.ts',
      mask: { a: { method: 'redact', value: 'x' } },
      mapping: { rename: { b: 'a' } },
      filter: 'b = 1',
    };
    expect(apply(specification, '{"b":1}', () => stamped('m.ts'))).toBe(
      '{"a":"x","module":"m.ts"}',
    );
  });

  it('applies steps in the order given', () => {
    const steps = [
      { mapping: { set: { n: 'n + 1' } } },
      { module: 'm.ts' },
      { filter: "n = 2 and module = 'm.ts'" },
    ];
    expect(apply({ steps }, '{"n":1}', () => stamped('m.ts'))).toBe('{"n":2,"module":"m.ts"}');
    expect(apply({ steps }, '{"n":2}', () => stamped('m.ts'))).toBe('filtered');
  });
});

describe('what is wrong with a specification', () => {
  it('is told all at once, each with its place', () => {
    const specification = {
      filter: 'a +',
      mapping: {
        rename: { a: 'x', b: 'x', 'c[0]': 'd' },
        drop: ['a..b'],
        cast: { a: 'money' },
        set: { 'list[*]': '1', b: 'nosuch(1)', c: 2 ** 70 },
      },
      mask: { '': { method: 'redact' } },
    };
    expect(problems({ ...specification, mask: {} })).toEqual([
      'filter: at character 4: a value is expected',
      'mapping.rename.c[0]: c[0] must not go into arrays',
      'mapping.rename: two columns are renamed to x',
      'mapping.drop.0: a..b is no path; write a.b, a["b c"], a[0] or a[*]',
      'mapping.cast.a: no type is called "money"',
      'mapping.set.list[*]: [*] is no single place',
      'mapping.set.b: at character 1: no function is called nosuch',
      'mapping.set.c: a number this large is written in quotes, or it loses digits',
    ]);
  });

  it.each([
    [{}, ': one of filter, mapping, mask, module or steps is needed'],
    [{ filtre: 'a', filter: 'b' }, ': no such key: filtre'],
    [{ steps: [] }, 'steps: Too small: expected array to have >=1 items'],
    [{ steps: [{}] }, 'steps.0: an empty step does nothing'],
    [
      { steps: [{ filter: 'a' }], filter: 'b' },
      ': either steps, or filter, mapping, mask and module without it',
    ],
    [
      { mask: { a: { method: 'hash', salt: 'short' } } },
      'mask.a.salt: at least 8 characters are needed',
    ],
    [
      { mask: { a: { method: 'hash' } } },
      'mask.a.salt: Invalid input: expected string, received undefined',
    ],
  ])('%j%s', (specification, expected) => {
    expect(problems(specification)).toEqual([expected]);
  });

  it('never breaks on what a configuration may hold', () => {
    fc.assert(
      fc.property(
        fc.object({
          key: fc.constantFrom('filter', 'mapping', 'mask', 'steps', 'rename', 'set', 'a'),
        }),
        (specification) => {
          expect(Array.isArray(problems(specification))).toBe(true);
        },
      ),
    );
  });
});

import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';

import { ForebayError } from '../../core/errors.ts';
import { compileKazaam, compileKazaamLines } from './compile.ts';

afterEach(() => {
  vi.useRealTimers();
});

function run(spec: unknown, json: string, mode: 'compat' | 'strict' = 'compat') {
  const outcome = compileKazaam(spec, { mode, dialect: 'kazaam' })(json);
  if (outcome.kind === 'document') return outcome.json;
  return outcome.kind === 'failed' ? [outcome.code, outcome.message] : outcome.kind;
}

const shift = (spec: object, more: object = {}) => [{ operation: 'shift', spec, ...more }];

describe('values keep how they are written', () => {
  const json =
    '{"n":1481305274100000000000000000000,"m":1.50e+3,"o":{"b" : 1,"a":"\\u00e9"},"é":"😀"}';

  test.each(['compat', 'strict'] as const)('in a shift (%s)', (mode) => {
    expect(run(shift({ x: 'n', 'y.z': 'm', o: 'o', e: 'é' }), json, mode)).toBe(
      '{"x":1481305274100000000000000000000,"y":{"z":1.50e+3},"o":{"b" : 1,"a":"\\u00e9"},"e":"😀"}',
    );
  });

  test('in a default, which goes behind what is there', () => {
    const spec = [{ operation: 'default', spec: { 'o.c': 1e21, new: '<é>' } }];
    expect(run(spec, json)).toBe(
      '{"n":1481305274100000000000000000000,"m":1.50e+3,"o":{"b" : 1,"a":"\\u00e9","c":1e+21},"é":"😀","new":"\\u003cé\\u003e"}',
    );
  });
});

describe('a document', () => {
  test.each(['', 'pass', 'shift'])('that is empty comes back empty (%s)', (operation) => {
    const spec = operation === '' ? '' : [{ operation, spec: { a: 'b' } }];
    expect(run(spec, '')).toBe('');
  });

  test.each([
    '{',
    '{"a":1}}',
    "{'a':1}",
    '[1,]',
    '01',
    'nul',
    ' ',
    '"\u0001"',
    '"\\x"',
    '{"a":1} 2',
  ])('that is no JSON fails: %s', (json) => {
    const failure = ['kazaam_parse', 'ParseError - the document is no JSON'];
    expect(run([{ operation: 'pass' }], json)).toEqual(failure);
    expect(run(shift({ a: 'b' }), json)).toEqual(failure);
  });

  test('may be nested deeply', () => {
    const deep = '['.repeat(20_000) + ']'.repeat(20_000);
    expect(run(shift({ a: 'b' }), `{"b":${deep}}`)).toBe(`{"a":${deep}}`);
  });

  test('may have line ends in it', () => {
    expect(run(shift({ a: 'b' }), '{\n "b": [1,\n2]\n}\n')).toBe('{"a":[1,\n2]}');
  });
});

describe('a specification that upstream does not load is refused', () => {
  test.each([
    [5],
    [{}],
    [[null]],
    [[{ spec: { a: 'b' } }]],
    [[{ operation: 'nonesuch', spec: { a: 'b' } }]],
    [[{ operation: 'shift', spec: {} }]],
    [[{ operation: 'shift', spec: [] }]],
    [[{ operation: 'shift', spec: { a: 'b' }, require: 'yes' }]],
    [[{ operation: 'shift', spec: { a: 'b' }, over: 1 }]],
    [[{ operation: 'default', spec: { a: Number.POSITIVE_INFINITY } }]],
  ])('%j', (spec) => {
    let refusal: unknown = null;
    try {
      compileKazaam(spec, { mode: 'compat', dialect: 'kazaam' });
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(ForebayError);
    expect(refusal).toMatchObject({ code: 'kazaam_spec', exitCode: 2 });
  });

  test('member names may be in any case', () => {
    expect(run([{ Operation: 'shift', SPEC: { a: 'b' } }], '{"b":1}')).toBe('{"a":1}');
  });

  test('null is loaded, and fails with each document', () => {
    const failure = ['kazaam_spec', 'SpecError - Kazaam not properly initialized'];
    expect(run(null, '{}')).toEqual(failure);
  });
});

describe('what upstream does by mistake, compat does and strict does not', () => {
  test('an element that fails under over is passed over in silence', () => {
    const spec = [
      { operation: 'shift', over: 'a', require: true, spec: { x: 'y' } },
      { operation: 'default', spec: { later: 1 } },
    ];
    const json = '{"a":[{"y":1},{"z":2}]}';
    expect(run(spec, json)).toBe(json);
    expect(run(spec, json, 'strict')).toEqual(['kazaam_require', 'Path does not exist']);
  });

  test('concat writes quotes as they are', () => {
    const sources = [{ value: 'say "hi"' }, { path: 'o' }, { path: 't' }];
    const spec = [{ operation: 'concat', spec: { sources, targetPath: 'c', delim: '\n' } }];
    const json = '{"o":{"k":1},"t":"a\\"b"}';
    expect(run(spec, json)).toContain('"c":"say "hi"\n{"k":1}\na\\"b"}');
    expect(run(spec, json, 'strict')).toBe(
      '{"o":{"k":1},"t":"a\\"b","c":"say \\"hi\\"\\n{\\"k\\":1}\\na\\"b"}',
    );
  });

  test('a path through an array goes on in the next object', () => {
    const json = '{"a":[1],"b":{"x":5}}';
    expect(run(shift({ out: 'a.x' }), json)).toBe('{"out":5}');
    expect(run(shift({ out: 'a.x' }), json, 'strict')).toBe('{"out":null}');
  });

  test('a delete leaves a comma where white space is before it', () => {
    const spec = [{ operation: 'delete', spec: { paths: ['a'] } }];
    expect(run(spec, '{"a":1 ,"b":2}')).toBe('{ ,"b":2}');
    expect(run(spec, '{"a":1 ,"b":2}', 'strict')).toBe('{"b":2}');
  });

  test('a second index in one part is not read', () => {
    expect(run(shift({ x: 'a[0][1]' }), '{"a":[[1,2]]}')).toBe('{"x":[1,2]}');
    expect(run(shift({ x: 'a[0][1]' }), '{"a":[[1,2]]}', 'strict')).toBe('{"x":2}');
  });

  test('times in an array without a star end as the last', () => {
    const formats = { inputFormat: '$unix', outputFormat: '2006' };
    const spec = [{ operation: 'timestamp', spec: { t: formats } }];
    expect(run(spec, '{"t":["0","1500621327"]}')).toBe('{"t":"2017"}');
    expect(run(spec, '{"t":["0","1500621327"]}', 'strict')).toBe('{"t":["1970","2017"]}');
  });
});

describe('what has no result upstream fails with kazaam_spec', () => {
  test.each([
    [{ operation: 'shift' }],
    [{ operation: 'extract', spec: { path: 5 } }],
    [{ operation: 'concat', spec: { sources: 'a', targetPath: 'b' } }],
    [{ operation: 'concat', spec: { sources: [{ value: 1 }], targetPath: 'b' } }],
    [{ operation: 'coalesce', spec: { a: ['b'], ignore: 5 } }],
    [{ operation: 'uuid', spec: { a: { version: 5, namespace: 'URL', names: [1] } } }],
    [{ operation: 'default', spec: { 'x..y': 1 } }],
    [{ operation: 'default', spec: { 'x[9999999999]': 1 } }],
  ])('%j', (operation) => {
    expect(run([operation], '{"x":[]}')).toEqual([
      'kazaam_spec',
      expect.stringMatching(/^SpecError - /),
    ]);
  });
});

test('$now is the time of the call', () => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T10:11:12.345Z') });
  const formats = { inputFormat: '$now', outputFormat: 'Mon Jan _2 15:04:05.000 MST 2006' };
  expect(run([{ operation: 'timestamp', spec: { t: formats } }], '{}')).toBe(
    '{"t":"Sun Mar  1 10:11:12.345 UTC 2026"}',
  );
});

test('uuid of version 4 is another each time', () => {
  const spec = [{ operation: 'uuid', spec: { id: { version: 4 } } }];
  const form = /^\{"id":"[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}"\}$/;
  const [first, second] = [run(spec, '{}'), run(spec, '{}')];
  expect(first).toMatch(form);
  expect(second).toMatch(form);
  expect(first).not.toBe(second);
});

test('in place among other lines a document becomes what it becomes alone', () => {
  const spec = [
    { operation: 'shift', spec: { 'x.y': 'a.b', 'x.l[1]': 'l[0]', all: 'l[*].k', é: 'é' } },
    { operation: 'default', spec: { d: 'ü', 'x.z': [] } },
  ];
  const { one, inPlace } = compileKazaamLines(spec, { mode: 'compat', dialect: 'kazaam' });
  const value = fc.jsonValue({ maxDepth: 2 });
  const likely = fc.record(
    { a: fc.record({ b: value }), l: fc.array(fc.record({ k: value })), é: value, other: value },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(likely, (document) => {
      const json = JSON.stringify(document);
      const bytes = Buffer.from(`before\n${json}\nafter`);
      const result = inPlace?.transform(bytes, bytes.toString('latin1'), 7) ?? null;
      const text = result === null ? null : Buffer.from(result, 'latin1').toString();
      expect(text).not.toBeNull();
      expect(inPlace?.end()).toBe(7 + Buffer.byteLength(json));
      expect(one(json)).toEqual({ kind: 'document', json: text });
    }),
  );
});

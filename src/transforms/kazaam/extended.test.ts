import { describe, expect, test } from 'vitest';

import { compileKazaam } from './compile.ts';

const DOCUMENT = JSON.stringify({
  tests: {
    test_int: 500,
    test_float: 500.01,
    test_fraction: 0.5,
    test_trim: '    blah   ',
    test_money: '$6,000,000',
    test_chars: 'abcdefghijklmnopqrstuvwxyz',
    test_mapped: 'Texas',
    test_array: ['one', 'two'],
    test_array2: [
      { one: 1, two: 2 },
      { one: 3, two: 4 },
    ],
    number_text: '0042',
  },
  test_bool: true,
  nothing: null,
});

const CONVERTERS = {
  mapped: { states: { Texas: 'TX' } },
  regex: {
    remove_commas: { match: ',', replace: '' },
    swap: [
      { match: '^none$', replace: 'x' },
      { match: '(?i)^(?P<first>t)(e)', replace: '${2}$first-' },
    ],
  },
};

function transform(spec: readonly object[], json = DOCUMENT, mode: 'compat' | 'strict' = 'compat') {
  return compileKazaam(spec, { mode, dialect: 'extended' })(json);
}

function shifted(path: string, mode?: 'compat' | 'strict') {
  const spec = [{ operation: 'shift', require: true, converters: CONVERTERS, spec: { out: path } }];
  const outcome = transform(spec, DOCUMENT, mode);
  return outcome.kind === 'document' ? JSON.parse(outcome.json) : outcome;
}

describe('a path with conditions', () => {
  test.each([
    ['tests.test_array[1]?', { out: 'two' }],
    ['tests.test_array[2]?', {}],
    ['tests.test_array[2]?"three"', { out: 'three' }],
    ['tests.test_array2[1].one?', { out: 3 }],
    ['tests.test_array2[3].one?4', { out: 4 }],
    ['path.not.found?', {}],
    ['path.not.found? 1 ', { out: 1 }],
    ['path.not.found? -2.2', { out: -2.2 }],
    ['path.not.found? "bl?ah: x"', { out: 'bl?ah: x' }],
    ['path.not.found? true', { out: true }],
    ['path.not.found? not json', {}],
    ['path.not.found ? tests.test_int == 500 : "default"', { out: 'default' }],
    ['tests.test_int ? tests.test_int == 500 :', { out: 500 }],
    ['tests.test_int ? tests.test_int != 500 :', {}],
    ['tests.test_int ? tests.test_int < 7 : "less \\"or\\" more"', { out: 'less "or" more' }],
    ['tests.test_int ? broken( : "default"', { out: 'default' }],
    ['tests.test_int ? broken( :', {}],
    ['tests.test_int ? tests.test_int == "500" : 0', { out: 0 }],
    ['tests.test_int ? tests.test_array == 1 : 0', { out: 0 }],
    ['tests.test_int ? nothing == null && !(tests.test_int == null) : 0', { out: 500 }],
    ['tests.test_int ? test_bool && (tests.test_int > 1 || test_bool) : 0', { out: 500 }],
    ['tests.test_int ? ston("tests.number_text") >= 42.0 : 0', { out: 500 }],
    ['tests.test_int ? substr("tests.test_chars", "2 4") == "cd" : 0', { out: 500 }],
    ['tests.test_int ? upper("not.there") == "X" : 0', { out: 0 }],
    ['tests.test_array2[*].three ? 9', { out: [9, 9] }],
    ['tests.test_money ? test_bool : "$7" | substr 1 2 | ston', { out: 6 }],
  ])('%s', (path, expected) => {
    expect(shifted(path)).toEqual(expected);
  });
});

describe('converters', () => {
  test.each([
    ['tests.test_int | add 2', 502],
    ['tests.test_float | add .5', 500.51],
    ['tests.test_int | mul -3', -1500],
    ['tests.test_int | div 4', 125],
    ['tests.test_int | div 3', 166.667],
    ['tests.test_float | ceil', 501],
    ['tests.test_float | floor', 500],
    ['tests.test_fraction | round', 1],
    ['tests.test_int | float 2', 500],
    ['tests.test_fraction | float 0', 0],
    ['tests.test_int | ntos', '500'],
    ['tests.number_text | ston', 42],
    ['tests.test_array[0] | eqs "one"', true],
    ['tests.test_int | eqs 501', false],
    ['test_bool | not', false],
    ['tests.test_int | not', false],
    ['tests.test_int | format %06d\\|%%', '000500|%'],
    ['tests.test_fraction | format <%.3f>', '<0.500>'],
    ['tests.test_mapped | format %-7s.', 'Texas  .'],
    ['tests.test_array | join \\, ', 'one,two'],
    ['tests.test_array | len', 2],
    ['tests.test_mapped | len', 5],
    ['tests.test_mapped | upper | lower', 'texas'],
    ['tests.test_mapped | mapped states', 'TX'],
    ['tests.test_chars | mapped states', 'abcdefghijklmnopqrstuvwxyz'],
    ['tests.test_money | regex remove_commas', '$6000000'],
    ['tests.test_mapped | regex swap', 'eT-xas'],
    ['tests.test_money | split ,', ['$6', '000', '000']],
    ['tests.test_money | splitn , 2', '000'],
    ['tests.test_money | splitn , 12', null],
    ['tests.test_chars | substr 23', 'xyz'],
    ['tests.test_chars | substr 2 4', 'cd'],
    ['tests.test_trim | trim', 'blah'],
    ['tests.test_array[*] | upper', ['ONE', 'TWO']],
    ['nothing | upper', null],
  ])('%s', (path, expected) => {
    expect(shifted(path)).toEqual({ out: expected });
  });

  test('keep whole numbers exact and, in strict, all digits of others', () => {
    const spec = [{ operation: 'shift', spec: { a: 'n | add 1', b: 'd | add 1' } }];
    const json = '{"n":9007199254740993,"d":3.14159265}';
    expect(transform(spec, json)).toMatchObject({ json: '{"a":9007199254740994,"b":4.14159}' });
    expect(transform(spec, json, 'strict')).toMatchObject({
      json: '{"a":9007199254740994,"b":4.14159265}',
    });
  });

  test('keep escaped blanks around their arguments', () => {
    expect(shifted('tests.test_array | join \\ and\\ ')).toEqual({ out: 'one andtwo' });
    expect(shifted('tests.test_mapped | format \\ %s\\ ')).toEqual({ out: ' Texas ' });
  });

  test.each([
    ['tests.test_int | upper', 'kazaam_parse'],
    ['tests.test_array | ston', 'kazaam_parse'],
    ['tests.test_chars | substr 5 900', 'kazaam_parse'],
    ['tests.test_int | div 0', 'kazaam_spec'],
    ['tests.test_int | nonesuch', 'kazaam_spec'],
    ['tests.test_money | regex nonesuch', 'kazaam_spec'],
    ['tests.test_int |', 'kazaam_spec'],
    ['not.there | upper', 'kazaam_require'],
  ])('%s fails with %s', (path, code) => {
    expect(shifted(path)).toMatchObject({ kind: 'failed', code });
  });

  test('of one operation are known to the next', () => {
    const spec = [
      { operation: 'pass', converters: CONVERTERS },
      { operation: 'extract', spec: { path: 'tests.test_mapped | mapped states' } },
    ];
    expect(transform(spec)).toEqual({ kind: 'document', json: '"TX"' });
  });
});

test('steps shift one after the other', () => {
  const spec = [
    {
      operation: 'steps',
      inplace: true,
      spec: { steps: [{ 'object.id': 'doc.uid' }, { again: 'object.id | add 1' }] },
    },
  ];
  expect(transform(spec, '{"doc":{"uid":1}}')).toEqual({
    kind: 'document',
    json: '{"doc":{"uid":1},"object":{"id":1},"again":2}',
  });
});

describe('merge', () => {
  const spec = [
    {
      operation: 'merge',
      spec: {
        merged: [
          { name: 'x', array: 'a' },
          { name: 'y', array: 'b[*].v' },
        ],
      },
    },
  ];

  test('makes objects of parallel arrays', () => {
    expect(transform(spec, '{"a":[1.0,"two"],"b":[{"v":null},{"v":[]}]}')).toEqual({
      kind: 'document',
      json: '{"merged":[{"x":1.0,"y":null},{"x":"two","y":[]}]}',
    });
  });

  test.each([
    ['{"a":[1],"b":[]}', 'kazaam_spec'],
    ['{"a":[1]}', 'kazaam_require'],
    ['{"a":1,"b":[]}', 'kazaam_parse'],
  ])('%s fails with %s', (json, code) => {
    expect(transform(spec, json)).toMatchObject({ kind: 'failed', code });
  });
});

test('the plain dialect knows none of it', () => {
  const plain = (spec: unknown) => compileKazaam(spec, { mode: 'compat', dialect: 'kazaam' });
  expect(() => plain([{ operation: 'steps', spec: { steps: [] } }])).toThrow('Invalid spec');
  expect(plain([{ operation: 'shift', spec: { a: 'b ? 1' } }])('{"b ? 1":2}')).toEqual({
    kind: 'document',
    json: '{"a":2}',
  });
});

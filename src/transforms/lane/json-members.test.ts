import fc from 'fast-check';
import { expect, test } from 'vitest';

import { eachField } from './fields.ts';
import { arrayElements, eachMember, wholeSpan } from './json-members.ts';

const SEED = Number(process.env['FOREBAY_SEED'] ?? 20_417);

function members(json: string): readonly (readonly [string, string, string])[] | null {
  const span = wholeSpan(json);
  const found: (readonly [string, string, string])[] = [];
  const isObject =
    span !== null &&
    eachMember(json, span, (name, { kind, start, end }) => {
      found.push([name, kind, json.slice(start, end)]);
      return true;
    });
  return isObject ? found : null;
}

test('members are found with their raw text', () => {
  expect(
    members(' { "a" : 1.50 , "b\\"" : "x,}\\\\" ,"c":{"d":[1,"]"]},"e":null,"f":true } '),
  ).toEqual([
    ['a', 'number', '1.50'],
    ['b"', 'string', '"x,}\\\\"'],
    ['c', 'object', '{"d":[1,"]"]}'],
    ['e', 'null', 'null'],
    ['f', 'boolean', 'true'],
  ]);
});

test.for([
  '',
  '{',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":1}x',
  '{a:1}',
  '{"a":01}',
  '{"a":"x}',
  '{"a":tru}',
])('what is no object has no members: %s', (json) => {
  expect(members(json)).toBeNull();
});

test('any object and array of JSON is taken apart as JSON.parse does', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue(), { noNullPrototype: true }),
      fc.constantFrom(undefined, 1, '\t'),
      (object, space) => {
        const json = JSON.stringify(object, null, space);
        const parsed = JSON.parse(json) as Record<string, unknown>;
        const found = members(json) ?? [];
        expect(
          Object.fromEntries(found.map(([name, , raw]) => [name, JSON.parse(raw) as unknown])),
        ).toEqual(parsed);
        const list = JSON.stringify(Object.values(object), null, space);
        const span = wholeSpan(list);
        const elements = span === null ? null : arrayElements(list, span);
        expect(
          elements?.map(({ start, end }) => JSON.parse(list.slice(start, end)) as unknown),
        ).toEqual(JSON.parse(list));
      },
    ),
    { seed: SEED, numRuns: 40 },
  );
});

test('nested fields have paths, arrays stay whole', () => {
  const json = '{"a":{"b":1,"c":{"d":[{"e":2}]}},"f":3,"f":4}';
  const fields: string[] = [];
  const isObject = eachField(
    json,
    () => true,
    (id, { start, end }) =>
      fields.push(`${id.replaceAll('\u0000', '.')} ${json.slice(start, end)}`),
  );
  expect([isObject, ...fields]).toEqual([true, 'a.b 1', 'a.c.d [{"e":2}]', 'f 3', 'f 4']);
});

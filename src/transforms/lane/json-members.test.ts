import fc from 'fast-check';
import { expect, test } from 'vitest';

import { readFields } from './fields.ts';
import { arrayElements, objectMembers, wholeSpan } from './json-members.ts';

const SEED = Number(process.env['FOREBAY_SEED'] ?? 20_417);

function members(json: string): readonly (readonly [string, string, string])[] | null {
  const span = wholeSpan(json);
  const found = span === null ? null : objectMembers(json, span);
  return found?.map(({ name, kind, start, end }) => [name, kind, json.slice(start, end)]) ?? null;
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

test('nested fields have paths, arrays stay whole, the last of two members counts', () => {
  const fields = readFields('{"a":{"b":1,"c":{"d":[{"e":2}]}},"f":3,"f":4}', () => true);
  expect(
    [...(fields?.values() ?? [])].map(({ path, span }) => [path.join('.'), span.kind]),
  ).toEqual([
    ['a.b', 'number'],
    ['a.c.d', 'array'],
    ['f', 'number'],
  ]);
  expect(fields?.get('f')?.span.start).toBe(43);
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_DEPTH, parseJson } from './parse.ts';
import { JsonNumber } from './value.ts';
import { writeJson } from './write.ts';

function roundTrip(text: string): string {
  const result = parseJson(text);
  return result.ok ? writeJson(result.value) : `${result.position}: ${result.message}`;
}

describe('lossless JSON', () => {
  it.each([
    '1481305274100000000000000000000',
    '12.50',
    '-0',
    '1E400',
    '0.10e-7',
    '{"2":1,"1":2,"a":3}',
    '"\\ud800"',
    '"\\u0000"',
    '{"__proto__":{"constructor":1}}',
    '[[],{},"",null,true,false]',
  ])('%s comes out as it went in', (text) => {
    expect(roundTrip(text)).toBe(text);
  });

  it('drops white space and needless escapes', () => {
    expect(roundTrip(' { "a" : [ 1 , "\\u00e9\\/" ] }\r\n')).toBe('{"a":[1,"é/"]}');
  });

  it('takes the last value of a key that stands twice, at the place of the first', () => {
    expect(roundTrip('{"a":1,"b":2,"a":3}')).toBe('{"a":3,"b":2}');
  });

  it.each([
    ['', '0: a value is expected'],
    ['{"a":1,}', '7: a key in quotes is expected'],
    ['{"a" 1}', "5: ':' is expected"],
    ['[1 2]', "3: ',' or ']' is expected"],
    ['[1', "2: ',' or ']' is expected"],
    ['01', '1: something follows the document'],
    ['1.', '1: something follows the document'],
    ['nul', '0: a value is expected'],
    ['"a', '2: the string has no end'],
    ['"a\tb"', '2: a control character in a string'],
    ['"\\x"', '2: no such escape in a string'],
    ['"\\u12g4"', '2: four hexadecimal digits are expected'],
    ['NaN', '0: a value is expected'],
  ])('%s is refused with its place', (text, failure) => {
    expect(roundTrip(text)).toBe(failure);
  });

  it('refuses what is nested too deep without exhausting the stack', () => {
    const nested = (depth: number) => roundTrip('['.repeat(depth) + ']'.repeat(depth));
    expect(nested(MAX_DEPTH)).toHaveLength(2 * MAX_DEPTH);
    expect(nested(1_000_000)).toContain('nested deeper');
  });

  it('accepts and refuses exactly what JSON.parse does, with the same meaning', () => {
    const mangled = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom('', '"', '\\', ',', '}', '0', 'e', '\n'))
      .map(([json, at, piece]) => {
        const cut = at % (json.length + 1);
        return json.slice(0, cut) + piece + json.slice(cut + (piece === '' ? 1 : 0));
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), mangled), (text) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          expect(parseJson(text).ok).toBe(false);
          return;
        }
        expect(JSON.parse(roundTrip(text))).toEqual(expected);
      }),
      { numRuns: 1000 },
    );
  });

  it('keeps every lexeme of a number', () => {
    const lexeme = fc.stringMatching(
      /^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?$/,
    );
    fc.assert(
      fc.property(lexeme, (text) => {
        expect(parseJson(text)).toEqual({ ok: true, value: new JsonNumber(text) });
      }),
    );
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { type DocumentNode, nodeAt, offsetOf, placesOf, type ReadDocument } from './document.ts';
import { readJson } from './json-document.ts';
import type { Path } from './problem.ts';
import { readYaml } from './yaml-document.ts';

function plain(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry.node)]));
}

function rootOf(read: ReadDocument): DocumentNode {
  if (read.root === null) throw new Error(JSON.stringify(read.flaws));
  return read.root;
}

function place(text: string, root: DocumentNode, path: Path, at?: 'key'): string {
  const violation = at === undefined ? { path } : { path, at };
  const { line, column } = placesOf(text)(offsetOf(root, violation));
  return `${line}:${column}`;
}

describe('places', () => {
  const block = 'a:\n  b: 1\n  c:\n    - x\n    -   d: 2\n';
  const flow = 'a: {b: 1, c: [x, {d: 2}]}\n';
  const json = '{\n  "a": {\n    "b": 1,\n    "c": ["x", {"d": 2}]\n  }\n}\n';

  test.each<[string, string, Record<string, string>]>([
    [
      'YAML in block style',
      block,
      { a: '2:3', b: '2:6', key: '2:3', x: '4:7', d: '5:12', none: '5:9' },
    ],
    [
      'YAML in flow style',
      flow,
      { a: '1:4', b: '1:8', key: '1:5', x: '1:15', d: '1:22', none: '1:18' },
    ],
    ['JSON', json, { a: '2:8', b: '3:10', key: '3:5', x: '4:11', d: '4:22', none: '4:16' }],
  ])('%s', (_, text, expected) => {
    const root = rootOf(text === json ? readJson(text) : readYaml(text));
    expect({
      a: place(text, root, ['a']),
      b: place(text, root, ['a', 'b']),
      key: place(text, root, ['a', 'b'], 'key'),
      x: place(text, root, ['a', 'c', 0]),
      d: place(text, root, ['a', 'c', 1, 'd']),
      // What is missing is where its parent is: here the second item of the list.
      none: place(text, root, ['a', 'c', 1, 'e', 'f']),
    }).toEqual(expected);
    expect(plain(root)).toEqual({ a: { b: 1, c: ['x', { d: 2 }] } });
  });

  test('what a mapping lacks is told at its name', () => {
    const root = rootOf(readYaml(block));
    expect(place(block, root, ['a', 'z'])).toBe('1:1');
    expect(place(block, root, ['z'])).toBe('1:1');
  });

  test('JSON read as YAML has the same places', () => {
    const [asJson, asYaml] = [rootOf(readJson(json)), rootOf(readYaml(json))];
    for (const path of [['a'], ['a', 'b'], ['a', 'c', 0], ['a', 'c', 1, 'd']]) {
      expect(place(json, asYaml, path)).toBe(place(json, asJson, path));
    }
  });

  test('a value that came by an alias or a merge is told where it was written', () => {
    const text = 'x: &x {a: 1, b: 2}\ny: *x\nz: {<<: *x, b: 3}\n';
    const root = rootOf(readYaml(text));
    expect(plain(root)).toEqual({ x: { a: 1, b: 2 }, y: { a: 1, b: 2 }, z: { a: 1, b: 3 } });
    expect([place(text, root, ['y', 'a']), place(text, root, ['z', 'a'])]).toEqual([
      '1:11',
      '1:11',
    ]);
    expect(place(text, root, ['z', 'b'])).toBe('3:16');
  });
});

describe('merge keys', () => {
  test.each([
    ['x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}\n', { a: 1, b: 2 }],
    ['x: &x {a: 1}\nz: {a: 0, <<: *x}\n', { a: 0 }],
    ['z: {"<<": 1}\n', { '<<': 1 }],
  ])('%j', (text, expected) => {
    expect(plain(rootOf(readYaml(text)))).toMatchObject({ z: expected });
  });
});

describe('what is no YAML', () => {
  test.each([
    ['a: 1\n\tb: 2\n', '2:1 syntax: a tab indents this line'],
    ['a: 1\na: 2\n', '2:1 duplicate-key: the key "a" stands here a second time'],
    ['{a: 1, a: 2}', '1:8 duplicate-key: the key "a" stands here a second time'],
    [
      'a:\n  b: 1\n c: 2\n',
      '3:1 syntax: the indentation is wrong here, or a bracket above is not closed',
    ],
    ['a: "x\n', '2:1 syntax: not YAML: Missing closing "quote'],
    ['a: b: c\n', '1:4 syntax: a mapping stands where one value was expected'],
    ['a: 1\n---\na: 2\n', '2:1 syntax: a second document begins here'],
    ['a: !run echo\n', '1:4 syntax: a tag that this file may not use'],
    ['a: *nothing\n', '1:4 aliases: no anchor &nothing stands above this alias'],
    ['a: &a [1, *a]\n', '1:11 aliases: the alias *a stands inside the anchor it refers to'],
    ['? [a]\n: 1\n', '1:3 syntax: a key must be a word'],
    ['a: {<<: 1}\n', '1:9 type: << merges mappings, and this is none'],
    ['a: @b\n', '1:4 syntax: not YAML: Plain value cannot start with reserved character @'],
  ])('%j', (text, expected) => {
    const { flaws } = readYaml(text);
    const placeOf = placesOf(text);
    const told = flaws.map(({ offset, rule, message }) => {
      const { line, column } = placeOf(offset);
      return `${line}:${column} ${rule}: ${message}`;
    });
    expect(told).toEqual([expected]);
    expect(flaws[0]?.fix).toMatch(/\w{3}/);
  });

  test('aliases of aliases of aliases are cut short', () => {
    const level = (name: string, of: string) =>
      `${name}: &${name} [${Array(9).fill(`*${of}`).join()}]\n`;
    const bomb = `a: &a [${Array(9).fill('x').join()}]\n${[
      'ba',
      'cb',
      'dc',
      'ed',
      'fe',
      'gf',
      'hg',
      'ih',
    ]
      .map(([name = '', of = '']) => level(name, of))
      .join('')}`;
    expect(readYaml(bomb).flaws.map(({ rule }) => rule)).toEqual(['aliases']);
  });

  test.each([
    ['YAML', (depth: number) => readYaml('['.repeat(depth) + ']'.repeat(depth))],
    ['JSON', (depth: number) => readJson('['.repeat(depth) + ']'.repeat(depth))],
  ])('%s that is nested too deeply', (_, read) => {
    expect(read(60).root).not.toBeNull();
    for (const depth of [70, 5000])
      expect(read(depth).flaws.map(({ rule }) => rule)).toEqual(['depth']);
  });
});

describe('JSON', () => {
  test.each([
    ['{"a": 1,}', '8 expected a name in double quotes, found "}"'],
    ['{"a" 1}', '5 expected ":", found "1"'],
    ['[1 2]', '3 expected "," or "]", found "2"'],
    ['{"a": "x', '6 the text has no end or a wrong escape in it'],
    ['{"a": "\\q"}', '6 the text has no end or a wrong escape in it'],
    ['{"a": tru}', '6 expected a value, found "t"'],
    ['', '0 expected a value, found the end of the file'],
    ['{} x', '3 expected the end of the file, found "x"'],
    ['// a\n{}', '0 expected a value, found "/"'],
    ['{"a": 1, "a": 2}', '9 the key "a" stands here a second time'],
  ])('%s', (text, expected) => {
    expect(readJson(text).flaws.map(({ offset, message }) => `${offset} ${message}`)).toEqual([
      expected,
    ]);
  });

  test('is what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const read = readJson(text);
        // fast-check repeats no keys in one object.
        expect(plain(rootOf(read))).toEqual(JSON.parse(text));
      }),
      { verbose: true },
    );
  });

  test('takes no text that JSON.parse refuses', () => {
    const unit = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '1',
      '0',
      '-',
      '.',
      'e',
      ' ',
      '\\',
      'true',
      'a',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 12 }), (text) => {
        const isJson = (() => {
          try {
            JSON.parse(text);
            return true;
          } catch {
            return false;
          }
        })();
        const { flaws } = readJson(text);
        const isTaken = flaws.every(({ rule }) => rule === 'duplicate-key');
        expect(isTaken).toBe(isJson);
      }),
      { verbose: true, numRuns: 2000 },
    );
  });

  test('is read as YAML with the same values', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = JSON.stringify({ value }, null, 1);
        expect(plain(rootOf(readYaml(text)))).toEqual(plain(rootOf(readJson(text))));
      }),
      { verbose: true },
    );
  });
});

test('a number keeps how it was written', () => {
  const node = nodeAt(rootOf(readYaml('a: 08006\n')), ['a']);
  expect(node).toMatchObject({ value: 8006, source: '08006' });
});

import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';

import { edit, SHOP } from '../../../test/support/configuration.ts';
import { readPlainYaml } from './plain-yaml.ts';
import { readYaml } from './yaml-document.ts';

const examples = join(import.meta.dirname, '../../../examples');

test.each([
  SHOP,
  edit(SHOP, ['"1"', "'1' # one"]),
  SHOP.replaceAll('\n', '\r\n'),
  'a:\nb: # nothing\n\n  # deep\nc:\n- 1\n- x: -2.5e3\n  y: .5\n-   z: Null\n',
  '# one\n---\na: []\nb:\n  - {}\n  - []\n',
  'a: 127.0.0.1\nb: 08006\nc: 1h30m\nd: -x\ne: postgres://a:b@c/d#e\nf: "x # y"\ng: a  # b\n',
])('reads %j as the general parser does', (text) => {
  const plain = readPlainYaml(text);
  expect(plain).not.toBeNull();
  expect(plain).toEqual(readYaml(text).root);
});

test.each([
  '',
  'a: [1]',
  'a: {b: 1}',
  'a: &x 1',
  'a: *x',
  'a: |\n  text',
  'a: two\n  lines',
  'a: b: c',
  'a: "x\\n"',
  "a: 'it''s'",
  'a: 0x10',
  'a: .inf',
  'a: ~',
  'a: @x',
  'a: 1\na: 2',
  'a: 1\n  b: 2',
  ' a: 1\nb: 2',
  'a:\n  - 1\n - 2',
  '- - 1',
  '-',
  'a b: 1',
  '"a": 1',
  '? a',
  '---\n---\na: 1',
  '--- a: 1',
  'a: 1\n---\n',
  'a: [ ]',
  'a: 1\n...',
  'a:\tb',
  '%YAML 1.2\n---\na: 1',
  'a: "x" y',
  'text',
])('leaves %j to the general parser', (text) => {
  expect(readPlainYaml(text)).toBeNull();
});

test('no example is read otherwise', () => {
  const read = globSync('*.yaml', { cwd: examples }).flatMap((file) => {
    const text = readFileSync(join(examples, file), 'utf8');
    const plain = readPlainYaml(text);
    if (plain !== null) expect(plain).toEqual(readYaml(text).root);
    return plain === null ? [] : [file];
  });
  expect(read.length).toBeGreaterThan(3);
});

const PIECES =
  String.raw`a: |b:|c: x|- |-|x|1|-1|.5|1e3|~|null|True|no| |  |#| # c|:|: |"|'|"q"|'q'|\|[|]|{|}|,|&a|*a|!|>|%|@|?|? |---|[]|{}|...|<<: |é|$|/|.|+|0x1|0o7`
    .split('|')
    .concat(['\n', '\n', '\n', '\n  ', '\n    ', '\n- ', '\n  - ', '---\n', '|', '`', '\r\n', '\t'])
    .concat(['\r', '\u0085', '\u2028', '\uFEFF', '\u00A0']);

test('whatever it reads, the general parser reads the same', () => {
  const piece = fc.constantFrom(...PIECES);
  let reads = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      const plain = readPlainYaml(text);
      if (plain === null) return;
      reads += 1;
      expect(plain).toEqual(readYaml(text).root);
    }),
    { verbose: true, numRuns: 20_000 },
  );
  expect(reads).toBeGreaterThan(100);
});

const key = fc.stringMatching(/^[a-z_][a-z0-9_.-]{0,6}$/);
const value = fc.oneof(
  fc.stringMatching(/^[A-Za-z0-9$./:_ +-]{1,12}$/),
  fc.integer().map(String),
  fc.double().map(String),
  fc.stringMatching(/^"[^"\\\n\r\t]{0,8}"$/),
  fc.constantFrom('true', 'False', 'NULL', '', ' # nothing', 'x # y'),
);
interface Tree {
  readonly [key: string]: string | Tree | readonly (string | Tree)[];
}
const { tree } = fc.letrec<{ tree: Tree; node: string | Tree | (string | Tree)[] }>((tie) => ({
  tree: fc.dictionary(key, tie('node'), { minKeys: 1, maxKeys: 4 }),
  node: fc.oneof(
    { maxDepth: 3 },
    value,
    tie('tree'),
    fc.array(fc.oneof(value, tie('tree')), { minLength: 1, maxLength: 3 }),
  ),
}));

type Item = string | Tree;

function isList(node: Item | readonly Item[]): node is readonly Item[] {
  return Array.isArray(node);
}

function write(node: Tree, indent: string): string {
  return Object.entries(node)
    .map(([name, one]) => {
      if (typeof one === 'string') return `${indent}${name}: ${one}\n`;
      if (!isList(one)) return `${indent}${name}:\n${write(one, `${indent}  `)}`;
      const items = one.map((item) => {
        const text =
          typeof item === 'string' ? `${item}\n` : write(item, `${indent}    `).trimStart();
        return `${indent}  - ${text}`;
      });
      return `${indent}${name}:\n${items.join('')}`;
    })
    .join('');
}

test('a file as programs write it has the same values and places', () => {
  let reads = 0;
  fc.assert(
    fc.property(tree, (given) => {
      const text = write(given, '');
      const plain = readPlainYaml(text);
      if (plain === null) return;
      reads += 1;
      expect(plain).toEqual(readYaml(text).root);
    }),
    { verbose: true, numRuns: 1000 },
  );
  expect(reads).toBeGreaterThan(300);
});

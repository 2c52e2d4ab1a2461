import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getuid } from 'node:process';

import { afterAll, describe, expect, test } from 'vitest';

import { edit, SHOP } from '../../../test/support/configuration.ts';
import { inspectConfiguration, loadConfiguration } from './load.ts';
import { printProblem } from './problem.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function problemsOf(path: string): string[] {
  return inspectConfiguration(path).problems.map((problem) =>
    printProblem({ ...problem, file: 'c' }),
  );
}

const CANNOT = 'c:1:1: the file cannot be read:';
const READABLE = '(readable) — Give the path of a readable YAML or JSON file.';
const UTF8 = '(encoding) — Give a YAML or JSON file, saved as UTF-8.';
const LEAST = 'Begin with version: "1" and streams:; examples/minimal.yaml shows the least.';

describe('a file that is none', () => {
  test('missing, a folder, a device', () => {
    expect(problemsOf(join(folder, 'none.yaml'))).toEqual([
      `${CANNOT} there is no such file ${READABLE}`,
    ]);
    expect(problemsOf(folder)).toEqual([`${CANNOT} it is a folder ${READABLE}`]);
    expect(problemsOf('/dev/null')).toEqual([`${CANNOT} it is no ordinary file ${READABLE}`]);
    expect(problemsOf(join(write('plain', 'x'), 'c.yaml'))).toEqual([
      `${CANNOT} a part of the path is no folder ${READABLE}`,
    ]);
  });

  test.skipIf(getuid?.() === 0)('not readable', () => {
    const path = write('secret.yaml', SHOP);
    chmodSync(path, 0);
    expect(problemsOf(path)).toEqual([`${CANNOT} it may not be read by this user ${READABLE}`]);
  });

  test('larger than 16 MiB', () => {
    expect(problemsOf(write('large.yaml', Buffer.alloc(16 * 1024 * 1024 + 1, '#')))).toEqual([
      `${CANNOT} it is larger than 16 MiB (size) — Split it into several files, each run by a service of its own.`,
    ]);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['empty', '', `c:1:1: the file is empty (required) — ${LEAST}`],
    ['spaces', ' \n\n', `c:1:1: the file is empty (required) — ${LEAST}`],
    ['a comment', '# nothing yet\n', `c:1:1: the file is empty (required) — ${LEAST}`],
    ['an empty mapping', '{}', `c:1:1: the file is empty (required) — ${LEAST}`],
    [
      'a text',
      'hello\n',
      'c:1:1: the file must hold a mapping of version, streams and so on (type) — Write name: value lines; examples/minimal.yaml shows the least.',
    ],
    [
      'a list',
      '- a\n',
      'c:1:1: the file must hold a mapping of version, streams and so on (type) — Write name: value lines; examples/minimal.yaml shows the least.',
    ],
    [
      'binary',
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 0, 0]),
      `c:1:1: the file is binary, not text ${UTF8}`,
    ],
    [
      'UTF-16',
      Buffer.from(`\uFEFF${SHOP}`, 'utf16le'),
      `c:1:1: the file is UTF-16, not UTF-8 ${UTF8}`,
    ],
    [
      'UTF-16 without a mark',
      Buffer.from(SHOP, 'utf16le'),
      `c:1:1: the file is UTF-16, not UTF-8 ${UTF8}`,
    ],
    [
      'Latin-1',
      Buffer.from(edit(SHOP, ['shop\n', 'caf\u00E9\n']), 'latin1'),
      `c:3:12: a byte here is not UTF-8 ${UTF8}`,
    ],
    [
      'a second document',
      `${SHOP}---\n${SHOP}`,
      'c:13:1: a second document begins here (syntax) — Keep one document a file: remove the line --- and what follows, or make two files.',
    ],
    [
      'tabs',
      edit(SHOP, ['  - id', '\t- id']),
      'c:3:1: a tab indents this line (syntax) — Indent with spaces: YAML does not take tabs.',
    ],
  ])('%s', (name, content, expected) => {
    expect(problemsOf(write(`${name}.yaml`, content))).toEqual([expected]);
  });
});

test('a byte order mark and Windows line ends do no harm', () => {
  const path = write(
    'windows.yaml',
    `\uFEFF${edit(SHOP, ['database: dw', 'databas: dw']).replaceAll('\n', '\r\n')}`,
  );
  expect(
    inspectConfiguration(path).problems.map(({ line, column, path: field }) => [
      line,
      column,
      field,
    ]),
  ).toEqual([
    [9, 5, 'streams[0].destination.database'],
    [12, 7, 'streams[0].destination.databas'],
  ]);
});

describe('JSON', () => {
  const value = {
    version: '1',
    streams: [
      {
        id: 'shop',
        source: { type: 'postgres', connection_string: 'postgres://a/shop', database: 'shop' },
        destination: { type: 'mysql', connection_string: 'postgres://b/shop', database: 'shop' },
      },
    ],
  };

  test.each(['c.json', 'c.yaml'])('as %s', (name) => {
    const path = write(name, JSON.stringify(value, null, '\t'));
    expect(problemsOf(path)).toEqual([
      'c:13:26 streams[0].destination.connection_string: this is no connection string of MySQL (connection-string) — Write mysql://user:password@host:3306/database.',
    ]);
  });

  test('in a .json file is strict', () => {
    expect(problemsOf(write('d.json', '{"version": "1",}'))).toEqual([
      'c:1:17: expected a name in double quotes, found "}" (syntax) — Correct the JSON here; an editor shows the place too.',
    ]);
    expect(problemsOf(write('d.yaml', '{"version": "1",}'))).toEqual([
      'c:1:1 streams: streams is missing (required) — Add streams: docs/configuration.md shows what it may be.',
    ]);
  });
});

test('what a file refers to starts at its folder', () => {
  mkdirSync(join(folder, 'secrets'));
  write('secrets/url', 'postgres://ada:hunter2@shop-db/shop\n');
  const text = edit(SHOP, ['postgres://ada:secret@shop-db/shop', '${file:secrets/url}']);
  const result = loadConfiguration(write('refers.yaml', text), { environment: {} });
  expect(result.kind).toBe('loaded');
});

test('what is not there is a problem of loading', () => {
  const text = edit(SHOP, ['postgres://ada:secret@shop-db/shop', '${env:SHOP_URL}']);
  const path = write('missing.yaml', text);
  const result = loadConfiguration(path, { environment: {} });
  expect(
    result.kind === 'refused' && result.problems.map(({ line, rule }) => [line, rule]),
  ).toEqual([[6, 'reference']]);
  expect(loadConfiguration(path, { environment: { SHOP_URL: 'postgres://h/shop' } }).kind).toBe(
    'loaded',
  );
});

test('the hash is that of the content', () => {
  const [one, same, other] = [SHOP, SHOP, `${SHOP}#`].map((text, index) => {
    const result = loadConfiguration(write(`hash-${index}.yaml`, text));
    return result.kind === 'loaded' ? result.loaded.hash : null;
  });
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect(same).toBe(one);
  expect(other).not.toBe(one);
});

// `forebay transform --type custom`: a specification of a configuration file tried on documents.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { expectExit } from '../support/exit.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-transform-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function transform(specification: string, stdin: string): Promise<ForebayExit> {
  const path = join(folder, 'spec.yaml');
  writeFileSync(path, specification);
  return await runForebay(['transform', '--type', 'custom', '--spec', path], { stdin });
}

test('as many lines as came in: results, nothing for what is filtered, errors in their place', async () => {
  const lines = [
    '{"id":1,"n":12.50,"big":1481305274100000000000000000000}',
    '',
    '{"id":2,"n":"x"}',
    '{"id":3,"n":null,"status":"gone"}',
    'no json',
    '{"id":4,"n":7}\r',
  ];
  const exit = await transform(
    `filter: status is null or status <> 'gone'\nmapping: { rename: { id: key }, cast: { n: decimal } }`,
    lines.join('\n'),
  );
  expectExit(exit, 5);
  expect(
    exit.stdout.split('\n').map((line) => line.replace(/"message":".*"/, '"message":""')),
  ).toEqual([
    '{"key":1,"n":12.50,"big":1481305274100000000000000000000}',
    '',
    '{"error":{"code":"transform_cast","message":""}}',
    '',
    '{"error":{"code":"transform_json","message":""}}',
    '{"key":4,"n":7}',
    '',
  ]);
});

test('thousands of lines in order; modules are found from the folder of the specification', async () => {
  mkdirSync(join(folder, 'modules'), { recursive: true });
  writeFileSync(
    join(folder, 'modules', 'twice.ts'),
    'export default (row: { n: number }) => ({ ...row, twice: row.n * 2 });\n',
  );
  const count = 5000;
  const input = Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join('');
  const exit = await transform('module: modules/twice.ts', input);
  expectExit(exit, 0);
  const results = exit.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  expect(results).toEqual(Array.from({ length: count }, (_, n) => ({ n, twice: n * 2 })));
});

test.each([
  ['mapping: { cast: { a: colour } }', 'transform_specification'],
  ['filter: [', 'transform_specification'],
  ['module: missing.ts', 'transform_specification'],
])('%s ends with 2 before anything is read', async (specification, code) => {
  const exit = await transform(specification, '{}\n');
  expectExit(exit, 2);
  expect(exit.stdout).toBe('');
  expect(exit.stderr).toContain(code);
  expect(exit.stderr).not.toMatch(/^\s+at /m);
});

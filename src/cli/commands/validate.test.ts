import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { edit, SHOP } from '../../../test/support/configuration.ts';
import { runCommandLine } from '../command-line.ts';
import { openTerminal } from '../terminal.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-validate-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function validate(text: string, ...options: string[]) {
  const file = join(folder, 'c.yaml');
  writeFileSync(file, text);
  const written = { out: '', err: '' };
  const sink = (name: keyof typeof written) => ({
    write: (part: string | Uint8Array) => {
      written[name] += String(part).replaceAll(folder, '');
      return true;
    },
  });
  const terminal = openTerminal({ stdin: {}, stdout: sink('out'), stderr: sink('err'), env: {} });
  const code = await runCommandLine(['validate', file, ...options], terminal);
  return { code, ...written };
}

const REFERRING = edit(SHOP, ['postgres://ada:secret@shop-db/shop', '${env:FOREBAY_TEST_NOT_SET}']);
const NOT_SET =
  '/c.yaml:6:26 streams[0].source.connection_string: the environment variable FOREBAY_TEST_NOT_SET is not set (reference) — Set it before the start: export FOREBAY_TEST_NOT_SET=...\n';

test('a valid file: what was checked', async () => {
  expect(await validate(SHOP)).toEqual({
    code: 0,
    out: '/c.yaml is valid: 1 stream and 0 transformations checked\n',
    err: '',
  });
});

test('violations, one a line on stdout, exit 2', async () => {
  const wrong = `${edit(SHOP, ['"1"', '"7"'])}    batch_size: 0\n`;
  expect(await validate(wrong)).toEqual({
    code: 2,
    out:
      '/c.yaml:1:10 version: no version "7" of the format is known (version) — Write version: "1".\n' +
      '/c.yaml:13:17 streams[0].batch_size: must be at least 1; found 0 (range) — Write a value in that range.\n',
    err: '2 violations, 1 stream and 0 transformations checked\n',
  });
});

test('what is not set here is a note, with --strict a violation', async () => {
  expect(await validate(REFERRING)).toEqual({
    code: 0,
    out: '/c.yaml is valid: 1 stream and 0 transformations checked\n',
    err: `note ${NOT_SET}`,
  });
  expect(await validate(REFERRING, '--strict')).toEqual({
    code: 2,
    out: NOT_SET,
    err: '1 violation, 1 stream and 0 transformations checked\n',
  });
});

test('a password where a key stands is not shown', async () => {
  const wrong = edit(SHOP, ['database: dw', 'database: dw\n      "postgres://ada:hunter2@h/d": 1']);
  const { code, out } = await validate(wrong);
  expect(code).toBe(2);
  expect(out).toContain('postgres://ada:[secret]@h/d');
  expect(out).not.toContain('hunter2');
});

test('as JSON', async () => {
  const { code, out, err } = await validate(`${SHOP}    batch_size: 0\n`, '-o', 'json');
  expect({ code, err }).toEqual({ code: 2, err: '' });
  expect(JSON.parse(out)).toEqual({
    v: 1,
    file: '/c.yaml',
    valid: false,
    streams: 1,
    transformations: 0,
    problems: [
      {
        file: '/c.yaml',
        line: 13,
        column: 17,
        path: 'streams[0].batch_size',
        rule: 'range',
        message: 'must be at least 1; found 0',
        fix: 'Write a value in that range.',
      },
    ],
    missing: [],
  });
});

test('as YAML', async () => {
  const { code, out } = await validate(SHOP, '-o', 'yaml');
  expect({ code, out }).toEqual({
    code: 0,
    out: 'v: 1\nfile: /c.yaml\nvalid: true\nstreams: 1\ntransformations: 0\nproblems: []\nmissing: []\n',
  });
});

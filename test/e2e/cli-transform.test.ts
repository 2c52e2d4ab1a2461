// `forebay transform` as a process: its exit codes, and what it does when its reader or its user goes away.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runForebay } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'fb-transform-'));

function specFile(name: string, spec: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, typeof spec === 'string' ? spec : JSON.stringify(spec));
  return path;
}

const shift = specFile('shift.json', [
  { operation: 'shift', spec: { a: 'b' }, require: true },
  { operation: 'default', spec: { c: 'é' } },
]);

function transform(spec: string, stdin: string, ...options: readonly string[]) {
  return runForebay(['transform', '--type', 'kazaam', '--spec', spec, ...options], { stdin });
}

test('documents go through, one a line', async () => {
  const { code, stdout, stderr } = await transform(shift, '{"b":"ü"}\n\n{"b":[1.0]}');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toBe('{"a":"ü","c":"é"}\n\n{"a":[1.0],"c":"é"}\n');
});

test('a document that fails has its error on its line, and the exit code is 5', async () => {
  const { code, stdout } = await transform(shift, '{"b":1}\n{"x":1}\nnot json\n{"b":2}\n');
  expect(code).toBe(5);
  expect(stdout).toBe(
    '{"a":1,"c":"é"}\n' +
      '{"error":{"code":"kazaam_require","message":"RequiredError - Path does not exist"}}\n' +
      '{"error":{"code":"kazaam_parse","message":"ParseError - the document is no JSON"}}\n' +
      '{"a":2,"c":"é"}\n',
  );
});

test('--mode strict raises what compat passes over', async () => {
  const over = specFile('over.json', [
    { operation: 'shift', over: 'l', require: true, spec: { a: 'b' } },
  ]);
  const input = '{"l":[{"x":1}]}\n';
  expect(await transform(over, input)).toMatchObject({ code: 0, stdout: input });
  expect(await transform(over, input, '--mode', 'strict')).toMatchObject({ code: 5 });
});

test('--dialect extended knows converters', async () => {
  const spec = specFile('extended.json', [{ operation: 'shift', spec: { a: 'b | upper' } }]);
  expect(await transform(spec, '{"b":"x"}\n', '--dialect', 'extended')).toMatchObject({
    code: 0,
    stdout: '{"a":"X"}\n',
  });
});

describe('exit 2 and nothing on stdout for', () => {
  const unloadable = specFile('unloadable.json', [{ operation: 'nonesuch', spec: { a: 'b' } }]);
  const broken = specFile('broken.json', '[{');
  test.each([
    [['--type', 'kazaam', '--spec', unloadable], 'kazaam_spec'],
    [['--type', 'kazaam', '--spec', broken], 'kazaam_spec'],
    [['--type', 'kazaam', '--spec', join(folder, 'missing')], 'invalid_option'],
    [['--type', 'kazam', '--spec', shift], 'did you mean kazaam'],
    [['--type', 'kazaam', '--spec', shift, '--mode', 'stric'], 'did you mean strict'],
    [['--type', 'kazaam', '--spec', shift, '--dialect', 'klingon'], '--dialect must be one of'],
    [['--spec', shift], '--type'],
    [['--type', 'kazaam'], '--spec'],
  ])('%j', async (options, message) => {
    const { code, stdout, stderr } = await runForebay(['transform', ...options]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });
});

test('a reader that goes away ends it', async () => {
  const { code, stdout, stderr } = await new Promise<{
    code: number | null;
    stdout: string;
    stderr: string;
  }>((resolve) => {
    const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
    const pipeline = `yes '{"b":1}' | "$0" "$1" transform --type kazaam --spec "$2" | head -n 1`;
    const child = spawn('bash', ['-c', pipeline, process.execPath, main, shift]);
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()));
    child.once('close', (exit) => resolve({ code: exit, stdout: out, stderr: err }));
  });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '{"a":1,"c":"é"}\n', stderr: '' });
});

test('a signal ends it with 130', async () => {
  const main = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
  const args = [main, 'transform', '--type', 'kazaam', '--spec', shift];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.write('{"b":1}\n');
  const [first] = await once(child.stdout, 'data');
  expect(String(first)).toBe('{"a":1,"c":"é"}\n');
  child.kill('SIGINT');
  expect(await once(child, 'close')).toEqual([130, null]);
});

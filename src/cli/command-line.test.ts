import { afterEach, describe, expect, test, vi } from 'vitest';

import { runCommandLine } from './command-line.ts';
import { openTerminal } from './terminal.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The command line in this process, with what it wrote. */
async function run(...argv: string[]) {
  const written = { out: '', err: '' };
  const sink = (name: keyof typeof written) => ({
    write: (text: string | Uint8Array) => {
      written[name] += String(text);
      return true;
    },
  });
  const terminal = openTerminal({ stdin: {}, stdout: sink('out'), stderr: sink('err'), env: {} });
  const code = await runCommandLine(argv, terminal);
  return { code, ...written };
}

test('--help goes to stdout', async () => {
  const { code, out, err } = await run('--help');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toContain('replicate');
});

test('--version prints the version alone', async () => {
  expect(await run('--version')).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/),
  });
});

describe('mistakes', () => {
  test.each([
    [['coyp'], "Unknown command 'coyp'", 'Did you mean copy?'],
    [['copy', 'a', 'b', '--jsn'], "Unknown option '--jsn'", 'Did you mean --json?'],
    [['copy', 'duckdb:a.duckdb'], "Missing required argument 'destination'", '--help'],
    [['connectors', 'extra'], 'Too many arguments', '--help'],
    [[], 'No command was given', '--help'],
    [['dlq'], 'No command was given', '--help'],
    [['check', 'postgers://x/y'], '"postgers"', 'Did you mean postgres?'],
    [['check', 'env:FOREBAY_TEST_NOT_SET'], 'FOREBAY_TEST_NOT_SET', 'export'],
    [['check', 'duckdb:x.duckdb', '--as', 'sorce'], '--as must be one of', 'source'],
    [['check', 'duckdb:x.duckdb', '--set', 'postgres.a=1'], '--set postgres.a', 'duckdb.'],
    [['drop', '-', 'duckdb:x.duckdb'], '--name must tell', '--name'],
    [['dlq', 'drop', 'duckdb:x.duckdb', '--output', 'xml'], '--output must be one of', '--help'],
  ])('%j: exit 2, said with the way out', async (argv, message, fix) => {
    const { code, out, err } = await run(...argv);
    expect({ code, out }).toEqual({ code: 2, out: expect.not.stringContaining('error') });
    expect(err).toContain(message);
    expect(err).toContain(fix);
    expect(err).not.toMatch(/\n\s+at /);
  });

  test('are told all at once', async () => {
    const argv = [
      'copy',
      'mysq://x',
      'env:FOREBAY_TEST_NOT_SET',
      '--load',
      'histroy',
      '--batch-ms',
      'x',
    ];
    const { code, err } = await run(...argv);
    expect(code).toBe(2);
    expect(err.match(/^error /gm)).toHaveLength(4);
  });

  test('never show a password', async () => {
    const { err } = await run(
      'copy',
      'postgrs://ada:hunter2@h/d',
      'postgres://ada:hunter2@h/d?sslmod=x',
    );
    expect(err).not.toContain('hunter2');
  });
});

describe('lists', () => {
  test('as JSON are one line with a version', async () => {
    const { out } = await run('connectors', '-o', 'json');
    const document: unknown = JSON.parse(out);
    expect(document).toMatchObject({
      v: 1,
      connectors: [{ name: 'postgres' }, { name: 'duckdb' }],
    });
  });

  test('as YAML have the same content', async () => {
    const { out } = await run('failpoints', '-o', 'yaml');
    expect(out).toMatch(/^v: 1\nfailpoints:\n {2}- name: source\.afterCreateBeforeRecord\n/);
  });

  test('as a table have no colour without a terminal', async () => {
    const { out } = await run('connectors');
    expect(out).toMatch(/^connector {2,}system/);
    expect(out).not.toContain('\u001B');
  });
});

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ForebayError } from '../../core/errors.ts';
import { openSandbox } from './sandbox.ts';

const folder = mkdtempSync(join(tmpdir(), 'forebay-sandbox-'));
const LIMITS = { documentMs: 500, memoryBytes: 32 * 1024 * 1024 };
let count = 0;

afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, source: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, source);
  return path;
}

async function open(source: string): Promise<(json: string) => string> {
  count += 1;
  const { transform } = await openSandbox(write(`module-${count}.ts`, source), LIMITS);
  return (json) => {
    const outcome = transform(json);
    if (outcome.kind === 'failed') return `${outcome.code}: ${outcome.message}`;
    return outcome.kind === 'document' ? outcome.json : outcome.kind;
  };
}

const run = async (source: string, json: string) => (await open(source))(json);

async function refusal(source: string): Promise<string> {
  try {
    await open(source);
    return 'opened';
  } catch (error) {
    return error instanceof ForebayError ? `${error.code}: ${error.why}` : String(error);
  }
}

describe("a user's module", () => {
  it('changes a document, with types', async () => {
    const source = `
      type Row = { name: string; tags?: string[] };
      export default (document: Row) => ({ ...document, name: document.name.toUpperCase(), tags: ['x'] });`;
    expect(await run(source, '{"name":"ada","n":12.50}')).toBe(
      '{"name":"ADA","n":12.50,"tags":["x"]}',
    );
  });

  it('filters with null, and may be asynchronous', async () => {
    const source = `export default async (d) => { await null; return d.keep ? d : null; }`;
    const transform = await open(source);
    expect(['{"keep":true}', '{"keep":false}'].map(transform)).toEqual([
      '{"keep":true}',
      'filtered',
    ]);
  });

  it('imports files of its own folder and is told the time', async () => {
    write('lib/add.ts', 'export const add = (a: number, b: number): number => a + b;');
    const source = `import { add } from './lib/add.ts';
      export default (d, context) => ({ n: add(d.n, 1), now: /^20..-.*Z$/.test(context.now) });`;
    expect(await run(source, '{"n":1}')).toBe('{"n":2,"now":true}');
  });

  it.each([
    ['{"n":1481305274100000000000000000000}', 'bigint'],
    ['{"n":9007199254740993}', 'bigint'],
    ['{"n":9007199254740991}', 'number'],
    ['{"n":12.50}', 'number'],
    ['{"n":-0}', 'number'],
    ['{"n":1E2}', 'number'],
    ['{"n":0.12345678901234567890}', 'object'],
    ['{"n":1e400}', 'object'],
  ])('gets %s as %s and leaves it as it was written', async (json, type) => {
    expect(await run('export default (d) => d', json)).toBe(json);
    expect(await run('export default (d) => ({ type: typeof d.n })', json)).toBe(
      `{"type":"${type}"}`,
    );
  });

  it('writes exact numbers of its own', async () => {
    const source = `export default (d) => ({ sum: d.id + 1n, price: new Decimal('1.10'), text: String(d.p), double: d.p * 2 })`;
    expect(await run(source, '{"id":9007199254740993,"p":0.12345678901234567890}')).toBe(
      '{"sum":9007199254740994,"price":1.10,"text":"0.12345678901234567890","double":0.24691357802469135}',
    );
  });

  it('hands on every number it does not touch, wherever it is', async () => {
    const lexeme = fc.stringMatching(
      /^-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?$/,
    );
    const transform = await open('export default (d) => d');
    fc.assert(
      fc.property(fc.array(lexeme), lexeme, (list, one) => {
        const json = `{"list":[${list.join(',')}],"__proto__":{"one":${one}}}`;
        expect(transform(json)).toBe(json);
      }),
    );
  });

  it('leaves what a module writes as JSON on its own untouched', async () => {
    const source = `export default (d) => {
      let refused = '';
      try { JSON.stringify(d.id) } catch (error) { refused = error.name }
      return { refused, decimal: JSON.stringify(new Decimal('1.10')), id: d.id };
    }`;
    expect(await run(source, '{"id":9007199254740993}')).toBe(
      String.raw`{"refused":"TypeError","decimal":"\"1.10\"","id":9007199254740993}`,
    );
  });

  it('writes no number that is none, whatever a module finds out', async () => {
    const source = `export default () => ({
      learned: { toJSON: () => (1n).toJSON().slice(0, -1) + '1e' },
    })`;
    expect(JSON.parse(await run(source, '{}'))).toEqual({
      learned: expect.stringMatching(/^@.*:1e$/),
    });
  });

  it.each([
    [
      'export default (d) => d.a.b.c',
      /^transform_module: TypeError: .* \(at module-\d+\.ts:1:26\)$/,
    ],
    ["export default () => { throw new Error('no') }", /^transform_module: Error: no \(at module/],
    ["export default () => { throw 'secret' }", /^transform_module: it threw string$/],
    ['export default () => 5', /^transform_module: it returned a number, not a document$/],
    ['export default () => []', /^transform_module: it returned an array, not a document$/],
    [
      'export default () => { const a = {}; a.a = a; return a }',
      /^transform_module: TypeError: circular/,
    ],
    [
      'export default () => new Promise(() => {})',
      /^transform_module: the promise it returned is never settled$/,
    ],
    ['export default async () => { throw new Error("no") }', /^transform_module: Error: no/],
    [
      'export default (d) => { const f = () => f(); f() }',
      /^transform_module: InternalError: stack overflow/,
    ],
  ])('%s fails with a code', async (source, message) => {
    expect(await run(source, '{}')).toMatch(message);
  });

  it.each([
    ['export default 5', 'its default export is no function'],
    ['export const x = 5', 'its default export is no function'],
    ['export default (', 'xpression expected'],
    ["import fs from 'node:fs'; export default () => fs", 'node:fs cannot be imported'],
    ["import x from '../x.js'; export default x", 'it is outside the module'],
    ["import x from './missing.js'; export default x", 'missing.js does not exist'],
    ['while (true) {}', 'the module took longer than 500 ms'],
    ["throw new Error('at the start')", 'at the start'],
  ])('%s is refused when it is loaded', async (source, why) => {
    expect(await refusal(source)).toMatch(/^transform_specification: /);
    expect(await refusal(source)).toContain(why);
  });

  it('refuses a link that leads outside its folder', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'forebay-elsewhere-'));
    writeFileSync(join(elsewhere, 'x.js'), 'export default 1');
    symlinkSync(join(elsewhere, 'x.js'), join(folder, 'linked.js'));
    expect(await refusal("import x from './linked.js'; export default () => x")).toContain(
      'linked.js is a link to outside',
    );
    rmSync(elsewhere, { recursive: true });
  });
});

describe('a module reaches nothing', () => {
  it.each([
    'process',
    'require',
    'fetch',
    'XMLHttpRequest',
    'WebSocket',
    'WebAssembly',
    'SharedArrayBuffer',
    'Worker',
    'Deno',
    'setTimeout',
    'console',
    'std',
    'os',
    'navigator',
  ])('there is no %s', async (name) => {
    const source = `export default () => ({ type: typeof globalThis['${name}'] })`;
    // Shared memory without a second thread is memory like any other.
    const expected = name === 'SharedArrayBuffer' ? /undefined|function/ : /undefined/;
    expect(await run(source, '{}')).toMatch(expected);
  });

  it.each([
    'node:fs',
    'fs',
    'net',
    'std',
    'os',
    '/etc/passwd',
    'file:///etc/passwd',
    '../../etc/x.js',
    'data:text/javascript,1',
  ])('import(%s) is refused', async (name) => {
    const source = `export default async () => {
        try { await import('${name}'); return { got: true } } catch (error) { return { refused: String(error) } } }`;
    expect(await run(source, '{}')).toMatch(/^\{"refused":/);
  });

  it('finds only its own world behind constructors', async () => {
    const source = `export default (d, context) => {
      const reached = [d, context, Decimal, (() => {}), async () => {}]
        .map((thing) => Object.getPrototypeOf(thing).constructor.constructor('return typeof process + typeof require')());
      return { reached: [...new Set(reached)] };
    }`;
    expect(await run(source, '{}')).toBe('{"reached":["undefinedundefined"]}');
  });
});

describe('a module that runs away', () => {
  it.each([
    ['a loop', 'for (;;) {}'],
    ['a loop that catches', 'for (;;) { try { for (;;) {} } catch {} }'],
    ['a pattern', "/^(a+)+$/.test('a'.repeat(40) + 'b')"],
    ['promises without end', 'return (async () => { for (;;) await null })()'],
    ['a hostile toJSON', 'return { toJSON() { for (;;) {} } }'],
  ])('%s ends with transform_timeout, and the sandbox is spent', async (_, body) => {
    const path = write('runaway.ts', `export default (d) => { ${body} }`);
    const sandbox = await openSandbox(path, LIMITS);
    expect(sandbox.transform('{}')).toEqual({
      kind: 'failed',
      code: 'transform_timeout',
      message: 'the module took longer than 500 ms',
    });
    expect(sandbox.isSpent()).toBe(true);
  });

  it.each([
    ['texts', "const a = []; for (;;) a.push('x'.repeat(1e6) + a.length)"],
    ['a buffer', 'new Uint8Array(1e9)'],
    ['an array', "'a'.repeat(5e6).split('')"],
  ])('%s end with transform_memory, and the sandbox is spent', async (_, body) => {
    const path = write('runaway.ts', `export default (d) => { ${body} }`);
    const sandbox = await openSandbox(path, { ...LIMITS, documentMs: 5000 });
    expect(sandbox.transform('{}')).toEqual({
      kind: 'failed',
      code: 'transform_memory',
      message: 'the module took more than 32 MiB',
    });
    expect(sandbox.isSpent()).toBe(true);
  });

  it('refuses a document for which there is no room, before and after others filled it', async () => {
    const path = write(
      'hoard.ts',
      `const all = []; export default (d) => {
      try { for (;;) all.push(new Uint8Array(d.step)); } catch { return d; } }`,
    );
    const sandbox = await openSandbox(path, { ...LIMITS, documentMs: 5000 });
    const large = JSON.stringify({ text: 'x'.repeat(8_000_000) });
    expect(sandbox.transform(large)).toMatchObject({ code: 'transform_memory' });
    const other = await openSandbox(path, { ...LIMITS, documentMs: 5000 });
    expect(other.transform('{"step":100000}')).toMatchObject({ kind: 'document' });
    expect(other.transform(JSON.stringify({ step: 1, text: 'x'.repeat(100_000) }))).toMatchObject({
      code: 'transform_memory',
    });
  });
});

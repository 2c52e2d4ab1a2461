import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { ForebayError } from '../core/errors.ts';
import type { TransformLimits } from './build-transform.ts';
import type { Outcome } from './document-transform.ts';
import { openTransformRunner, type TransformRunner } from './runner.ts';

const folder = mkdtempSync(join(tmpdir(), 'forebay-runner-'));
const { signal } = new AbortController();
let count = 0;
afterAll(() => rmSync(folder, { recursive: true }));

function open(
  specification: unknown,
  limits: Partial<TransformLimits> = {},
): Promise<TransformRunner> {
  return openTransformRunner({ transform: { kind: 'custom', specification }, signal, limits });
}

function openModule(
  source: string,
  limits: Partial<TransformLimits> = {},
): Promise<TransformRunner> {
  count += 1;
  const module = join(folder, `module-${count}.ts`);
  writeFileSync(module, source);
  return open({ module }, { documentMs: 300, memoryBytes: 32 * 1024 * 1024, ...limits });
}

const texts = (outcomes: readonly Outcome[]) =>
  outcomes.map((outcome) =>
    outcome.kind === 'failed'
      ? outcome.code
      : outcome.kind === 'document'
        ? outcome.json
        : 'filtered',
  );

const numbered = (length: number) => Array.from({ length }, (_, n) => `{"n":${n}}`);

async function failureOf(run: Promise<unknown>): Promise<string> {
  try {
    await run;
    return 'none';
  } catch (error) {
    return error instanceof ForebayError ? error.code : String(error);
  }
}

async function refusal(opened: Promise<TransformRunner>): Promise<ForebayError> {
  try {
    await using runner = await opened;
    await runner.run([], signal);
  } catch (error) {
    if (error instanceof ForebayError) return error;
  }
  throw new Error('it was opened');
}

describe('the transform runner', () => {
  it('has one outcome per document, in their order, over many parts and batches', async () => {
    await using runner = await open({
      filter: 'n % 3 <> 0',
      mapping: { set: { n: '10 / (n - 5)' } },
    });
    const expected = numbered(2000).map((_, n) => {
      if (n % 3 === 0) return 'filtered';
      return n === 5 ? 'transform_expression' : expect.stringMatching(/^\{"n":-?[0-9.]+\}$/);
    });
    const batches = await Promise.all(
      [numbered(2000), numbered(7), []].map((batch) => runner.run(batch, signal)),
    );
    expect(texts(batches[0] ?? [])).toEqual(expected);
    expect(batches.map((batch) => batch.length)).toEqual([2000, 7, 0]);
  });

  it('tells what is wrong with a specification before any document', async () => {
    const error = await refusal(open({ filter: 'a +', mask: { 'x..y': { method: 'redact' } } }));
    expect([error.code, error.why]).toEqual([
      'transform_specification',
      'filter: at character 4: a value is expected; mask.x..y: x..y is no path; write a.b, a["b c"], a[0] or a[*]',
    ]);
  });

  it('tells that a module cannot be loaded', async () => {
    expect((await refusal(open({ module: join(folder, 'missing.js') }))).why).toContain(
      'missing.js does not exist',
    );
    expect((await refusal(openModule('while (true) {}'))).why).toContain('longer than 300 ms');
  });

  it('ends only the document that loops', async () => {
    await using runner = await openModule(
      'export default (d) => { if (d.n === 3) for (;;) {} return d }',
    );
    const expected = numbered(5);
    expected[3] = 'transform_timeout';
    expect(texts(await runner.run(numbered(5), signal))).toEqual(expected);
    expect(texts(await runner.run(['{"n":1}'], signal))).toEqual(['{"n":1}']);
  });

  it('ends only the document that allocates without end', async () => {
    await using runner = await openModule(`export default (d) => {
      if (d.n === 3) { const a = []; for (;;) a.push(new Uint8Array(1e6)); }
      return d;
    }`);
    const expected = numbered(5);
    expected[3] = 'transform_memory';
    expect(texts(await runner.run(numbered(5), signal))).toEqual(expected);
    expect(texts(await runner.run(['{"n":1}'], signal))).toEqual(['{"n":1}']);
  });

  it('ends a document in which the engine itself never comes back', async () => {
    await using runner = await openModule(`export default (d) => {
      if (d.n === 300) Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1);
      return d;
    }`);
    const expected = numbered(302);
    expected[300] = 'transform_timeout';
    expect(texts(await runner.run(numbered(302), signal))).toEqual(expected);
  });

  it('fails no document for what earlier ones left in memory', async () => {
    await using runner = await openModule(
      `const seen = [];
      export default (d) => { seen.push(new Uint8Array(4e6)); return d }`,
    );
    expect(texts(await runner.run(numbered(15), signal))).toEqual(numbered(15));
  });

  it('keeps to the module as it was opened, whatever becomes of its file', async () => {
    await using runner = await openModule(
      'export default (d) => { if (d.n === 1) for (;;) {} return d }',
    );
    writeFileSync(join(folder, `module-${count}.ts`), 'export default (');
    expect(texts(await runner.run(numbered(3), signal))).toEqual([
      '{"n":0}',
      'transform_timeout',
      '{"n":2}',
    ]);
  });

  it('carries a memory of its own: a document that fills it fails alone', async () => {
    // Every doubling is a value; the engine of the thread itself runs out, not a module.
    const set = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`c${n}`, 'big']));
    await using runner = await open({ mapping: { set } }, { threadMemoryBytes: 24 * 1024 * 1024 });
    const big = `{"big":[${'[1],'.repeat(30_000)}1]}`;
    const outcomes = texts(await runner.run(['{"n":1}', big, '{"n":2}'], signal));
    expect(outcomes.map((text) => text.slice(0, 20))).toEqual([
      expect.stringContaining('"n":1'),
      'transform_memory',
      expect.stringContaining('"n":2'),
    ]);
  });

  it('takes batches of more text than the thread may hold', async () => {
    await using runner = await open({ filter: 'n >= 0' }, { threadMemoryBytes: 48 * 1024 * 1024 });
    const padding = 'x'.repeat(1_000_000);
    const documents = Array.from({ length: 80 }, (_, n) => `{"n":${n},"x":"${padding}"}`);
    expect((await runner.run(documents, signal)).map(({ kind }) => kind)).toEqual(
      documents.map(() => 'document'),
    );
  });

  it('reaches no socket from a module, and does not end the process', async () => {
    let connections = 0;
    const server = createServer(() => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await using runner = await openModule(`export default async (d) => {
      const tried = [];
      const attempts = [
        () => fetch('http://127.0.0.1:${port}/'),
        () => import('node:net').then((net) => net.connect(${port}, '127.0.0.1')),
        () => import('node:fs').then((fs) => fs.readFileSync('/etc/passwd', 'utf8')),
        () => import('node:child_process').then((child) => child.execSync('id')),
        () => process.exit(1),
        () => process.env.PATH,
        () => (() => {}).constructor('return process')().exit(1),
      ];
      for (const attempt of attempts) {
        try { tried.push(String(await attempt())); } catch (error) { tried.push(error.name); }
      }
      return { tried };
    }`);
    expect(texts(await runner.run(['{}'], signal))).toEqual([
      '{"tried":["ReferenceError","Error","Error","Error","ReferenceError","ReferenceError","ReferenceError"]}',
    ]);
    await new Promise((resolve) => server.close(resolve));
    expect(connections).toBe(0);
  });

  it('is interrupted by its signal in the middle of a batch, and goes on with the next', async () => {
    await using runner = await openModule(
      'export default (d) => { if (d.n === 1) for (;;) {} return d }',
      { documentMs: 60_000 },
    );
    const stop = new AbortController();
    const failure = failureOf(runner.run(numbered(3), stop.signal));
    // By then the batch is with the thread.
    await setImmediate();
    stop.abort();
    expect(await failure).toBe('interrupted');
    expect(texts(await runner.run(['{"n":2}'], signal))).toEqual(['{"n":2}']);
  });

  it('is disposed of in the middle of a batch, which is then interrupted', async () => {
    const runner = await openModule('export default () => { for (;;) {} }', { documentMs: 60_000 });
    const failures = [1, 2].map(() => failureOf(runner.run(numbered(3), signal)));
    await setImmediate();
    await runner[Symbol.asyncDispose]();
    failures.push(failureOf(runner.run(['{}'], signal)));
    expect(await Promise.all(failures)).toEqual(['interrupted', 'interrupted', 'interrupted']);
  });
});

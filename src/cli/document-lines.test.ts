import { PassThrough, Writable } from 'node:stream';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { compileKazaamLines } from '../transforms/kazaam/compile.ts';
import { transformDocuments } from './document-lines.ts';

const inPlace = compileKazaamLines([{ operation: 'shift', spec: { a: 'b' } }], {
  mode: 'compat',
  dialect: 'kazaam',
});
const byLine = compileKazaamLines([{ operation: 'default', spec: { a: 'é' } }], {
  mode: 'compat',
  dialect: 'kazaam',
});

async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  if (at < bytes.length) yield bytes.subarray(at);
}

async function run(input: string | Buffer, transform = inPlace, sizes: readonly number[] = []) {
  const output = new PassThrough();
  const text = output.setEncoding('utf8').toArray();
  const streams = { input: pieces(Buffer.from(input), sizes), output };
  const failed = await transformDocuments(streams, transform);
  output.end();
  return { failed, text: (await text).join('') };
}

describe.each([
  ['in place', inPlace, '{"b":"é😀"}', '{"a":"é😀"}'],
  ['by line', byLine, '{"b":"é😀"}', '{"b":"é😀","a":"é"}'],
])('documents %s', (_, transform, given, expected) => {
  test('come out one a line', async () => {
    expect(await run(`${given}\n${given}\n`, transform)).toEqual({
      failed: 0,
      text: `${expected}\n${expected}\n`,
    });
  });

  test('need no line end at the end', async () => {
    expect(await run(given, transform)).toMatchObject({ text: `${expected}\n` });
  });

  test('keep carriage returns and empty lines', async () => {
    expect(await run(`\n\r\n${given}\r\n\n`, transform)).toEqual({
      failed: 0,
      text: `\n\r\n${expected}\r\n\n`,
    });
  });

  test('that fail have their error on their line', async () => {
    const { failed, text } = await run(`${given}\n{"b":\n1}\n \n${given}\n`, transform);
    const lines = text.trimEnd().split('\n');
    expect(failed).toBe(3);
    expect(lines).toHaveLength(5);
    expect([lines[0], lines[4]]).toEqual([expected, expected]);
    for (const line of lines.slice(1, 4)) {
      expect(JSON.parse(line)).toEqual({
        error: { code: 'kazaam_parse', message: 'ParseError - the document is no JSON' },
      });
    }
  });

  test('that are no UTF-8 fail alone', async () => {
    const bad = Buffer.concat([Buffer.from('{"b":"'), Buffer.from([0xff]), Buffer.from('"}\n')]);
    const { failed, text } = await run(Buffer.concat([bad, Buffer.from(`${given}\n`)]), transform);
    expect(failed).toBe(1);
    expect(text).toContain('no UTF-8');
    expect(text).toContain(`\n${expected}\n`);
  });

  test('may be cut anywhere on their way', async () => {
    const input = Buffer.from(`${given}\n\n${given}\r\n{"b":`);
    const { text } = await run(input, transform);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 9 })), async (sizes) => {
        expect(await run(input, transform, sizes)).toMatchObject({ text });
      }),
    );
  });
});

test('nothing gives nothing', async () => {
  expect(await run('')).toEqual({ failed: 0, text: '' });
});

test('no more is read than is written', async () => {
  let waiting: (() => void) | null = null;
  let written = 0;
  const slow = new Writable({
    highWaterMark: 1,
    write: (chunk: Buffer, _, done) => {
      written += chunk.length;
      waiting = done;
    },
  });
  let read = 0;
  async function* input(): AsyncGenerator<Buffer> {
    for (; read < 5; read += 1) yield Buffer.from('{"b":1}\n');
  }
  const running = transformDocuments({ input: input(), output: slow }, inPlace);
  const next = (): void => {
    const done = waiting;
    waiting = null;
    done?.();
  };
  await expect.poll(() => waiting).not.toBeNull();
  expect([read, written]).toEqual([0, 8]);
  for (let i = 1; i < 5; i += 1) {
    next();
    await expect.poll(() => waiting).not.toBeNull();
    expect(read).toBe(i);
  }
  next();
  expect(await running).toBe(0);
});

test('an output that nobody reads ends the work', async () => {
  const gone = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('gone'), { code: 'EPIPE' })),
  });
  gone.on('error', () => {});
  let read = 0;
  async function* endless(): AsyncGenerator<Buffer> {
    for (; ; read += 1) {
      yield Buffer.from('{"b":1}\n');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  expect(await transformDocuments({ input: endless(), output: gone }, inPlace)).toBe(0);
  expect(read).toBeLessThan(5);
});

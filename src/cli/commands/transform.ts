import { fstatSync, readFileSync, readSync } from 'node:fs';
import process from 'node:process';
import { addAbortSignal } from 'node:stream';
import { setImmediate } from 'node:timers/promises';

import { ForebayError } from '../../core/errors.ts';
import type { KazaamOptions } from '../../transforms/kazaam/compile.ts';
import type { LineTransform } from '../../transforms/line-transform.ts';
import type { RunCommand } from '../call.ts';
import { transformDocuments } from '../document-lines.ts';
import { withInterruption } from '../interruption.ts';
import { readOptions, transformShape } from '../options.ts';

function readSpec(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ForebayError('invalid_option', {
      message: `--spec ${path} cannot be read`,
      why: error instanceof Error ? error.message : String(error),
      fix: 'Give the path of a file with the specification.',
      cause: error,
    });
  }
}

function parseSpec(path: string, text: string): unknown {
  // An empty file is an empty specification, which changes nothing.
  if (text.trim() === '') return '';
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ForebayError('kazaam_spec', {
      message: `${path} is no JSON`,
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

async function kazaam(path: string, options: KazaamOptions): Promise<LineTransform> {
  const { compileKazaamLines } = await import('../../transforms/kazaam/compile.ts');
  return compileKazaamLines(parseSpec(path, readSpec(path)), options);
}

const READ_BYTES = 65_536;

/** A file is there already: it is read into one piece of memory, without a way through the thread pool. */
async function* readFile(fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const memory = Buffer.alloc(READ_BYTES);
  for (;;) {
    const length = readSync(fd, memory);
    if (length === 0) return;
    yield memory.subarray(0, length);
    // Lets signals in.
    await setImmediate();
    signal.throwIfAborted();
  }
}

function openInput(signal: AbortSignal): AsyncIterable<Buffer> {
  const { fd } = process.stdin;
  return fstatSync(fd).isFile() ? readFile(fd, signal) : addAbortSignal(signal, process.stdin);
}

export const run: RunCommand = async ({ options }) => {
  const { spec, mode, dialect } = readOptions(transformShape, options);
  const transform = await kazaam(spec, { mode, dialect });
  const failed = await withInterruption((signal) =>
    transformDocuments({ input: openInput(signal), output: process.stdout }, transform),
  );
  return failed === 0 ? 0 : 5;
};

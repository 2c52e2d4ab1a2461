import { fstatSync, readFileSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
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

/** The specification as it stands in a configuration file, YAML or JSON; paths in it start at its folder. */
async function throughCustom(path: string, signal: AbortSignal): Promise<number> {
  const [{ parse }, { openTransformRunner }, { customSource }] = await Promise.all([
    import('yaml'),
    import('../../transforms/runner.ts'),
    import('../../transforms/custom-source.ts'),
  ]);
  let specification: unknown;
  try {
    specification = parse(readSpec(path));
  } catch (error) {
    if (error instanceof ForebayError) throw error;
    throw new ForebayError('transform_specification', {
      message: `${path} is neither YAML nor JSON`,
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
  const transform = customSource(specification, dirname(resolve(path)));
  await using runner = await openTransformRunner({ transform, signal });
  const { transformThroughRunner } = await import('../runner-lines.ts');
  const streams = { input: openInput(signal), output: process.stdout };
  return await transformThroughRunner(streams, runner, signal);
}

async function throughKazaam(
  path: string,
  choice: KazaamOptions,
  signal: AbortSignal,
): Promise<number> {
  const transform = await kazaam(path, choice);
  return await transformDocuments({ input: openInput(signal), output: process.stdout }, transform);
}

export const run: RunCommand = async ({ options }) => {
  const { type, spec, mode, dialect } = readOptions(transformShape, options);
  const failed = await withInterruption((signal) =>
    type === 'custom'
      ? throughCustom(spec, signal)
      : throughKazaam(spec, { mode, dialect }, signal),
  );
  return failed === 0 ? 0 : 5;
};

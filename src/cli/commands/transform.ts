import { createReadStream, fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import process from 'node:process';
import type { Readable } from 'node:stream';

import { ForebayError } from '../../core/errors.ts';
import type { DocumentTransform } from '../../transforms/document-transform.ts';
import type { RunCommand } from '../call.ts';
import { transformDocuments } from '../document-lines.ts';
import { withInterruption } from '../interruption.ts';
import { type KazaamChoice, readOptions, transformShape } from '../options.ts';

async function readSpec(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
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

async function kazaam(path: string, options: KazaamChoice): Promise<DocumentTransform> {
  const { compileKazaam } = await import('../../transforms/kazaam/compile.ts');
  return compileKazaam(parseSpec(path, await readSpec(path)), options);
}

/** A file is read in larger pieces than Node reads its own stdin. */
function openInput(): Readable {
  const { fd } = process.stdin;
  if (!fstatSync(fd).isFile()) return process.stdin;
  return createReadStream('', { fd, autoClose: false, highWaterMark: 256 * 1024 });
}

export const run: RunCommand = async ({ options }) => {
  const { spec, mode, dialect } = readOptions(transformShape, options);
  const transform = await kazaam(spec, { mode, dialect });
  const streams = { input: openInput(), output: process.stdout };
  const failed = await withInterruption((signal) => transformDocuments(streams, transform, signal));
  return failed === 0 ? 0 : 5;
};

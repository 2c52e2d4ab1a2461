/** Documents one a line through a transform: as many lines come out as went in, each in its place. */
import { isUtf8 } from 'node:buffer';
import type { Writable } from 'node:stream';

import type { Outcome } from '../transforms/document-transform.ts';
import type { LineTransform } from '../transforms/line-transform.ts';

const NEWLINE = 10;
const RETURN = 13;

export interface LineStreams {
  /** A piece need not outlive the turn of the loop it comes in. */
  readonly input: AsyncIterable<Buffer>;
  readonly output: Writable;
}

interface Work {
  readonly transform: LineTransform;
  failed: number;
}

function resultLine(bytes: Buffer, line: string, work: Work): string {
  // Only then can bytes have been replaced that are no UTF-8.
  if (line.includes('\ufffd') && !isUtf8(bytes)) {
    work.failed += 1;
    return outcomeText({ kind: 'failed', code: 'kazaam_parse', message: 'the line is no UTF-8' });
  }
  const outcome = work.transform.one(line);
  if (outcome.kind === 'failed') work.failed += 1;
  return outcomeText(outcome);
}

/** The line that stands for an outcome, without its end; nothing for what is filtered. */
export function outcomeText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'document':
      // A line end inside a document is white space that it came with.
      return outcome.json.includes('\n') ? outcome.json.replaceAll('\n', ' ') : outcome.json;
    case 'filtered':
      return '';
    case 'failed': {
      const { code, message } = outcome;
      return JSON.stringify({ error: { code, message } });
    }
  }
}

/** An empty line comes back as it is; so does a carriage return at the end of any. */
function transformLine(bytes: Buffer, work: Work): string {
  const line = bytes.toString('utf8');
  const end = line.endsWith('\r') ? '\r\n' : '\n';
  const document = end === '\n' ? line : line.slice(0, -1);
  return document === '' ? end : resultLine(bytes, document, work) + end;
}

/** Writes, a character a byte, as fast as the reader takes it; false once there is no reader. */
export async function write(
  output: Writable,
  text: string,
  isGone: () => boolean,
): Promise<boolean> {
  if (isGone()) return false;
  if (output.write(text, 'latin1')) return true;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const name of ['drain', 'close', 'error']) output.off(name, done);
      resolve();
    };
    for (const name of ['drain', 'close', 'error']) output.on(name, done);
  });
  return !isGone();
}

/**
 * Transforms all lines of the bytes, which end with a line end. The result has a character for each byte, so
 * that what is only carried over need not be decoded.
 */
function transformLines(bytes: Buffer, work: Work): string {
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  const inPlace = isUtf8(bytes) ? work.transform.inPlace : null;
  const text = inPlace === null ? '' : bytes.toString('latin1');
  let out = '';
  let at = 0;
  while (at < bytes.length) {
    const result = inPlace?.transform(view, text, at) ?? null;
    const end = inPlace?.end() ?? 0;
    if (result !== null && view[end] === NEWLINE) {
      out += result + (view[end - 1] === RETURN ? '\r\n' : '\n');
      at = end + 1;
    } else {
      const next = bytes.indexOf(NEWLINE, at);
      const line = transformLine(bytes.subarray(at, next), work);
      out += Buffer.from(line).toString('latin1');
      at = next + 1;
    }
  }
  return out;
}

/** Ends with the input, or when nobody reads the output any more; says how many documents failed. */
export async function transformDocuments(
  { input, output }: LineStreams,
  transform: LineTransform,
): Promise<number> {
  const work: Work = { transform, failed: 0 };
  let gone = false;
  const onError = (): void => {
    gone = true;
  };
  output.on('error', onError);
  try {
    // The beginning of a line whose end has not come yet.
    let begun: Buffer[] = [];
    for await (const bytes of input) {
      const end = bytes.lastIndexOf(NEWLINE) + 1;
      if (end > 0) {
        const first = begun.length === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
        const joined = Buffer.concat([...begun, bytes.subarray(0, first)]);
        const text =
          transformLines(joined, work) + transformLines(bytes.subarray(first, end), work);
        if (!(await write(output, text, () => gone))) return work.failed;
        begun = [];
      }
      // A copy, since the next piece may be read into the same memory.
      if (end < bytes.length) begun.push(Buffer.from(bytes.subarray(end)));
    }
    const last = Buffer.concat([...begun, Buffer.from('\n')]);
    if (last.length > 1) await write(output, transformLines(last, work), () => gone);
    return work.failed;
  } finally {
    output.off('error', onError);
  }
}

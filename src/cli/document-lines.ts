/** Documents one a line through a transform: as many lines come out as went in, each in its place. */
import { isUtf8 } from 'node:buffer';
import { addAbortSignal, type Readable, type Writable } from 'node:stream';

import type { DocumentTransform } from '../transforms/document-transform.ts';

const NEWLINE = 10;

export interface LineStreams {
  readonly input: Readable;
  readonly output: Writable;
}

interface Work {
  readonly transform: DocumentTransform;
  failed: number;
}

function errorLine(work: Work, code: string, message: string): string {
  work.failed += 1;
  return JSON.stringify({ error: { code, message } });
}

function resultLine(bytes: Buffer, line: string, work: Work): string {
  // Only then can bytes have been replaced that are no UTF-8.
  if (line.includes('\ufffd') && !isUtf8(bytes)) {
    return errorLine(work, 'kazaam_parse', 'the line is no UTF-8');
  }
  const outcome = work.transform(line);
  switch (outcome.kind) {
    case 'document':
      // A line end inside a document is white space that it came with.
      return outcome.json.includes('\n') ? outcome.json.replaceAll('\n', ' ') : outcome.json;
    case 'filtered':
      return '';
    case 'failed':
      return errorLine(work, outcome.code, outcome.message);
  }
}

/** An empty line comes back as it is; so does a carriage return at the end of any. */
function transformLine(bytes: Buffer, work: Work): string {
  const line = bytes.toString('utf8');
  const end = line.endsWith('\r') ? '\r\n' : '\n';
  const document = end === '\n' ? line : line.slice(0, -1);
  return document === '' ? end : resultLine(bytes, document, work) + end;
}

/** Writes as fast as the reader takes it; false once there is no reader. */
async function write(output: Writable, text: string, isGone: () => boolean): Promise<boolean> {
  if (isGone()) return false;
  if (text === '' || output.write(text)) return true;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const name of ['drain', 'close', 'error']) output.off(name, done);
      resolve();
    };
    for (const name of ['drain', 'close', 'error']) output.on(name, done);
  });
  return !isGone();
}

/** Transforms every whole line of the bytes; what follows the last line end is handed back. */
function transformLines(bytes: Buffer, work: Work): { text: string; rest: Buffer } {
  let text = '';
  let at = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
    text += transformLine(bytes.subarray(at, end), work);
    at = end + 1;
  }
  return { text, rest: bytes.subarray(at) };
}

/** Ends with the input, or when nobody reads the output any more; says how many documents failed. */
export async function transformDocuments(
  { input, output }: LineStreams,
  transform: DocumentTransform,
  signal: AbortSignal,
): Promise<number> {
  const work: Work = { transform, failed: 0 };
  let gone = false;
  const onError = (): void => {
    gone = true;
  };
  output.on('error', onError);
  try {
    // A line longer than one read is put together only when its end has come.
    let pieces: Buffer[] = [];
    for await (const chunk of addAbortSignal(signal, input)) {
      const bytes: Buffer = chunk;
      const end = bytes.lastIndexOf(NEWLINE);
      if (end === -1) pieces.push(bytes);
      else {
        const whole = pieces.length === 0 ? bytes : Buffer.concat([...pieces, bytes]);
        const { text, rest } = transformLines(whole, work);
        pieces = rest.length === 0 ? [] : [rest];
        if (!(await write(output, text, () => gone))) return work.failed;
      }
    }
    const last = Buffer.concat(pieces);
    if (last.length > 0) await write(output, transformLine(last, work), () => gone);
    return work.failed;
  } finally {
    output.off('error', onError);
  }
}

/** Documents one a line through a transformation that runs in a worker, as many lines out as in. */
import { isUtf8 } from 'node:buffer';
import { ForebayError } from '../core/errors.ts';
import type { Outcome } from '../transforms/document-transform.ts';
import type { TransformRunner } from '../transforms/runner.ts';
import { type LineStreams, outcomeText, write } from './document-lines.ts';

const NEWLINE = 10;
const LINES_AT_ONCE = 1000;
const NO_TEXT: Outcome = {
  kind: 'failed',
  code: 'transform_json',
  message: 'the line is no UTF-8',
};

async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<readonly Buffer[]> {
  let begun: Buffer[] = [];
  for await (const piece of input) {
    let at = 0;
    let lines: Buffer[] = [];
    for (;;) {
      const end = piece.indexOf(NEWLINE, at);
      if (end < 0) break;
      lines.push(Buffer.concat([...begun, piece.subarray(at, end)]));
      begun = [];
      at = end + 1;
      if (lines.length < LINES_AT_ONCE) continue;
      yield lines;
      lines = [];
    }
    // A copy, since the next piece may be read into the same memory.
    if (at < piece.length) begun.push(Buffer.from(piece.subarray(at)));
    if (lines.length > 0) yield lines;
  }
  if (begun.length > 0) yield [Buffer.concat(begun)];
}

/** Outcomes of the lines in their order; null for an empty one. */
async function outcomesOf(
  lines: readonly Buffer[],
  runner: TransformRunner,
  signal: AbortSignal,
): Promise<readonly (Outcome | null)[]> {
  const texts = lines.map((line) => line.toString('utf8').replace(/\r$/, ''));
  const isRun = (text: string, index: number): boolean =>
    text !== '' && isUtf8(lines[index] ?? Buffer.alloc(0));
  const found = (await runner.run(texts.filter(isRun), signal)).values();
  return texts.map((text, index) => {
    if (text === '') return null;
    if (!isRun(text, index)) return NO_TEXT;
    const { value } = found.next();
    if (value !== undefined) return value;
    throw new ForebayError('internal', { message: 'a document has no outcome' });
  });
}

/** Ends with the input, or when nobody reads the output any more; says how many documents failed. */
export async function transformThroughRunner(
  { input, output }: LineStreams,
  runner: TransformRunner,
  signal: AbortSignal,
): Promise<number> {
  let failed = 0;
  let gone = false;
  const onError = (): void => {
    gone = true;
  };
  output.on('error', onError);
  try {
    for await (const lines of linesOf(input)) {
      const outcomes = await outcomesOf(lines, runner, signal);
      failed += outcomes.filter((outcome) => outcome?.kind === 'failed').length;
      const text = outcomes
        .map((outcome) => `${outcome === null ? '' : outcomeText(outcome)}\n`)
        .join('');
      if (!(await write(output, Buffer.from(text).toString('latin1'), () => gone))) break;
    }
    return failed;
  } finally {
    output.off('error', onError);
  }
}

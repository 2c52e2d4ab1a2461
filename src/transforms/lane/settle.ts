/** Documents through the transformation, and what becomes of those that do not get through. */
import { ForebayError } from '../../core/errors.ts';
import { pause } from '../../core/pause.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import type { Outcome } from '../document-transform.ts';
import type { LaneErrors, LaneOptions } from './options.ts';

export type Settled = Outcome & { readonly attempts: number };

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

const MOST_CHARACTERS = 2000;

/** Words of a transformation may hold anything; they go where every database takes them. */
function plain(text: string): string {
  return text.slice(0, MOST_CHARACTERS).replaceAll('\u0000', '').toWellFormed();
}

export async function runDocuments(
  options: Pick<LaneOptions, 'runner' | 'context'>,
  documents: readonly string[],
): Promise<readonly Outcome[]> {
  if (documents.length === 0) return [];
  const outcomes = await options.runner.run(documents, options.context.signal);
  if (outcomes.length === documents.length)
    return outcomes.map((outcome) =>
      outcome.kind === 'failed'
        ? { ...outcome, code: plain(outcome.code), message: plain(outcome.message) }
        : outcome,
    );
  throw new ForebayError('internal', {
    message: `a transformation gave ${outcomes.length} outcomes for ${documents.length} documents`,
  });
}

/** Outcomes in order; what failed has been tried as often as it may. */
export async function settle(
  options: Pick<LaneOptions, 'runner' | 'context' | 'onError'>,
  documents: readonly string[],
): Promise<readonly Settled[]> {
  const { maxRetries, retryDelayMs } = options.onError;
  const first = await runDocuments(options, documents);
  const settled: Settled[] = first.map((outcome) => ({ ...outcome, attempts: 1 }));
  for (let retry = 1; retry <= maxRetries; retry += 1) {
    const failing = settled.flatMap(({ kind }, index) => (kind === 'failed' ? [index] : []));
    if (failing.length === 0) break;
    await pause(retryDelayMs, options.context.signal);
    if (options.context.signal.aborted)
      throw new ForebayError('interrupted', { message: 'the run ended' });
    const again = await runDocuments(
      options,
      failing.map((index) => documents[index] ?? ''),
    );
    for (const [place, index] of failing.entries()) {
      const outcome = again[place];
      if (outcome !== undefined) settled[index] = { ...outcome, attempts: retry + 1 };
    }
  }
  return settled;
}

/** Whether the row goes to the dead letters; fails with what stops the stream. */
export function isRejected(errors: LaneErrors, failure: Failure, stream: StreamId): boolean {
  switch (errors.lastResort) {
    case 'skip':
      return false;
    case 'dead_letter':
      return true;
    case 'fail_stream':
      throw new ForebayError('transform_failed', {
        message: `the transformation of ${stream} failed on a row`,
        why: `${failure.code}: ${failure.message}`,
        stream,
      });
  }
}

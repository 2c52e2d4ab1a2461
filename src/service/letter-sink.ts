/** Where the dead letters of a transformation go instead of the destination's own. */
import { createHash } from 'node:crypto';
import type { RejectedRow } from '../core/dead-letter.ts';
import type { StreamId } from '../core/stream-schema.ts';

export interface LetterSink extends AsyncDisposable {
  /** Resolves when they are safe there; before the checkpoint that covers them commits. */
  readonly write: (stream: StreamId, rows: readonly RejectedRow[]) => Promise<void>;
}

/** A letter as it stands in files and tables of one's own. */
export interface PrintedLetter {
  /** The same for the same row of the same change: one that comes again after a crash is recognised by it. */
  readonly id: string;
  readonly at: string;
  readonly pipeline: string;
  readonly stream: StreamId;
  readonly op: string;
  readonly code: string;
  readonly reason: string;
  readonly position: string | null;
  readonly transformation: string;
  readonly attempts: number;
  /** The row as the source has it, values as text. */
  readonly payload: Readonly<Record<string, string | null>>;
}

export function printLetter(
  place: { readonly pipeline: string; readonly stream: StreamId; readonly at: string },
  row: RejectedRow,
): PrintedLetter {
  const { pipeline, stream, at } = place;
  const { op, code, reason, position, transformation, payload } = row;
  const committed = row.committedAtMicros === null ? null : String(row.committedAtMicros);
  const facts = JSON.stringify([pipeline, stream, op, position, committed, payload]);
  return {
    id: createHash('sha256').update(facts).digest('hex').slice(0, 32),
    at,
    pipeline,
    stream,
    op,
    code,
    reason,
    position,
    transformation: transformation.id,
    attempts: transformation.attempts,
    payload,
  };
}

/** Rows that a destination refused, and where they are kept. */
import type { StreamId } from './stream-schema.ts';

export interface DeadLetter {
  readonly id: string;
  readonly pipeline: string;
  readonly stream: StreamId;
  /** r, i, u, d */
  readonly op: string;
  readonly code: string;
  readonly reason: string;
  readonly position: string;
  readonly at: string;
  readonly replayedAt: string | null;
  /** Column name to text (null is NULL, a column that was not sent is left out). */
  readonly payload: Readonly<Record<string, string | null>>;
}

export interface DeadLetterStore {
  list(pipeline: string | null): Promise<readonly Omit<DeadLetter, 'payload'>[]>;
  get(id: string): Promise<DeadLetter | null>;
  /**
   * Writes the payload again, in the order the letters came, and marks what succeeded, each in a transaction of
   * its own. A letter is skipped, and says so, when a later letter or change of the same key was applied.
   */
  replay(
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly error: string | null }[]>;
  remove(ids: readonly string[]): Promise<number>;
}

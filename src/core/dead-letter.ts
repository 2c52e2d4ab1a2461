/** Rows that a destination refused, and where they are kept. */
import type { StreamTarget } from './connector.ts';
import type { StreamId } from './stream-schema.ts';

/** Column name to text; null is NULL, a column that was not sent is left out. */
export type LetterPayload = Readonly<Record<string, string | null>>;

/** A transformation that a row did not get through. */
export interface FailedTransformation {
  readonly id: string;
  /** How often it was tried on this row. */
  readonly attempts: number;
}

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
  readonly payload: LetterPayload;
  /** Then the payload is the row as the source has it. Null: the destination refused the row itself. */
  readonly transformation: FailedTransformation | null;
}

/** A row that was rejected on its way to the destination. */
export interface RejectedRow {
  /** r, i, u */
  readonly op: string;
  readonly code: string;
  readonly reason: string;
  /** Null: the position of the commit that it is written with. */
  readonly position: string | null;
  /** Microseconds since 1970-01-01 UTC, where the source tells and the load method keeps it. */
  readonly committedAtMicros: bigint | null;
  readonly payload: LetterPayload;
  /** The payload shows a value in another form, so it cannot be written again. */
  readonly altered: boolean;
  /** Its key at the destination, in key order; empty where rows are not told apart. */
  readonly key: LetterPayload;
  readonly transformation: FailedTransformation;
}

/** What a transformation made of a letter's payload when it was tried once more. */
export type Retransformed =
  | {
      readonly kind: 'row';
      readonly target: StreamTarget;
      /** All columns of the target. */
      readonly payload: LetterPayload;
    }
  /** It is not to be at the destination; what stands there under its key goes. */
  | { readonly kind: 'filtered'; readonly target: StreamTarget; readonly key: LetterPayload }
  | { readonly kind: 'failed'; readonly reason: string };

/** A letter as an index beside the destination keeps it: nothing in it is a value of the row. */
export interface IndexedLetter {
  readonly id: string;
  readonly stream: StreamId;
  readonly code: string;
  /** By names of the destination: the rule, constraint, column or type that refused the row. */
  readonly reason: string;
  readonly at: string;
  /** Neither replayed nor outdated by a later change of its row. */
  readonly isOpen: boolean;
}

export interface LetterRange {
  /** Names of pipelines; `name_part`, which reads a part of it, counts as `name`. */
  readonly pipelines: readonly string[];
  readonly stream: StreamId | null;
  /** Only these; null: all. */
  readonly ids: readonly string[] | null;
  readonly openOnly: boolean;
  /** `next` of the page before; null: from the first one on. */
  readonly after: string | null;
  readonly limit: number;
}

export interface LetterPage {
  readonly letters: readonly IndexedLetter[];
  /** Null after the last. */
  readonly next: string | null;
}

export interface DeadLetterStore {
  list(pipeline: string | null): Promise<readonly Omit<DeadLetter, 'payload'>[]>;
  /** In the order in which they came, page by page: there may be any number. */
  page(range: LetterRange): Promise<LetterPage>;
  get(id: string): Promise<DeadLetter | null>;
  /**
   * Writes the payload again, in the order the letters came, and marks what succeeded, each in a transaction of
   * its own. A letter is skipped, says so, and is no longer open when a later letter or change of the same key was
   * applied. One that a
   * transformation rejected goes `through` it again; without that it is not written.
   */
  replay(
    ids: readonly string[],
    through?: (letter: DeadLetter) => Promise<Retransformed>,
  ): Promise<readonly { readonly id: string; readonly error: string | null }[]>;
  remove(ids: readonly string[]): Promise<number>;
}

/**
 * An opaque place in a source's log, always at a transaction boundary: everything committed at or before it
 * is covered. The connector owns its form and its order (`ChangeCapability.comparePositions`).
 */
export type Position = string;

/** Which server a position belongs to; any difference means the position is lost. */
export interface SourceIdentity {
  /** Connector family, e.g. `postgres`. */
  readonly system: string;
  /** Facts that must be equal on resume, e.g. system identifier, timeline, slot. Never a secret. */
  readonly facts: Readonly<Record<string, string>>;
}

export type Order = -1 | 0 | 1;

import { createHash } from 'node:crypto';
import type { Position, SourceIdentity } from './position.ts';
import type { StreamId } from './stream-schema.ts';

/** Rows of one stream since the pipeline began; `read = applied + folded + filtered + deadLettered`. */
export interface RowAccount {
  readonly read: number;
  readonly applied: number;
  /** Superseded by a later change of the same key before it was written. */
  readonly folded: number;
  /** Left out on purpose: already in the snapshot, or the stream is paused. */
  readonly filtered: number;
  readonly deadLettered: number;
  readonly bytes: number;
}

export const EMPTY_ACCOUNT: RowAccount = {
  read: 0,
  applied: 0,
  folded: 0,
  filtered: 0,
  deadLettered: 0,
  bytes: 0,
};

export function addAccounts(a: RowAccount, b: RowAccount): RowAccount {
  return {
    read: a.read + b.read,
    applied: a.applied + b.applied,
    folded: a.folded + b.folded,
    filtered: a.filtered + b.filtered,
    deadLettered: a.deadLettered + b.deadLettered,
    bytes: a.bytes + b.bytes,
  };
}

export function accountBalances(account: RowAccount): boolean {
  return (
    account.read === account.applied + account.folded + account.filtered + account.deadLettered
  );
}

/** The durable record from which restart is safe; stands in the destination, written with the data. */
export interface Checkpoint {
  readonly position: Position;
  readonly source: SourceIdentity;
  readonly accounts: Readonly<Record<StreamId, RowAccount>>;
}

/** Detects a checkpoint that was edited by hand or torn; the accounts are for people and not part of it. */
export function checkpointChecksum(pipeline: string, checkpoint: Checkpoint): string {
  const facts = Object.entries(checkpoint.source.facts).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([pipeline, checkpoint.position, checkpoint.source.system, facts]);
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/** Events that the pipeline has read from its begin to this checkpoint. */
export function eventsOf(checkpoint: Checkpoint): number {
  return Object.values(checkpoint.accounts).reduce((sum, { read }) => sum + read, 0);
}

/** A batch's id is a function of what is in it, so that a retry is the same batch. */
export function batchId(pipeline: string, from: Position, to: Position): string {
  return createHash('sha256')
    .update(JSON.stringify([pipeline, from, to]))
    .digest('hex')
    .slice(0, 32);
}

export type StreamState = 'pending' | 'snapshot' | 'streaming' | 'paused';

/**
 * What the destination remembers of a stream; `detail` is a JSON object that the engine owns. Members of it that the
 * engine does not know belong to what stands between it and the destination, which adds them to every record.
 */
export interface StreamRecord {
  readonly stream: StreamId;
  readonly state: StreamState;
  readonly reason: string | null;
  readonly detail: string;
}

/** Everything the destination remembers of a pipeline. */
export interface PipelineState {
  readonly epoch: number;
  /** Name of the run that took the epoch; null if it gave none. */
  readonly run: string | null;
  /** Null before the source's first position was recorded. */
  readonly checkpoint: Checkpoint | null;
  /** When it was committed, by the destination's clock; null or absent where that is not known. */
  readonly committedAt?: string | null;
  readonly streams: readonly StreamRecord[];
  /** Ids of snapshot chunks that are loaded, by stream. */
  readonly chunks: ReadonlyMap<StreamId, ReadonlySet<string>>;
}

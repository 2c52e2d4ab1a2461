import type { ReaderStatus } from '../core/connector.ts';
import type { Position } from '../core/position.ts';
import type { Lag } from './progress.ts';

export interface LagFacts {
  readonly applied: Position;
  readonly status: ReaderStatus;
  /** Something was received that is not yet applied. */
  readonly pending: boolean;
  /** Commit time at the source of the last applied transaction, since 1970. */
  readonly lastCommitMicros: bigint | null;
  readonly nowMs: number;
  readonly distance: (from: Position, to: Position) => number | null;
}

/**
 * How far the destination is behind. In time: age of the last applied commit while there is more to apply, else
 * nothing. Clocks of source and this machine may differ; below zero is shown as zero. Pure.
 */
export function measureLag(facts: LagFacts): Lag {
  const end = facts.status.logEnd ?? facts.status.received;
  const bytes = end === null ? null : facts.distance(facts.applied, end);
  const lagBytes = bytes === null ? null : Math.max(0, bytes);
  if (!facts.pending) return { lagMs: 0, lagBytes };
  if (facts.lastCommitMicros === null) return { lagMs: null, lagBytes };
  const age = facts.nowMs - Number(facts.lastCommitMicros / 1000n);
  return { lagMs: Math.max(0, age), lagBytes };
}

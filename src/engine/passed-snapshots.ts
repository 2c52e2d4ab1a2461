/**
 * Streams that were loaded under one snapshot leave out what it has shown. That is asked only until the change stream
 * has passed the snapshot: the source's transaction ids come round again, and would then name later transactions.
 */
import type { ChangeCapability } from '../core/connector.ts';
import type { Position } from '../core/position.ts';
import type { Attempt } from './attempt.ts';
import { type RunningStream, toRecord } from './stream-state.ts';

export class PassedSnapshots {
  readonly #attempt: Pick<Attempt, 'session' | 'streams'>;
  readonly #changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition'>;
  /** Everything that the stream's snapshot shows was committed before. */
  readonly #after = new Map<RunningStream, Position>();

  constructor(
    attempt: Pick<Attempt, 'session' | 'streams'>,
    changes: Pick<ChangeCapability, 'comparePositions' | 'currentPosition'>,
  ) {
    this.#attempt = attempt;
    this.#changes = changes;
  }

  /** Snapshots that are known not to be passed yet. */
  get waiting(): number {
    return this.#after.size;
  }

  async step(applied: Position): Promise<void> {
    for (const stream of this.#attempt.streams.values()) {
      if (stream.visibility === null || stream.state !== 'streaming') {
        this.#after.delete(stream);
        continue;
      }
      const after = this.#after.get(stream);
      if (after === undefined) {
        this.#after.set(stream, await this.#changes.currentPosition());
      } else if (this.#changes.comparePositions(applied, after) >= 0) {
        stream.visibility = null;
        this.#after.delete(stream);
        await this.#attempt.session.save([toRecord(stream)], null);
      }
    }
  }
}

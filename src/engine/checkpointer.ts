/**
 * The one place where a source is acknowledged. A position is acknowledged only after the destination has
 * committed it together with the data it covers, and only at ends of source transactions.
 */
import type { Checkpoint, RowAccount, StreamRecord } from '../core/checkpoint.ts';
import type { ChangeCapability, ChangeReader, DestinationSession } from '../core/connector.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import type { Position, SourceIdentity } from '../core/position.ts';
import type { StreamId } from '../core/stream-schema.ts';

/** An idle pipeline still moves its checkpoint this often, so that the source may discard its log. */
const IDLE_MS = 5_000;

export interface CheckpointerOptions {
  readonly session: DestinationSession;
  readonly changes: ChangeCapability;
  readonly reader: Pick<ChangeReader, 'acknowledge'>;
  readonly identity: SourceIdentity;
  readonly start: Position;
  readonly accounts: () => Readonly<Record<StreamId, RowAccount>>;
  readonly committed: (position: Position) => void;
}

export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #position: Position;
  #lastAt = performance.now();

  constructor(options: CheckpointerOptions) {
    this.#options = options;
    this.#position = options.start;
  }

  /** What is durable at the destination. */
  get position(): Position {
    return this.#position;
  }

  /** Ends the destination's open transaction. */
  async commit(position: Position, records: readonly StreamRecord[]): Promise<void> {
    const checkpoint: Checkpoint = {
      position,
      source: this.#options.identity,
      accounts: this.#options.accounts(),
    };
    if (failpointsArmed) await failpoint('changes.beforeCommit');
    await this.#options.session.commit(checkpoint, records);
    if (failpointsArmed) await failpoint('changes.afterCommit');
    this.#position = position;
    this.#lastAt = performance.now();
    this.#options.committed(position);
    this.#options.reader.acknowledge(position);
    if (failpointsArmed) await failpoint('changes.afterAcknowledge');
  }

  /**
   * Nothing for us was committed up to `position`. Moves the checkpoint there when it is due or `now`, and makes
   * sure that no later run has taken over.
   */
  async idle(position: Position | null, now: boolean): Promise<void> {
    const due = now || performance.now() - this.#lastAt >= IDLE_MS;
    if (!due) return;
    const ahead =
      position !== null && this.#options.changes.comparePositions(position, this.#position) > 0;
    if (ahead) {
      await this.#options.session.begin();
      await this.commit(position, []);
      return;
    }
    this.#lastAt = performance.now();
    await this.#options.session.assertEpoch();
  }
}

/** Events of a stream by the state they are in, over the life of the service. */
import type { RowAccount } from '../core/checkpoint.ts';
import type { StreamId } from '../core/stream-schema.ts';
import type { RunEvent, RunMeter } from '../engine/pipeline.ts';

export interface EventCounts {
  readonly received: number;
  /** In the hands of the transformation. */
  readonly transforming: number;
  /** Sent to the destination and not committed yet. */
  readonly writing: number;
  readonly completed: number;
  /** Refused by the transformation or the destination. */
  readonly failed: number;
  /** Given up with a broken attempt, to come again. */
  readonly retrying: number;
  readonly filtered: number;
  readonly deadLettered: number;
  /** Attempts that broke off. */
  readonly retries: number;
}

export const NO_COUNTS: EventCounts = {
  received: 0,
  transforming: 0,
  writing: 0,
  completed: 0,
  failed: 0,
  retrying: 0,
  filtered: 0,
  deadLettered: 0,
  retries: 0,
};

export class EventMeter implements RunMeter {
  #completed = 0;
  #filtered = 0;
  #deadLettered = 0;
  /** On their way, by table. */
  readonly #moving = new Map<StreamId, number>();
  #retrying = 0;
  #transforming = 0;
  #received = 0;
  #retries = 0;

  moved = (stream: StreamId, rows: number): void => {
    this.#retrying = Math.max(0, this.#retrying - rows);
    this.#moving.set(stream, (this.#moving.get(stream) ?? 0) + rows);
  };

  counted = (stream: StreamId, account: RowAccount): void => {
    this.#completed += account.applied + account.folded;
    this.#filtered += account.filtered;
    this.#deadLettered += account.deadLettered;
    // What was left out at once was never on its way.
    const moving = (this.#moving.get(stream) ?? 0) - account.read;
    this.#moving.set(stream, Math.max(0, moving));
  };

  /** Documents that went into the transformation, less those that came out. */
  transforming(change: number): void {
    this.#transforming += change;
  }

  /** The attempt broke off: what it held is given up, and comes again. */
  brokeOff = (): void => {
    this.#remember();
    this.#retrying += this.#inHand();
    this.#moving.clear();
    this.#transforming = 0;
  };

  observe(event: RunEvent): void {
    switch (event.event) {
      case 'retry':
        this.#retries += 1;
        return;
      case 'stream-paused':
        // What it had on its way comes again only when somebody has mended it.
        this.#remember();
        this.#moving.delete(event.stream ?? '');
        return;
      case 'progress':
        // Some never come again: their commit was made, and only its answer lost.
        if (event.phase === 'changes' && event.lagBytes === 0) this.#settle();
        return;
      case 'started':
      case 'phase':
      case 'checkpoint':
      case 'schema-change':
      case 'notice':
      case 'stopped':
        return;
    }
  }

  ended(): void {
    this.#remember();
    this.#moving.clear();
    this.#retrying = 0;
    this.#transforming = 0;
  }

  counts(): EventCounts {
    this.#remember();
    const inHand = this.#inHand();
    const transforming = Math.min(this.#transforming, inHand);
    return {
      received: this.#received,
      transforming,
      writing: inHand - transforming,
      completed: this.#completed,
      failed: this.#deadLettered,
      retrying: this.#retrying,
      filtered: this.#filtered,
      deadLettered: this.#deadLettered,
      retries: this.#retries,
    };
  }

  #settle(): void {
    this.#remember();
    this.#retrying = 0;
  }

  /** What was received stays so when it is given up: a counter that falls is taken for one that began anew. */
  #remember(): void {
    const settled = this.#completed + this.#filtered + this.#deadLettered;
    this.#received = Math.max(this.#received, settled + this.#inHand() + this.#retrying);
  }

  #inHand(): number {
    return [...this.#moving.values()].reduce((sum, rows) => sum + rows, 0);
  }
}

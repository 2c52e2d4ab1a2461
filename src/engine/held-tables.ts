/** Tables that somebody holds at the source so that nobody can read them: tried again later, while all others go on. */
import type { StreamId } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';

/** A try lets the stream wait for at most this long. */
export const LOCK_WAIT_MS = 300;
/** So that waiting takes a small part of the stream's time. */
export const HELD_RETRY_MS = 3000;
const NOTICE_AFTER_MS = 5000;

interface Held {
  readonly since: number;
  readonly again: number;
  readonly told: boolean;
}

export class HeldTables {
  readonly #progress: Pick<Attempt['progress'], 'emit'>;
  /** The key null stands for the catalog, of which one table is enough to stop a look. */
  readonly #held = new Map<StreamId | null, Held>();

  constructor(attempt: Pick<Attempt, 'progress'>) {
    this.#progress = attempt.progress;
  }

  mustWait(id: StreamId | null): boolean {
    const held = this.#held.get(id);
    return held !== undefined && performance.now() < held.again;
  }

  /** Told once, and only where it lasts: every change of a table holds it for a moment. */
  failed(id: StreamId | null): void {
    const now = performance.now();
    const { since = now, told = false } = this.#held.get(id) ?? {};
    const lasts = now - since >= NOTICE_AFTER_MS;
    if (lasts && !told) {
      const message =
        id === null
          ? 'somebody holds a table at the source; until it is free no new table is looked for'
          : 'somebody holds the table at the source; it is read when it is free';
      this.#progress.emit({ event: 'notice', message }, id);
    }
    this.#held.set(id, { since, again: now + HELD_RETRY_MS, told: told || lasts });
  }

  forget(id: StreamId | null): void {
    this.#held.delete(id);
  }
}

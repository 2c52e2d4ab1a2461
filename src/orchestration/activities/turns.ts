/** One at a time per key, in the order in which they came: a DuckDB file has one user at a time. */
import { ForebayError } from '../../core/errors.ts';

/** So long it may take to get a turn before it is told why. */
const PATIENCE_MS = 2000;

/** Who has a turn or waits for one, as those are told who wait behind. */
export interface TurnHolder {
  /** Others are not told its name. */
  readonly organizationId: string;
  readonly label: string;
}

export interface Turn {
  /** Waits until it aborts. */
  readonly signal: AbortSignal;
  readonly who: TurnHolder;
  /** Told once, when it has waited for some time; null where it has just ended. */
  readonly waits?: (holder: TurnHolder | null) => void;
}

export class Turns {
  readonly #last = new Map<string, Promise<void>>();
  readonly #holders = new Map<string, TurnHolder>();

  /** Waits for its turn, or until the signal aborts: then it fails with the signal's reason and does nothing. */
  async take<T>(key: string, turn: Turn, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    let end = (): void => {};
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    const ended = before.then(() => mine);
    this.#last.set(key, ended);
    try {
      await this.#wait(key, before, turn);
      this.#holders.set(key, turn.who);
      return await act();
    } finally {
      if (this.#holders.get(key) === turn.who) this.#holders.delete(key);
      end();
      if (this.#last.get(key) === ended) this.#last.delete(key);
    }
  }

  async #wait(key: string, before: Promise<void>, { signal, waits }: Turn): Promise<void> {
    const timer = setTimeout(() => waits?.(this.#holders.get(key) ?? null), PATIENCE_MS);
    try {
      await Promise.race([before, aborted(signal)]);
    } finally {
      clearTimeout(timer);
    }
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = (): void => {
      const reason: unknown = signal.reason;
      reject(
        reason instanceof Error
          ? reason
          : new ForebayError('interrupted', { message: 'waiting was given up' }),
      );
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}

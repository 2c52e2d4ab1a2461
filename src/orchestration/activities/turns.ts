/** One at a time per key, in the order in which they came: a DuckDB file has one user at a time. */
import { ForebayError } from '../../core/errors.ts';

export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Waits for its turn, or until the signal aborts: then it fails with the signal's reason and does nothing. */
  async take<T>(key: string, signal: AbortSignal, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    let end = (): void => {};
    const mine = new Promise<void>((resolve) => {
      end = resolve;
    });
    const turn = before.then(() => mine);
    this.#last.set(key, turn);
    try {
      await Promise.race([before, aborted(signal)]);
      return await act();
    } finally {
      end();
      if (this.#last.get(key) === turn) this.#last.delete(key);
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

/** Hashing a password takes 128 MiB for a third of a second, by intent: so many at once, and so many may wait. */
import { RequestError } from './problem.ts';

const AT_ONCE = 2;
const MOST_WAITING = 30;

export class PasswordGate {
  #busy = 0;
  readonly #waiting: (() => void)[] = [];

  /** Refuses with `too_many_requests` where too many wait already. */
  async pass<T>(hash: () => Promise<T>): Promise<T> {
    if (this.#busy >= AT_ONCE) await this.#turn();
    else this.#busy += 1;
    try {
      return await hash();
    } finally {
      const next = this.#waiting.shift();
      // Who waits takes the place over.
      if (next === undefined) this.#busy -= 1;
      else next();
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.length >= MOST_WAITING) {
      throw new RequestError('too_many_requests', {
        message: 'Too many passwords are being checked',
        headers: { 'retry-after': '5' },
      });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    return promise;
  }
}

/** Of this process: the memory is. */
export const passwordGate = new PasswordGate();

/** Places of activities, by queue; whoever waits longest is next. */
export class Slots {
  readonly #limits: Readonly<Record<string, number>>;
  readonly #fallback: number;
  readonly #taken = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(limits: Readonly<Record<string, number>>, fallback: number) {
    this.#limits = limits;
    this.#fallback = fallback;
  }

  /** Answers how to give the place back, once; null where the wait was given up. */
  async take(queue: string, signal: AbortSignal): Promise<(() => void) | null> {
    if (signal.aborted) return null;
    const taken = this.#taken.get(queue) ?? 0;
    if (taken >= (this.#limits[queue] ?? this.#fallback)) {
      if (!(await this.#turn(queue, signal))) return null;
    } else this.#taken.set(queue, taken + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#giveBack(queue);
    };
  }

  #turn(queue: string, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting = this.#waiting.get(queue) ?? [];
    this.#waiting.set(queue, waiting);
    const next = (): void => {
      signal.removeEventListener('abort', gaveUp);
      resolve(true);
    };
    const gaveUp = (): void => {
      const index = waiting.indexOf(next);
      if (index >= 0) waiting.splice(index, 1);
      resolve(false);
    };
    waiting.push(next);
    signal.addEventListener('abort', gaveUp, { once: true });
    return promise;
  }

  /** The place goes to the next one at once, so that nobody comes in between. */
  #giveBack(queue: string): void {
    const next = this.#waiting.get(queue)?.shift();
    if (next === undefined) this.#taken.set(queue, (this.#taken.get(queue) ?? 1) - 1);
    else next();
  }
}

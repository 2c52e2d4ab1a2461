/** How many streams may run at once; the others wait in the order in which they came. */
export class Places {
  #limit: number;
  #taken = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Those that run go on when the limit gets lower. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#admit();
  }

  /** Null if the signal aborts first. */
  async take(signal: AbortSignal): Promise<Disposable | null> {
    if (signal.aborted) return null;
    if (this.#taken < this.#limit) this.#taken += 1;
    else if (!(await this.#wait(signal))) return null;
    return { [Symbol.dispose]: () => this.#release() };
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const admitted = (): void => {
        signal.removeEventListener('abort', given);
        resolve(true);
      };
      const given = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(admitted), 1);
        resolve(false);
      };
      signal.addEventListener('abort', given, { once: true });
      this.#waiting.push(admitted);
    });
  }

  #release(): void {
    this.#taken -= 1;
    this.#admit();
  }

  #admit(): void {
    while (this.#taken < this.#limit) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#taken += 1;
      next();
    }
  }
}

/** Lets loads of one table run side by side, and what alters it run alone. */
export class LoadGate {
  #loads = 0;
  #altering: Promise<void> = Promise.resolve();
  #idle: (() => void)[] = [];

  /** Waits for who alters, then counts as under way until the act ends. */
  async load<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      const altering = this.#altering;
      await altering;
      // Nobody else has a turn between these two.
      if (altering === this.#altering) break;
    }
    this.#loads += 1;
    try {
      return await act();
    } finally {
      this.#loads -= 1;
      if (this.#loads === 0) for (const wake of this.#idle.splice(0)) wake();
    }
  }

  /** Loads that come later wait; those under way end first. */
  async alone(act: () => Promise<void>): Promise<void> {
    const turn = this.#altering.then(async () => {
      if (this.#loads > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
      await act();
    });
    this.#altering = turn.catch(() => {});
    await turn;
  }
}

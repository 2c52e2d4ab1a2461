/** Whether a cluster answers. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from '@temporalio/client';

const REACH_MS = 2000;

export class Reach {
  readonly #connection: Connection;
  /** Probes share it: they need no token, and shall be no load for the cluster. */
  #asked: Promise<boolean> | null = null;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** False where nothing is known after two seconds. */
  async look(): Promise<boolean> {
    const answered = (this.#asked ??= this.#ask());
    const late = new AbortController();
    const timeout = delay(REACH_MS, false, { signal: late.signal }).catch(() => false);
    try {
      return await Promise.race([answered, timeout]);
    } finally {
      late.abort();
    }
  }

  /** The SDK tries again by itself until after the deadline, and on a closed connection that ends the process. */
  async settled(): Promise<void> {
    await this.#asked;
  }

  async #ask(): Promise<boolean> {
    const { workflowService } = this.#connection;
    try {
      const deadline = Date.now() + REACH_MS;
      await this.#connection.withDeadline(deadline, () => workflowService.getSystemInfo({}));
      return true;
    } catch {
      return false;
    } finally {
      this.#asked = null;
    }
  }
}

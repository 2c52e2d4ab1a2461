/** How long a command that watches bears a server that is away. */
import { setTimeout as wait } from 'node:timers/promises';
import { ForebayError } from '../../core/errors.ts';

const PASSING = new Set(['transient', 'timeout', 'rate-limited']);
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;
const PATIENCE_MS = 300_000;

export function isPassing(error: unknown): error is ForebayError {
  return error instanceof ForebayError && PASSING.has(error.class);
}

export interface PatienceOptions {
  readonly signal: AbortSignal;
  /** Said once each time that the server goes away. */
  readonly say: (text: string) => void;
  readonly patienceMs?: number;
  readonly firstWaitMs?: number;
}

/** Bears failures that pass, until the server has been away too long; the count begins anew after each success. */
export class Patience {
  readonly #options: PatienceOptions;
  #sinceMs: number | null = null;
  #waitMs = 0;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  succeeded(): void {
    this.#sinceMs = null;
  }

  /** Waits; throws the failure where it does not pass or took too long. */
  async bear(error: unknown): Promise<void> {
    const { signal, say, patienceMs = PATIENCE_MS, firstWaitMs = FIRST_WAIT_MS } = this.#options;
    if (!isPassing(error)) throw error;
    const nowMs = performance.now();
    if (this.#sinceMs === null) {
      this.#sinceMs = nowMs;
      this.#waitMs = firstWaitMs;
      say(`${error.message}; trying again`);
    } else {
      this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
    }
    if (nowMs - this.#sinceMs > patienceMs) throw error;
    await wait(Math.max(this.#waitMs, error.retryAfterMs ?? 0), undefined, { signal });
  }

  /** Acts until it succeeds. */
  async until<T>(act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        const result = await act();
        this.succeeded();
        return result;
      } catch (error) {
        await this.bear(error);
      }
    }
  }
}

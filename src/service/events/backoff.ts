/** When an event that did not get through is sent again. Pure. */

const FIRST_MS = 5000;
const LONGEST_MS = 3_600_000;
/** So that receivers that were away are not met by all senders at once. */
const JITTER = 0.2;
export const GIVEN_UP_AFTER_MS = 3 * 24 * 3_600_000;

export interface Failed {
  /** From 1. */
  readonly attempts: number;
  readonly retryAfterMs: number | null;
  /** At least 0, less than 1. */
  readonly random: number;
}

export function waitMs({ attempts, retryAfterMs, random }: Failed): number {
  const doubled = Math.min(FIRST_MS * 2 ** Math.min(attempts - 1, 30), LONGEST_MS);
  const spread = doubled * (1 + JITTER * (2 * random - 1));
  return Math.round(Math.max(spread, Math.min(retryAfterMs ?? 0, LONGEST_MS)));
}

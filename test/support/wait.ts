import { setTimeout as delay } from 'node:timers/promises';

export interface EventuallyOptions {
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Calls `probe` until it returns something other than false, null or undefined, and returns that.
 * A throw counts as "not yet", so that a probe may hold assertions; the last one is the cause when time is up.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, intervalMs = 25, signal }: EventuallyOptions = {},
): Promise<Exclude<T, false | null | undefined | void>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  do {
    try {
      const found = await probe();
      if (isFound(found)) return found;
      last = new Error(`the probe returned ${String(found)}`);
    } catch (error) {
      last = error;
    }
    await delay(intervalMs, undefined, signal === undefined ? {} : { signal });
  } while (performance.now() < deadline);
  const reason = last instanceof Error ? last.message : String(last);
  throw new Error(`not within ${timeoutMs} ms: ${reason}`, { cause: last });
}

function isFound<T>(value: T): value is Exclude<T, false | null | undefined | void> {
  return value !== false && value !== null && value !== undefined;
}

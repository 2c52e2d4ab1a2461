import { asForebayError } from '../core/errors.ts';
import type { Settled } from './flow.ts';

/** Deterministic as long as `act` is: the next item begins when the flow sees that one has ended. */
export async function fanOut<I, O>(
  items: readonly I[],
  limit: number,
  act: (item: I) => Promise<O>,
): Promise<readonly Settled<O>[]> {
  const results: Settled<O>[] = [];
  const queue = items.entries();
  const work = async (): Promise<void> => {
    for (const [index, item] of queue) {
      try {
        results[index] = { status: 'fulfilled', value: await act(item) };
      } catch (error) {
        results[index] = { status: 'rejected', error: asForebayError(error) };
      }
    }
  };
  const workers = Math.max(1, Math.min(limit, items.length));
  await Promise.all(Array.from({ length: workers }, work));
  return results;
}

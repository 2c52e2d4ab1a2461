/** Takes a pipeline away: what it keeps in the source and what it remembers at the destination, never the data. */
import type { Destination, Leftover, Source } from '../core/connector.ts';

/** A side that is gone is null. */
export async function listLeftovers(
  name: string,
  source: Source | null,
  destination: Destination | null,
): Promise<readonly Leftover[]> {
  return [
    ...((await source?.changes?.leftovers(name)) ?? []),
    ...((await destination?.leftovers(name)) ?? []),
  ];
}

/** The source first: a slot that is left behind fills its disk, a record that is left behind does no harm. */
export async function dropPipeline(
  name: string,
  source: Source | null,
  destination: Destination | null,
): Promise<void> {
  await source?.changes?.drop(name);
  await destination?.drop(name);
}

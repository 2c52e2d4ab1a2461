/** Compares whole streams of two systems by content, with readers of its own and without looking at any account. */
import type { Destination, Source, StreamTarget } from '../core/connector.ts';
import type { SlabPool } from '../core/slab.ts';
import { needSnapshot } from './attempt.ts';
import { compareStreams, type StreamComparison } from './compare.ts';
import { sidesOf } from './stream-sides.ts';

/** Pipeline name under which the destination is read; it is removed again. */
const READER = 'forebay_compare';
const MEMORY_BYTES = 64 * 1024 * 1024;

export interface CompareOptions {
  /** The pool that both systems were opened with. */
  readonly slabs: SlabPool;
  readonly stop?: AbortSignal;
}

export interface ComparedContent extends StreamComparison {
  readonly stream: StreamTarget['id'];
}

/**
 * One consistent snapshot of the source against the destination's rows as they stand, so changes must have been
 * caught up with and rest meanwhile. Streams that append
 * every change are left out: their table is a history, not a copy.
 */
export async function compareContent(
  source: Source,
  destination: Destination,
  targets: readonly StreamTarget[],
  { slabs, stop = new AbortController().signal }: CompareOptions,
): Promise<readonly ComparedContent[]> {
  const compared: ComparedContent[] = [];
  await using reader = await needSnapshot(source).open({ parallel: 1 });
  try {
    await using session = await destination.openSession(READER);
    const limits = {
      slabs,
      memoryBytes: MEMORY_BYTES,
      seen: () => {},
      stop,
    };
    for (const target of targets) {
      stop.throwIfAborted();
      if (target.load === 'append') continue;
      const plan = await destination.plan(target);
      const sides = sidesOf({ target, plan, reader, session }, limits);
      compared.push({ stream: target.id, ...(await compareStreams(sides)) });
    }
  } finally {
    await destination.drop(READER);
  }
  return compared;
}

/** Batches on their way from a snapshot reader to a destination: one is read while another is loaded. */
import type { FrameStream } from '../core/connector.ts';
import { batchValueBytes, type RowBatch } from '../core/row-batch.ts';
import type { SlabPool } from '../core/slab.ts';

/**
 * Reads up to `ahead` batches in advance. A batch's slab goes back to the pool when the next one is asked for;
 * on an early end all slabs go back.
 */
export async function* readAhead(
  batches: AsyncIterable<RowBatch>,
  options: {
    readonly ahead: number;
    readonly slabs: SlabPool;
    readonly seen: (rows: number, bytes: number) => void;
  },
): AsyncGenerator<RowBatch, void> {
  const iterator = batches[Symbol.asyncIterator]();
  const pending: Promise<IteratorResult<RowBatch>>[] = [];
  const request = (): void => {
    const next = iterator.next();
    // Failures are thrown where the result is awaited, in order.
    next.catch(() => {});
    pending.push(next);
  };
  try {
    for (let i = 0; i < options.ahead; i += 1) request();
    for (;;) {
      const result = await pending.shift();
      if (result === undefined || result.done === true) return;
      request();
      const batch = result.value;
      options.seen(batch.rowCount, batchValueBytes(batch));
      try {
        yield batch;
      } finally {
        options.slabs.give(batch.slab);
      }
    }
  } finally {
    await iterator.return?.();
    for (const result of await Promise.allSettled(pending)) {
      if (result.status === 'fulfilled' && result.value.done !== true) {
        options.slabs.give(result.value.value.slab);
      }
    }
  }
}

/** Frames with their bytes told as they pass. */
export function countFrames(stream: FrameStream, seen: (bytes: number) => void): FrameStream {
  return { rows: () => stream.rows(), frames: counted(stream.frames, seen) };
}

async function* counted(
  frames: AsyncIterable<Uint8Array>,
  seen: (bytes: number) => void,
): AsyncGenerator<Uint8Array, void> {
  for await (const piece of frames) {
    seen(piece.length);
    yield piece;
  }
}

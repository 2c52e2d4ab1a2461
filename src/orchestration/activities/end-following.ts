/** What is kept at the source for a pipeline that follows nothing there any more. */
import { openDestination, openSource } from '../../connectors/registry.ts';
import { asForebayError } from '../../core/errors.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { dropPipeline } from '../../engine/drop.ts';
import { matches } from '../../engine/selection.ts';
import type { Extraction } from './extract.ts';
import { selectionOf } from './pipeline-config.ts';
import { systemContext } from './system-context.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;

/**
 * A slot that nobody reads any more fills the disk of its source. What cannot be dropped is told, and tried again. It
 * stays where a stream that was followed is not seen at the source for now: it may come again.
 */
export async function endFollowing(
  name: string,
  extraction: Pick<Extraction, 'source' | 'warehouse' | 'config' | 'observe' | 'signal'>,
  seen: readonly StreamId[],
): Promise<void> {
  const { source, warehouse, config, observe, signal } = extraction;
  const context = systemContext(signal, MEMORY_BYTES);
  await using destination = await openDestination(warehouse, context);
  const state = await destination.readState(name);
  if (state === null) return;
  const selection = selectionOf(config);
  const isAway = (stream: StreamId): boolean =>
    matches(selection, stream) && !seen.includes(stream);
  if (state.streams.some(({ stream }) => isAway(stream))) return;
  const tell = (message: string): void => {
    const at = new Date().toISOString();
    observe({ at, pipeline: name, stream: null, event: 'notice', message });
  };
  try {
    await using opened = await openSource(source, context);
    await dropPipeline(name, opened, destination);
    tell('No stream is followed any more; what was kept for it at the source is dropped');
  } catch (error) {
    signal.throwIfAborted();
    const { message } = asForebayError(error);
    tell(
      `No stream is followed any more, and what is kept at the source could not be dropped: ${message}`,
    );
  }
}

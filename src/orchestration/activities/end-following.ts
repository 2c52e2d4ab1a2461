/** What is kept at the source for a pipeline that follows nothing there any more. */
import { openDestination, openSource } from '../../connectors/registry.ts';
import { asForebayError } from '../../core/errors.ts';
import { dropPipeline } from '../../engine/drop.ts';
import type { Extraction } from './extract.ts';
import { systemContext } from './system-context.ts';

const MEMORY_BYTES = 16 * 1024 * 1024;

/** A slot that nobody reads any more fills the disk of its source. What cannot be dropped is told, and tried again. */
export async function endFollowing(
  name: string,
  extraction: Pick<Extraction, 'source' | 'warehouse' | 'observe' | 'signal'>,
): Promise<void> {
  const { source, warehouse, observe, signal } = extraction;
  const context = systemContext(signal, MEMORY_BYTES);
  await using destination = await openDestination(warehouse, context);
  if ((await destination.readState(name)) === null) return;
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

import type { ConnectorContext } from '../../core/connector.ts';
import { SlabPool } from '../../core/slab.ts';

/** For a step that opens a system by itself: without options, and what it notices is told to nobody. */
export function systemContext(signal: AbortSignal, memoryBytes: number): ConnectorContext {
  return { signal, slabs: new SlabPool(0), memoryBytes, options: {}, notice: () => {} };
}

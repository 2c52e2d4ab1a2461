import { type NamedSystem, openWarehouse as open } from '../../connectors/registry.ts';
import { SlabPool } from '../../core/slab.ts';
import type { Warehouse } from '../../core/warehouse.ts';

const MEMORY_BYTES = 256 * 1024 * 1024;

/** For SQL on a pipeline's destination. */
export function openWarehouse(
  system: NamedSystem,
  signal: AbortSignal,
): Promise<Warehouse & AsyncDisposable> {
  return open(system, {
    signal,
    slabs: new SlabPool(0),
    memoryBytes: MEMORY_BYTES,
    options: {},
    notice: () => {},
  });
}

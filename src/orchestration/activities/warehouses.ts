import { type NamedSystem, openWarehouse as open } from '../../connectors/registry.ts';
import type { Warehouse } from '../../core/warehouse.ts';
import { systemContext } from './system-context.ts';

const MEMORY_BYTES = 256 * 1024 * 1024;

/** For SQL on a pipeline's destination. */
export function openWarehouse(
  system: NamedSystem,
  signal: AbortSignal,
): Promise<Warehouse & AsyncDisposable> {
  return open(system, systemContext(signal, MEMORY_BYTES));
}

/** What is promised of a stream's rows, in the words of docs/data-path.md. */
import type { Destination, StreamTarget } from '../core/connector.ts';
import type { RunMode } from './pipeline.ts';
import { lacksKey } from './start.ts';

export function deliveryOf(
  mode: RunMode,
  target: StreamTarget,
  delivery: Destination['delivery'],
): string {
  if (mode.kind === 'copy') return 'each chunk once';
  if (lacksKey({ mode }, { target })) return 'paused: no key to follow changes by';
  if (target.load === 'append')
    return target.schema.identity === 'none' ? `${delivery}, inserts only` : delivery;
  return target.schema.identity === 'key' ? delivery : `${delivery}, equal rows counted`;
}

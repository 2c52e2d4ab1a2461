/** What a connection's system says of itself: its catalog. */
import { type NamedSystem, openSource } from '../../connectors/registry.ts';
import type { CatalogStream } from '../../core/connector.ts';
import { streamId } from '../../core/stream-schema.ts';
import { lookContext } from '../../orchestration/activities/connect.ts';
import type { Catalog } from '../schemas/connections.ts';

export async function discoverSource(
  system: NamedSystem,
  signal: AbortSignal,
): Promise<readonly CatalogStream[]> {
  await using source = await openSource(system, lookContext(signal));
  return await source.discover();
}

export async function readCatalog(system: NamedSystem, signal: AbortSignal): Promise<Catalog> {
  const streams = await discoverSource(system, signal);
  return {
    streams: streams.map(({ schema, readable, estimatedRows, estimatedBytes }) => ({
      stream: streamId(schema.stream),
      readable,
      estimated_rows: estimatedRows,
      estimated_bytes: estimatedBytes,
      key: schema.key.map((index) => schema.columns[index]?.name ?? ''),
      columns: schema.columns.map(({ name, nativeType, nullable }) => ({
        name,
        type: nativeType,
        nullable,
      })),
    })),
  };
}

// Both systems of a pair opened in this process, as the command opens them.
import { openDestination, openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { Destination, Source, StreamTarget } from '../../src/core/connector.ts';
import { SlabPool } from '../../src/core/slab.ts';
import { streamId } from '../../src/core/stream-schema.ts';

const MIB = 1024 * 1024;

export interface OpenPair extends AsyncDisposable {
  readonly source: Source;
  readonly destination: Destination;
  readonly slabs: SlabPool;
  /** Every table of the source, landing under its own name; by name. */
  targets(): Promise<readonly StreamTarget[]>;
}

export async function openSystem(urls: readonly [string, string]): Promise<OpenPair> {
  const slabs = new SlabPool(64 * MIB);
  const context = {
    signal: new AbortController().signal,
    slabs,
    memoryBytes: 256 * MIB,
    options: {},
    notice: () => {},
  };
  const source = await openSource(await resolveSystem(urls[0]), context);
  const destination = await openDestination(await resolveSystem(urls[1]), context);
  return {
    source,
    destination,
    slabs,
    targets: async () => {
      const catalog = await source.discover();
      const targets = catalog.map(({ schema }): StreamTarget => ({
        id: streamId(schema.stream),
        schema,
        table: schema.stream,
        load: 'upsert',
        deletes: 'hard',
      }));
      return targets.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await destination[Symbol.asyncDispose]();
    },
  };
}

import type { ConnectorContext, Destination, Source } from '../core/connector.ts';
import type { SlabPool } from '../core/slab.ts';
import type { PipelineSystems } from './pipeline.ts';

export interface OpenSystems extends AsyncDisposable {
  readonly source: Source;
  readonly destination: Destination;
}

export function contextFor(
  systems: PipelineSystems,
  parts: {
    readonly slabs: SlabPool;
    readonly memoryBytes: number;
    readonly signal: AbortSignal;
    readonly notice: ConnectorContext['notice'];
  },
): ConnectorContext {
  return { ...parts, options: systems.options };
}

/** Opens both; closes the first again if the second cannot be opened. */
export async function openSystems(
  systems: PipelineSystems,
  context: ConnectorContext,
): Promise<OpenSystems> {
  const source = await systems.openSource(context);
  try {
    const destination = await systems.openDestination(context);
    return {
      source,
      destination,
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]();
        await destination[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

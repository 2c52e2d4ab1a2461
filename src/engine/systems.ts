import type { ConnectorContext, Destination, Source } from '../core/connector.ts';
import type { SlabPool } from '../core/slab.ts';
import type { PipelineSystems } from './pipeline.ts';

export interface OpenSystems extends AsyncDisposable {
  readonly source: Source;
  readonly destination: Destination;
  /** Both are the same database: no table may be its own destination. */
  readonly sameSystem: boolean;
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

/** A system may be named in two ways: by host and by socket, by two names of a host, through a pooler. */
async function haveOnePlace(source: Source, destination: Destination): Promise<boolean> {
  if (source.place === undefined || destination.place === undefined) return false;
  return (await source.place()) === (await destination.place());
}

async function join(
  systems: PipelineSystems,
  source: Source,
  destination: Destination,
): Promise<OpenSystems> {
  try {
    return {
      source,
      destination,
      sameSystem: systems.sameSystem || (await haveOnePlace(source, destination)),
      [Symbol.asyncDispose]: async () => {
        await source[Symbol.asyncDispose]();
        await destination[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await destination[Symbol.asyncDispose]();
    throw error;
  }
}

/** Opens both; closes what is open again if not all of it can be. */
export async function openSystems(
  systems: PipelineSystems,
  context: ConnectorContext,
): Promise<OpenSystems> {
  const source = await systems.openSource(context);
  try {
    const destination = await systems.openDestination(context);
    return await join(systems, source, destination);
  } catch (error) {
    await source[Symbol.asyncDispose]();
    throw error;
  }
}

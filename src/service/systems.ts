/** Opens what the configuration file names. */
import type { NamedSystem } from '../connectors/registry.ts';
import type { ConnectorContext, Destination, Source } from '../core/connector.ts';
import { ForebayError } from '../core/errors.ts';

export async function openSource(system: NamedSystem, context: ConnectorContext): Promise<Source> {
  const { openSource: open } = await system.entry.load();
  if (open !== undefined) return await open(system.address, context);
  throw new ForebayError('capability_missing', {
    message: `${system.entry.title} cannot be a source`,
  });
}

export async function openDestination(
  system: NamedSystem,
  context: ConnectorContext,
): Promise<Destination> {
  const { openDestination: open } = await system.entry.load();
  if (open !== undefined) return await open(system.address, context);
  throw new ForebayError('capability_missing', {
    message: `${system.entry.title} cannot be a destination`,
  });
}

import { type NamedSystem, resolveSystem } from '../connectors/registry.ts';
import { nearest } from '../connectors/nearest.ts';
import type { ConnectorContext } from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { SlabPool } from '../core/slab.ts';

export type Role = 'source' | 'destination';
export type Settings = Readonly<Record<string, string>>;

const LOOK_MEMORY_BYTES = 64 * 1024 * 1024;

/** For commands that look and move no rows. */
export function lookContext(signal: AbortSignal, settings: Settings): ConnectorContext {
  return {
    signal,
    slabs: new SlabPool(0),
    memoryBytes: LOOK_MEMORY_BYTES,
    options: settings,
    notice: () => {},
  };
}

export type Resolved =
  | { readonly system: NamedSystem; readonly error: null }
  | { readonly system: null; readonly error: ForebayError };

/** The error is a value, so that all mistakes of a command line are told together. */
export async function tryResolve(text: string): Promise<Resolved> {
  try {
    return { system: await resolveSystem(text), error: null };
  } catch (error) {
    return { system: null, error: asForebayError(error) };
  }
}

/** A setting belongs to the connector that its prefix names; the connector itself knows the rest of the key. */
export function checkSettings(
  settings: Settings,
  systems: readonly (NamedSystem | null)[],
): readonly ForebayError[] {
  const names = [...new Set(systems.flatMap((system) => system?.address.connector ?? []))];
  return Object.keys(settings)
    .filter((key) => !names.some((name) => key.startsWith(`${name}.`)))
    .map((key) => {
      const meant = nearest(key.split('.')[0] ?? '', names);
      const hint =
        meant === null ? '' : ` Did you mean ${meant}.${key.split('.').slice(1).join('.')}?`;
      return new ForebayError('invalid_option', {
        message: `--set ${key}: no system of this command has an option of that name`,
        fix: `Known options begin with ${names.map((name) => `"${name}."`).join(' or ')}.${hint}`,
      });
    });
}

/** All connectors by name. Everything is imported on first use: looking at this list loads no driver. */
import type {
  Connector,
  ConnectorContext,
  Destination,
  Leftover,
  Source,
  SystemAddress,
} from '../core/connector.ts';
import type { Credentials } from '../core/credentials.ts';
import { ForebayError } from '../core/errors.ts';
import type { OpenWarehouse } from '../core/warehouse.ts';
import { nearest } from './nearest.ts';

export interface ConnectorEntry {
  readonly title: string;
  /** First part of its URLs, the usual one first. */
  readonly schemes: readonly string[];
  /** How its URLs look. */
  readonly example: string;
  /** What it can do, in words; empty where it cannot be that. */
  readonly source: readonly string[];
  readonly destination: readonly string[];
  /** What it can connect with beside what its URL says. */
  readonly credentials: readonly Credentials['kind'][];
  readonly address: (url: string, credentials?: Credentials | null) => Promise<SystemAddress>;
  /** What it keeps as the source of a pipeline of that name; absent where it keeps nothing. Connects to nothing. */
  readonly keeps?: (pipeline: string) => Promise<readonly Leftover[]>;
  readonly load: () => Promise<Connector>;
}

export const CONNECTORS: Readonly<Record<string, ConnectorEntry>> = {
  postgres: {
    title: 'PostgreSQL',
    schemes: ['postgres', 'postgresql'],
    example: 'postgres://user:password@host:5432/database',
    source: ['snapshot', 'changes'],
    destination: ['upsert', 'append', 'replace', 'dead letters'],
    credentials: ['password', 'certificate', 'token'],
    address: async (url, credentials) =>
      (await import('./postgres/config.ts')).postgresAddress(url, credentials),
    keeps: async (pipeline) => (await import('./postgres/slot-names.ts')).keptParts(pipeline),
    load: async () => (await import('./postgres/connector.ts')).connector,
  },
  duckdb: {
    title: 'DuckDB',
    schemes: ['duckdb'],
    example: 'duckdb:path/to/file.duckdb',
    source: ['snapshot'],
    destination: ['upsert', 'append', 'replace', 'dead letters'],
    credentials: [],
    address: async (url) => (await import('./duckdb/config.ts')).parseAddress(url),
    load: async () => (await import('./duckdb/connector.ts')).connector,
  },
};

/** A system that the user named, not yet connected to. */
export interface NamedSystem {
  readonly entry: ConnectorEntry;
  readonly address: SystemAddress;
}

const ENVIRONMENT_FORM = /^env:([A-Za-z_][A-Za-z0-9_]*)$/;

function urlOf(text: string): string {
  if (!text.startsWith('env:')) return text;
  const name = ENVIRONMENT_FORM.exec(text)?.[1];
  if (name === undefined) {
    throw new ForebayError('usage', {
      message: `${JSON.stringify(text)} names no environment variable`,
      fix: 'Write env:NAME, and put the URL of the system into that variable.',
    });
  }
  const value = process.env[name];
  if (value === undefined || value.trim() === '') {
    throw new ForebayError('environment_missing', {
      message: `The environment variable ${name} is ${value === undefined ? 'not set' : 'empty'}`,
      fix: `Set it to the URL of the system: export ${name}='postgres://user:password@host/database'`,
    });
  }
  return value.trim();
}

function unknownScheme(scheme: string | null): ForebayError {
  const known = Object.values(CONNECTORS).flatMap((entry) => entry.schemes);
  const meant = scheme === null ? null : nearest(scheme, known);
  const list = `Known schemes: ${known.join(', ')}.`;
  return new ForebayError('unknown_scheme', {
    message:
      scheme === null
        ? 'A system is named by a URL, and this has no scheme'
        : `No connector knows the scheme ${JSON.stringify(scheme)}`,
    fix: meant === null ? list : `Did you mean ${meant}? ${list}`,
  });
}

/** Reads `<system>` of the command line: a URL or `env:NAME`. Connects to nothing. */
export async function resolveSystem(
  text: string,
  credentials: Credentials | null = null,
): Promise<NamedSystem> {
  const url = urlOf(text);
  // The scheme alone may stand in a message; what follows it may hold a password.
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(url)?.[1]?.toLowerCase() ?? null;
  const entry = Object.values(CONNECTORS).find(
    ({ schemes }) => scheme !== null && schemes.includes(scheme),
  );
  if (entry === undefined) throw unknownScheme(scheme);
  if (credentials !== null && !entry.credentials.includes(credentials.kind)) {
    throw new ForebayError('capability_missing', {
      message: `${entry.title} does not connect with a ${credentials.kind} of its own`,
      fix: 'Leave out the authentication of this system.',
    });
  }
  return { entry, address: await entry.address(url, credentials) };
}

function cannotBe(system: NamedSystem, role: 'source' | 'destination' | 'warehouse'): ForebayError {
  return new ForebayError('capability_missing', {
    message: `${system.entry.title} cannot be a ${role} (${system.address.display})`,
  });
}

export async function openSource(system: NamedSystem, context: ConnectorContext): Promise<Source> {
  const connector = await system.entry.load();
  if (connector.openSource === undefined) throw cannotBe(system, 'source');
  return await connector.openSource(system.address, context);
}

export async function openDestination(
  system: NamedSystem,
  context: ConnectorContext,
): Promise<Destination> {
  const connector = await system.entry.load();
  if (connector.openDestination === undefined) throw cannotBe(system, 'destination');
  return await connector.openDestination(system.address, context);
}

export async function openWarehouse(
  system: NamedSystem,
  context: ConnectorContext,
): Promise<OpenWarehouse> {
  const connector = await system.entry.load();
  if (connector.openWarehouse === undefined) throw cannotBe(system, 'warehouse');
  return await connector.openWarehouse(system.address, context);
}

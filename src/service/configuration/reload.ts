/** What an edit of the file means for the streams that run. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { AUTHENTICATION_FILES } from './files.ts';
import type { LoadedConfiguration } from './inspect.ts';
import { parseTemplate, printReference } from './references.ts';
import type { ServiceConfiguration, StreamConfiguration } from './schema.ts';

export interface ReloadPlan {
  /** New streams, and those that were enabled. */
  readonly started: readonly string[];
  /** Streams that are gone, and those that were disabled. */
  readonly stopped: readonly string[];
  /** Streams that run on with other settings: they start again from their checkpoint. */
  readonly changed: readonly string[];
  /** Streams that go on as they are. A new name alone changes nothing. */
  readonly untouched: readonly string[];
  /** Settings of the service that are others now. */
  readonly service: readonly (keyof ServiceConfiguration)[];
}

type Known = Pick<LoadedConfiguration, 'configuration' | 'digests'>;

/** Names in `digests` of all that a part of the configuration refers to. */
function namesIn(value: unknown, key: string): readonly string[] {
  if (typeof value === 'string') {
    const isFile = key === 'module' || AUTHENTICATION_FILES.includes(key);
    const { parts } = parseTemplate(value, 'known-kinds');
    const references = parts.flatMap((part) => (part.kind === 'text' ? [] : printReference(part)));
    return isFile ? [...references, `path:${value}`] : references;
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => namesIn(member, name));
}

/** Everything that decides how a stream runs. */
function effective(stream: StreamConfiguration, lists: Lists, known: Known): unknown {
  const { name: _streamName, ...settings } = stream;
  const transformation = lists.transformations.get(stream.transformation_id ?? '');
  const { name: _name, ...steps } = transformation ?? { name: undefined };
  const parts = {
    settings,
    source: lists.authentication.get(stream.source.auth_id ?? ''),
    destination: lists.authentication.get(stream.destination.auth_id ?? ''),
    steps,
  };
  const digests = namesIn(parts, '').map((name) => [name, known.digests.get(name) ?? '']);
  return { parts, digests: Object.fromEntries(digests) };
}

interface Lists {
  readonly authentication: ReadonlyMap<string, unknown>;
  readonly transformations: ReadonlyMap<string, Known['configuration']['transformations'][number]>;
}

function running(known: Known): ReadonlyMap<string, unknown> {
  const { streams, authentication, transformations } = known.configuration;
  const lists = {
    authentication: new Map(authentication.map((entry) => [entry.id, entry])),
    transformations: new Map(transformations.map((entry) => [entry.id, entry])),
  };
  return new Map(
    streams
      .filter(({ enabled }) => enabled)
      .map((stream) => [stream.id, effective(stream, lists, known)]),
  );
}

const SERVICE_KEYS = [
  'log_level',
  'log_format',
  'metrics_port',
  'health_port',
  'graceful_shutdown_timeout',
  'max_concurrent_streams',
] as const satisfies readonly (keyof ServiceConfiguration)[];

/** Streams by what becomes of them; those that are disabled before and after are in no list. */
export function planReload(before: Known, after: Known): ReloadPlan {
  const old = running(before);
  const now = running(after);
  const both = [...now.keys()].filter((id) => old.has(id));
  const isSame = (id: string): boolean => isDeepStrictEqual(old.get(id), now.get(id));
  const services = [before.configuration.service, after.configuration.service] as const;
  return {
    started: [...now.keys()].filter((id) => !old.has(id)),
    stopped: [...old.keys()].filter((id) => !now.has(id)),
    changed: both.filter((id) => !isSame(id)),
    untouched: both.filter(isSame),
    service: SERVICE_KEYS.filter((key) => !isDeepStrictEqual(services[0][key], services[1][key])),
  };
}

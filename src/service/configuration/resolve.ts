/** What a stream needs to connect: its references followed at this moment, secrets wrapped. */
import { Secret } from '../../core/secret.ts';
import type { LoadedConfiguration } from './inspect.ts';
import type { Path, Problem } from './problem.ts';
import { fillTemplate, lookUp, parseTemplate, type Strictness } from './references.ts';
import type { StreamConfiguration } from './schema.ts';
import type { Authentication } from './schema-authentication.ts';
import type { Transformation } from './schema-transformations.ts';

type SecretField = 'password' | 'passphrase' | 'client_secret';

type WithSecrets<Config> = {
  readonly [Field in keyof Config]: Field extends SecretField
    ? Secret | Exclude<Config[Field], string>
    : Config[Field];
};

type Resolved<Entry extends Authentication> = Entry extends Authentication
  ? {
      readonly id: string;
      readonly type: Entry['type'];
      readonly config: WithSecrets<Entry['config']>;
    }
  : never;

export type ResolvedAuthentication = Resolved<Authentication>;

export interface ResolvedSystem {
  readonly connection: Secret;
  readonly authentication: ResolvedAuthentication | null;
}

export interface ResolvedTransformation {
  readonly id: string;
  readonly type: Transformation['type'];
  readonly specification: Readonly<Record<string, unknown>>;
  readonly errors: Transformation['error_handling'];
  /** May be a URL with a password. */
  readonly deadLetters: Secret | null;
}

export interface ResolvedStream {
  readonly source: ResolvedSystem;
  readonly destination: ResolvedSystem;
  readonly transformation: ResolvedTransformation | null;
}

export type ResolveResult =
  | { readonly kind: 'resolved'; readonly stream: ResolvedStream }
  | { readonly kind: 'unresolved'; readonly problems: readonly Problem[] };

interface Resolving {
  readonly loaded: LoadedConfiguration;
  readonly problems: Problem[];
}

function fill(text: string, path: Path, resolving: Resolving, strictness: Strictness): string {
  if (!text.includes('${')) return text;
  const { loaded, problems } = resolving;
  const filling = fillTemplate(parseTemplate(text, strictness), (reference) =>
    lookUp(reference, loaded.surroundings),
  );
  for (const flaw of filling.flaws) {
    problems.push(loaded.locate({ path, rule: 'reference', ...flaw }));
  }
  return filling.text ?? '';
}

function fillTree(value: unknown, path: Path, resolving: Resolving): unknown {
  if (typeof value === 'string') return fill(value, path, resolving, 'known-kinds');
  if (Array.isArray(value)) {
    return value.map((item, index) => fillTree(item, [...path, index], resolving));
  }
  if (typeof value !== 'object' || value === null) return value;
  return fillMembers(value, path, resolving);
}

function fillMembers(
  value: object,
  path: Path,
  resolving: Resolving,
): Readonly<Record<string, unknown>> {
  const members = Object.entries(value).map(
    ([key, member]) => [key, fillTree(member, [...path, key], resolving)] as const,
  );
  return Object.fromEntries(members);
}

const SECRET_FIELDS: readonly string[] = ['password', 'passphrase', 'client_secret'];

function authenticationOf(
  id: string | undefined,
  resolving: Resolving,
): ResolvedAuthentication | null {
  const { authentication } = resolving.loaded.configuration;
  const index = authentication.findIndex((entry) => entry.id === id);
  const entry = authentication[index];
  if (entry === undefined) return null;
  const config = Object.entries(entry.config).map(([field, value]) => {
    if (typeof value !== 'string') return [field, value] as const;
    const filled = fill(value, ['authentication', index, 'config', field], resolving, 'all');
    return [field, SECRET_FIELDS.includes(field) ? new Secret(filled) : filled] as const;
  });
  // The fields keep their names: only texts became filled texts or secrets.
  return { id: entry.id, type: entry.type, config: Object.fromEntries(config) };
}

function transformationOf(
  id: string | undefined,
  resolving: Resolving,
): ResolvedTransformation | null {
  const { transformations } = resolving.loaded.configuration;
  const index = transformations.findIndex((entry) => entry.id === id);
  const entry = transformations[index];
  if (entry === undefined) return null;
  const path = ['transformations', index];
  const { dead_letter_destination: letters } = entry.error_handling;
  const lettersPath = [...path, 'error_handling', 'dead_letter_destination'];
  return {
    id: entry.id,
    type: entry.type,
    specification: fillMembers(entry.specification, [...path, 'specification'], resolving),
    errors: entry.error_handling,
    deadLetters:
      letters === undefined ? null : new Secret(fill(letters, lettersPath, resolving, 'all')),
  };
}

/** Reads variables and files anew, so that a secret that was renewed is taken at the next start of a stream. */
export function resolveReferences(
  loaded: LoadedConfiguration,
  stream: StreamConfiguration,
): ResolveResult {
  const resolving: Resolving = { loaded, problems: [] };
  const index = loaded.configuration.streams.findIndex(({ id }) => id === stream.id);
  const system = (role: 'source' | 'destination'): ResolvedSystem => {
    const path = ['streams', index, role, 'connection_string'];
    const text = fill(stream[role].connection_string, path, resolving, 'all');
    return {
      connection: new Secret(text.trim()),
      authentication: authenticationOf(stream[role].auth_id, resolving),
    };
  };
  const resolved = {
    source: system('source'),
    destination: system('destination'),
    transformation: transformationOf(stream.transformation_id, resolving),
  };
  return resolving.problems.length === 0
    ? { kind: 'resolved', stream: resolved }
    : { kind: 'unresolved', problems: resolving.problems };
}

/** Every key of the server's file as an environment variable, which goes before the file. Pure. */
import { readJson } from './configuration/json-document.ts';
import { prepare } from './configuration/prepare.ts';
import type { Path } from './configuration/problem.ts';
import type { Surroundings } from './configuration/references.ts';

interface Variable {
  readonly name: string;
  readonly path: readonly string[];
  readonly kind: 'text' | 'number' | 'json';
}

const variable = (name: string, path: string, kind: Variable['kind'] = 'text'): Variable => ({
  name,
  path: path.split('.'),
  kind,
});

export const SERVER_VARIABLES: readonly Variable[] = [
  variable('FOREBAY_TEMPORAL_ADDRESS', 'etl.temporal.address'),
  variable('FOREBAY_TEMPORAL_NAMESPACE', 'etl.temporal.namespace'),
  variable('FOREBAY_TEMPORAL_TASK_QUEUE', 'etl.temporal.task_queue'),
  variable('FOREBAY_TEMPORAL_TLS', 'etl.temporal.tls', 'json'),
  variable('FOREBAY_TEMPORAL_API_KEY', 'etl.temporal.api_key'),
  variable(
    'FOREBAY_WORKERS_MAX_CONCURRENT_ACTIVITIES',
    'etl.workers.max_concurrent_activities',
    'number',
  ),
  variable('FOREBAY_WORKERS_ACTIVITY_TIMEOUT', 'etl.workers.activity_timeout'),
  variable('FOREBAY_RETRY_MAX_ATTEMPTS', 'etl.retry.max_attempts', 'number'),
  variable('FOREBAY_RETRY_INITIAL_INTERVAL', 'etl.retry.initial_interval'),
  variable('FOREBAY_RETRY_MAX_INTERVAL', 'etl.retry.max_interval'),
  variable('FOREBAY_RETRY_BACKOFF_COEFFICIENT', 'etl.retry.backoff_coefficient', 'number'),
  variable('FOREBAY_EGRESS', 'egress'),
  variable('FOREBAY_FILE_ROOTS', 'file_roots', 'json'),
  variable('FOREBAY_EVENTS', 'events', 'json'),
];

/** Which variable gave the value at a path. */
export function variableOf(path: Path, given: ReadonlySet<string>): string | null {
  const found = SERVER_VARIABLES.find(
    (one) => given.has(one.name) && one.path.every((part, index) => path[index] === part),
  );
  return found?.name ?? null;
}

export interface FromEnvironment {
  readonly tree: unknown;
  /** Names of the variables that were set. */
  readonly given: ReadonlySet<string>;
  readonly problems: readonly string[];
}

function withValue(tree: unknown, [head, ...rest]: readonly string[], value: unknown): unknown {
  if (head === undefined) return value;
  const members = typeof tree === 'object' && tree !== null && !Array.isArray(tree) ? tree : {};
  const inner: unknown = Object.entries(members).find(([key]) => key === head)?.[1];
  return { ...members, [head]: withValue(inner, rest, value) };
}

function readList(
  name: string,
  text: string,
  surroundings: Surroundings,
): { readonly value: unknown; readonly problems: readonly string[] } {
  const { root, flaws } = readJson(text);
  if (root === null)
    return { value: [], problems: flaws.map(({ message }) => `${name}: ${message}`) };
  const { tree, violations, missing } = prepare(root, surroundings);
  const problems = [...violations, ...missing].map(
    ({ message, fix }) => `${name}: ${message} — ${fix}`,
  );
  return { value: tree, problems };
}

/** Lays what the environment gives over what the file holds. A variable that is empty is not set. */
export function overlay(tree: unknown, surroundings: Surroundings): FromEnvironment {
  let result = tree;
  const given = new Set<string>();
  const problems: string[] = [];
  for (const { name, path, kind } of SERVER_VARIABLES) {
    const value = surroundings.variable(name)?.trim() ?? '';
    if (value === '') continue;
    given.add(name);
    if (kind === 'json') {
      const list = readList(name, value, surroundings);
      problems.push(...list.problems);
      result = withValue(result, path, list.value);
    } else {
      // What is no number stays a text, which the schema refuses.
      const isNumber = kind === 'number' && /^\d+(?:\.\d+)?$/.test(value);
      result = withValue(result, path, isNumber ? Number(value) : value);
    }
  }
  return { tree: result, given, problems };
}

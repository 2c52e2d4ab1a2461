/** Splits what a connection is configured with into what may be shown and what may not. Pure. */
import {
  connectorConfiguration,
  type ConnectorType,
  doubledFields,
  missingFields,
} from './schemas/connectors.ts';
import { fieldError } from './problem.ts';
import { readPart } from './read-request.ts';

export interface SplitConfig {
  /** As it is stored and shown: null stands where a secret is. */
  readonly shown: Readonly<Record<string, unknown>>;
  /** To be sealed; null takes one away that was there. */
  readonly secrets: Readonly<Record<string, string | null>>;
}

const CONNECTION_STRING = 'connection_string';

/** Secrets that stay although they are not sent again. */
function keptSecrets(stored: ReadonlySet<string>, given: ReadonlySet<string>): Set<string> {
  if (given.has(CONNECTION_STRING)) return new Set();
  return new Set([...stored].filter((name) => name !== CONNECTION_STRING || given.size === 0));
}

/**
 * `stored` names the secrets that there are. One that is left out or null stays, one that is the empty text goes. A
 * connection string that is given takes the place of all other fields' secrets, and the other way round.
 */
export function splitConfig(
  type: ConnectorType,
  config: Readonly<Record<string, unknown>>,
  stored: ReadonlySet<string>,
): SplitConfig {
  const { schema, secretNames, fieldNames } = connectorConfiguration(type);
  const isCleared = (name: string): boolean => secretNames.has(name) && config[name] === '';
  const sent = Object.entries(config).filter(
    ([name, value]) => !isCleared(name) && (value !== null || !fieldNames.includes(name)),
  );
  const read = readPart('body', schema, Object.fromEntries(sent), ['config']) as Readonly<
    Record<string, unknown>
  >;
  const given = new Set(Object.keys(read));
  const kept = [...keptSecrets(stored, given)].filter((name) => !isCleared(name));
  const all = new Set([...given, ...kept]);
  const [missing] = missingFields(type, all);
  if (missing !== undefined) throw fieldError('body', `/config/${missing}`, 'is missing');
  const [doubled] = doubledFields(all);
  if (doubled !== undefined) {
    throw fieldError('body', `/config/${doubled}`, 'is said by connection_string already');
  }
  const secretsNow = [...all].filter((name) => secretNames.has(name));
  const plain = [...given].filter((name) => !secretNames.has(name));
  return {
    shown: Object.fromEntries([
      ...plain.map((name) => [name, read[name]] as const),
      ...secretsNow.map((name) => [name, null] as const),
    ]),
    secrets: Object.fromEntries([
      ...[...given]
        .filter((name) => secretNames.has(name))
        .map((name) => [name, String(read[name])]),
      ...[...stored].filter((name) => !all.has(name)).map((name) => [name, null]),
    ]) as Record<string, string | null>,
  };
}

/** Names of the secrets of a configuration as it is stored. */
export function storedSecrets(shown: Readonly<Record<string, unknown>>): Set<string> {
  return new Set(Object.keys(shown).filter((name) => shown[name] === null));
}

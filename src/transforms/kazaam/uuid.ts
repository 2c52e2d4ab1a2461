import { createHash, randomUUID } from 'node:crypto';

import { KazaamFailure, missingPath } from './failure.ts';
import { isObject } from './go-values.ts';
import { type Apply, asObject, type CompileOperation, failing, type Source } from './operation.ts';

/** RFC 9562, 6.6. */
const NAMESPACES: Readonly<Record<string, string>> = {
  DNS: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
  URL: '6ba7b811-9dad-11d1-80b4-00c04fd430c8',
  OID: '6ba7b812-9dad-11d1-80b4-00c04fd430c8',
  X500: '6ba7b814-9dad-11d1-80b4-00c04fd430c8',
};

const CANONICAL = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

/** Plain, without hyphens, in braces or as a URN; null for anything else. */
function bytesOf(text: string): Buffer | null {
  const full = Object.hasOwn(NAMESPACES, text) ? (NAMESPACES[text] ?? '') : text;
  const plain = /^\{(.*)\}$/.exec(full)?.[1] ?? /^urn:uuid:(.*)$/.exec(full)?.[1] ?? full;
  if (!CANONICAL.test(plain) && !/^[\da-f]{32}$/i.test(plain)) return null;
  return Buffer.from(plain.replaceAll('-', ''), 'hex');
}

/** RFC 9562, 5.3 and 5.5: the hash of namespace and name with version and variant written over it. */
function named(version: 3 | 5, namespace: Buffer, name: string): Buffer {
  const hash = createHash(version === 3 ? 'md5' : 'sha1');
  const bytes = hash.update(namespace).update(name).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | (version << 4), 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes;
}

function hyphened(bytes: Buffer): string {
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

interface NameSource {
  readonly source: Source;
  readonly fallback: unknown;
}

/** The text at the path without its quotes; one that cannot be read for another reason than absence is empty. */
function nameOf(text: string, { source, fallback }: NameSource): string {
  try {
    const json = source.get(text, true);
    if (json === null) throw missingPath();
    return json.replace(/"$/, '').replace(/^"/, '');
  } catch (error) {
    if (!(error instanceof KazaamFailure) || error.kind === 'undefined') throw error;
    if (error.kind !== 'require') return '';
    if (typeof fallback === 'string') return fallback;
    throw new KazaamFailure('spec', 'Spec is invalid. Unable to get path or default');
  }
}

function idMaker(settings: unknown, from: (path: string) => Source): Apply {
  const fail = (message: string) => failing(() => new KazaamFailure('spec', message));
  if (!isObject(settings)) return fail('Invalid Spec for UUID');
  const version = typeof settings['version'] === 'number' ? Math.trunc(settings['version']) : 0;
  if (version === 4) return () => randomUUID();
  if (version !== 3 && version !== 5) return fail('Please set version 3 || 4 || 5');
  if (!Object.hasOwn(settings, 'names')) return fail('Must provide names field');
  const { namespace, names } = settings;
  if (typeof namespace !== 'string') return fail('Must provide `namespace` as a string');
  if (!Array.isArray(names)) return fail('Spec is invalid. `Names` field must be an array.');
  const root = bytesOf(namespace);
  if (root === null) {
    return fail('Namespace is not a valid UUID or is not DNS, URL, OID, X500');
  }
  const sources = names.map((one): NameSource => {
    const { path, default: fallback } = asObject(one, 'a name');
    return { source: from(typeof path === 'string' ? path : ''), fallback };
  });
  return (text) =>
    hyphened(sources.reduce((space, source) => named(version, space, nameOf(text, source)), root));
}

export const uuid: CompileOperation = ({ entries, place, source }) => {
  const steps = Object.entries(entries).map(([path, settings]) => ({
    target: place(path),
    make: idMaker(settings, source),
  }));
  return (text) => steps.reduce((out, { target, make }) => target.set(out, `"${make(out)}"`), text);
};

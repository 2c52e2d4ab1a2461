/** Everything that can be said about a configuration file. Pure. */
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { offsetOf, toProblem } from './document.ts';
import { byPlace, type Problem, type Violation } from './problem.ts';
import { readDocument } from './read-document.ts';
import type { Surroundings } from './references.ts';
import type { CheckSpecification } from './rules-entries.ts';
import type { Configuration } from './schema.ts';
import { validate } from './validate.ts';

export interface LoadedConfiguration {
  readonly configuration: Configuration;
  /** SHA-256 of the file, hexadecimal. */
  readonly hash: string;
  /** Of what references and named files hold, by name; tells in this process whether one changed. */
  readonly digests: ReadonlyMap<string, string>;
  readonly surroundings: Surroundings;
  /** Where in the file something is wrong, for what comes to light later. */
  readonly locate: (violation: Violation) => Problem;
}

export interface Inspection {
  readonly file: string;
  readonly loaded: LoadedConfiguration | null;
  readonly problems: readonly Problem[];
  /** References and paths that lead nowhere here and now. */
  readonly missing: readonly Problem[];
  readonly counts: { readonly streams: number; readonly transformations: number };
}

/** Without it a short password could be guessed from its digest. */
const DIGEST_KEY = randomBytes(32);

function digestsOf(values: ReadonlyMap<string, string | null>): ReadonlyMap<string, string> {
  const digest = (value: string): string =>
    createHmac('sha256', DIGEST_KEY).update(value).digest('base64');
  return new Map([...values].map(([name, value]) => [name, value === null ? '' : digest(value)]));
}

export const NO_COUNTS = { streams: 0, transformations: 0 };

export interface Inspected {
  /** As the user named it, for messages. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly surroundings: Surroundings;
  readonly check: CheckSpecification;
}

export function inspectBytes({ file, bytes, surroundings, check }: Inspected): Inspection {
  const document = readDocument(file, bytes);
  if (document.root === null) {
    return { file, loaded: null, problems: document.problems, missing: [], counts: NO_COUNTS };
  }
  const { root, placeOf } = document;
  const { configuration, values, counts, ...found } = validate(root, surroundings, check);
  const locate = (violation: Violation): Problem =>
    toProblem(file, placeOf(offsetOf(root, violation)), violation);
  const digests = digestsOf(values);
  const hash = createHash('sha256').update(bytes).digest('hex');
  return {
    file,
    loaded: configuration === null ? null : { configuration, hash, digests, surroundings, locate },
    problems: found.violations.map(locate).sort(byPlace),
    missing: found.missing.map(locate).sort(byPlace),
    counts,
  };
}

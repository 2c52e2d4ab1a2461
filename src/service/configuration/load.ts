/** Reads a configuration file, with all its problems at once. Opens no connection. */
import { readFileSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { toProblem } from './document.ts';
import { inspectBytes, type Inspection, type LoadedConfiguration, NO_COUNTS } from './inspect.ts';
import { byPlace, type Problem } from './problem.ts';
import type { FileText, Surroundings } from './references.ts';
import type { CheckSpecification } from './rules-entries.ts';
import { MAX_FILE_BYTES } from './text.ts';

const MAX_REFERENCED_BYTES = 1024 * 1024;

export interface LoadOptions {
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Compilers of specifications; without it only their outer form is checked. */
  readonly checkSpecification?: CheckSpecification;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'it may not be read by this user',
  EPERM: 'it may not be read by this user',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
};

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return REASONS[code] ?? (code === '' ? String(error) : code);
}

export type ReadBytes =
  | { readonly bytes: Buffer }
  | {
      readonly rule: 'readable' | 'size';
      readonly reason: string;
      readonly isAbsent: boolean;
    };

const refused = (rule: 'readable' | 'size', reason: string, isAbsent = false): ReadBytes => ({
  rule,
  reason,
  isAbsent,
});

/** Nothing but an ordinary file is read: a pipe might never end. */
export function readBytes(path: string, maxBytes: number): ReadBytes {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return refused('readable', 'it is a folder');
    if (!stats.isFile()) return refused('readable', 'it is no ordinary file');
    if (stats.size > maxBytes) {
      return refused('size', `it is larger than ${maxBytes / 1024 / 1024} MiB`);
    }
    return { bytes: readFileSync(path) };
  } catch (error) {
    const reason = reasonOf(error);
    return refused('readable', reason, reason === REASONS['ENOENT']);
  }
}

/** Variables of the process and files from the folder of the configuration file. */
export function surroundingsOf(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Surroundings {
  const folder = dirname(resolve(file));
  return {
    folder,
    variable: (name) => environment[name],
    file: (path): FileText => {
      const read = readBytes(resolve(folder, path), MAX_REFERENCED_BYTES);
      return 'reason' in read ? read : { text: read.bytes.toString('utf8') };
    },
  };
}

function unreadable(file: string, rule: 'readable' | 'size', reason: string): Inspection {
  const problem = toProblem(
    file,
    { line: 1, column: 1 },
    {
      path: [],
      rule,
      message: `the file cannot be read: ${reason}`,
      fix:
        rule === 'size'
          ? 'Split it into several files, each run by a service of its own.'
          : 'Give the path of a readable YAML or JSON file.',
    },
  );
  return { file, loaded: null, problems: [problem], missing: [], counts: NO_COUNTS };
}

/** Everything that can be said about a file; what is missing around it is told apart. */
export function inspectConfiguration(file: string, options: LoadOptions = {}): Inspection {
  const read = readBytes(file, MAX_FILE_BYTES);
  if ('reason' in read) return unreadable(file, read.rule, read.reason);
  const surroundings = surroundingsOf(file, options.environment ?? process.env);
  const check = options.checkSpecification ?? (() => []);
  return inspectBytes({ file, bytes: read.bytes, surroundings, check });
}

export type LoadResult =
  | { readonly kind: 'loaded'; readonly loaded: LoadedConfiguration }
  | { readonly kind: 'refused'; readonly problems: readonly Problem[] };

/** The configuration if nothing is wrong with it and all that it refers to is there. */
export function loadConfiguration(file: string, options: LoadOptions = {}): LoadResult {
  const { loaded, problems, missing } = inspectConfiguration(file, options);
  const all = [...problems, ...missing].sort(byPlace);
  return loaded === null || all.length > 0
    ? { kind: 'refused', problems: all }
    : { kind: 'loaded', loaded };
}

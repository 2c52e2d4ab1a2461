/** Files of connections and pipelines as documents that know where they stand. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ForebayError } from '../../core/errors.ts';
import {
  type DocumentNode,
  nodeAt,
  offsetOf,
  placesOf,
  toProblem,
} from '../../service/configuration/document.ts';
import type { Path, Problem, Rule } from '../../service/configuration/problem.ts';
import { decodeText, MAX_FILE_BYTES } from '../../service/configuration/text.ts';
import { readYaml } from '../../service/configuration/yaml-document.ts';

export interface AppliedDocument {
  readonly file: string;
  /** Where relative paths of the document start. */
  readonly folder: string;
  readonly value: unknown;
  readonly problem: (path: Path, rule: Rule, texts: ProblemTexts) => Problem;
}

export interface ProblemTexts {
  readonly message: string;
  readonly fix: string;
}

export interface ReadFiles {
  readonly documents: readonly AppliedDocument[];
  readonly problems: readonly Problem[];
}

const YAML = /\.ya?ml$|\.json$/i;

export function plainValue(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plainValue);
  return Object.fromEntries(
    [...node.entries].map(([key, { node: member }]) => [key, plainValue(member)]),
  );
}

function documentAt(file: string, text: string, root: DocumentNode, above: Path): AppliedDocument {
  const placeOf = placesOf(text);
  return {
    file,
    folder: dirname(resolve(file)),
    value: plainValue(nodeAt(root, above) ?? root),
    problem: (path, rule, { message, fix }) => {
      const full = [...above, ...path];
      const place = placeOf(offsetOf(root, { path: full, at: 'value' }));
      return toProblem(file, place, { path: full, rule, message, fix });
    },
  };
}

/** One document, or a list of them. */
export function readText(file: string, text: string): ReadFiles {
  if (text.trim() === '') return { documents: [], problems: [] };
  const { root, flaws } = readYaml(text);
  const placeOf = placesOf(text);
  if (root === null) {
    const problems = flaws.map((flaw) => toProblem(file, placeOf(flaw.offset), flaw));
    return { documents: [], problems };
  }
  // Comments alone.
  if (root.kind === 'scalar' && root.value === null) return { documents: [], problems: [] };
  const paths: readonly Path[] =
    root.kind === 'list' ? root.items.map((_, index) => [index]) : [[]];
  return { documents: paths.map((path) => documentAt(file, text, root, path)), problems: [] };
}

function readFile(file: string): ReadFiles {
  const bytes = readFileSync(file);
  const placeOf = placesOf('');
  const flawed = (flaw: Parameters<typeof toProblem>[2]): ReadFiles => ({
    documents: [],
    problems: [toProblem(file, placeOf(0), flaw)],
  });
  if (bytes.length > MAX_FILE_BYTES) {
    const fix = 'Split it into several files.';
    return flawed({ path: [], rule: 'size', message: 'the file is larger than 16 MiB', fix });
  }
  const { text, flaw } = decodeText(bytes);
  return flaw === null ? readText(file, text) : flawed(flaw);
}

/** The files of a folder and of those below it, or the one file, by name. */
function filesOf(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && YAML.test(entry.name) && !entry.name.startsWith('.'))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

export function readFiles(paths: readonly string[]): ReadFiles {
  const read = paths.flatMap((path) => {
    try {
      const files = filesOf(path);
      if (files.length > 0) return files.map(readFile);
    } catch (error) {
      throw new ForebayError('usage', {
        message: `${path} cannot be read`,
        why: error instanceof Error ? error.message : String(error),
        fix: 'Name a file, or a folder with files that end in .yaml, .yml or .json.',
        cause: error,
      });
    }
    throw new ForebayError('usage', {
      message: `${path} holds no files to apply`,
      fix: 'Name a folder with files that end in .yaml, .yml or .json.',
    });
  });
  return {
    documents: read.flatMap(({ documents }) => documents),
    problems: read.flatMap(({ problems }) => problems),
  };
}

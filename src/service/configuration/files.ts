/** Files that a configuration names by their path. Pure. */
import type { Outline, Part } from './outline.ts';
import { listOf, partAt } from './outline.ts';
import type { Path, Violation } from './problem.ts';
import type { Surroundings } from './references.ts';

export const AUTHENTICATION_FILES = ['cert_file', 'key_file', 'ca_file', 'client_certificate'];

interface NamedFile {
  readonly path: Path;
  readonly file: string;
}

function filesOf(part: Part, fields: readonly string[], outline: Outline): NamedFile[] {
  return fields.flatMap((field) => {
    const path = [...part.path, field];
    const file = outline.textAt(path);
    return file === null ? [] : [{ path, file }];
  });
}

function modulesOf(transformation: Part, outline: Outline): NamedFile[] {
  const specification = partAt(transformation, 'specification');
  const steps = listOf(specification, 'steps').map((_, index) => ({
    path: [...specification.path, 'steps', index],
    fields: {},
  }));
  return [specification, ...steps].flatMap((part) => filesOf(part, ['module'], outline));
}

/** Files that cannot be read, and what every other one holds. */
export function lookAtFiles(
  outline: Outline,
  surroundings: Surroundings,
): { readonly missing: readonly Violation[]; readonly contents: ReadonlyMap<string, string> } {
  const named = [
    ...outline.authentication.flatMap((entry) =>
      filesOf(partAt(entry, 'config'), AUTHENTICATION_FILES, outline),
    ),
    ...outline.transformations.flatMap((transformation) => modulesOf(transformation, outline)),
  ];
  const contents = new Map<string, string>();
  const missing: Violation[] = [];
  for (const { path, file } of named) {
    const read = surroundings.file(file);
    if ('text' in read) {
      contents.set(file, read.text);
      continue;
    }
    missing.push({
      path,
      rule: 'file',
      message: `the file ${file} cannot be read: ${read.reason}`,
      fix: 'Correct the path (relative ones start at the folder of this file) or make the file readable.',
    });
  }
  return { missing, contents };
}

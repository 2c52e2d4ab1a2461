/** Files that a configuration names by their path. Pure. */
import type { Outline, Part } from './outline.ts';
import { partAt, partsOf, textOf } from './outline.ts';
import type { Path, Violation } from './problem.ts';
import type { Surroundings } from './references.ts';

export const AUTHENTICATION_FILES = ['cert_file', 'key_file', 'ca_file', 'client_certificate'];

interface NamedFile {
  readonly path: Path;
  /** As the configuration has it, perhaps with references. */
  readonly raw: string;
  readonly file: string;
}

function filesOf(part: Part, fields: readonly string[], outline: Outline): NamedFile[] {
  return fields.flatMap((field) => {
    const path = [...part.path, field];
    const raw = textOf(part, field);
    const file = outline.textAt(path);
    return file === null || raw === null ? [] : [{ path, raw, file }];
  });
}

function modulesOf(transformation: Part, outline: Outline): NamedFile[] {
  const specification = partAt(transformation, 'specification');
  const parts = [specification, ...partsOf(specification, 'steps')];
  return parts.flatMap((part) => filesOf(part, ['module'], outline));
}

/** Files that cannot be read, and what every other one holds, by what stands in the configuration. */
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
  for (const { path, raw, file } of named) {
    const read = surroundings.file(file);
    if ('text' in read) {
      contents.set(raw, read.text);
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

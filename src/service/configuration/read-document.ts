/** Bytes to a tree: YAML or JSON, by the file's name or by how it begins. Pure. */
import { extname } from 'node:path';
import { type DocumentNode, placesOf, type ReadDocument, toProblem } from './document.ts';
import { readJson } from './json-document.ts';
import { readPlainYaml } from './plain-yaml.ts';
import type { Place, Problem } from './problem.ts';
import { decodeText } from './text.ts';
import { readYaml } from './yaml-document.ts';

export type SourceDocument =
  | {
      readonly root: DocumentNode;
      readonly placeOf: (offset: number) => Place;
      readonly problems: readonly [];
    }
  | { readonly root: null; readonly problems: readonly Problem[] };

/** A file of this size was written by a program, and the general parser would take seconds. */
const LARGE_CHARACTERS = 256 * 1024;

function readText(file: string, text: string): ReadDocument {
  const isJson = extname(file).toLowerCase() === '.json';
  if (isJson) return readJson(text);
  // Much faster than as YAML; what is no JSON may still be YAML in braces.
  if (text.trimStart().startsWith('{')) {
    const json = readJson(text);
    if (json.root !== null) return json;
  }
  const plain = text.length < LARGE_CHARACTERS ? null : readPlainYaml(text);
  return plain === null ? readYaml(text) : { root: plain, flaws: [] };
}

interface Wording {
  readonly message: string;
  readonly fix: string;
}

/** What is said of a file that holds nothing, or no mapping. */
export interface RootWordings {
  readonly empty: Wording;
  readonly noMapping: Wording;
}

const STREAMS_FILE: RootWordings = {
  empty: {
    message: 'the file is empty',
    fix: 'Begin with version: "1" and streams:; examples/minimal.yaml shows the least.',
  },
  noMapping: {
    message: 'the file must hold a mapping of version, streams and so on',
    fix: 'Write name: value lines; examples/minimal.yaml shows the least.',
  },
};

/** An empty file breaks the rule `required`, one that holds something else than a mapping the rule `type`. */
export function readDocument(
  file: string,
  bytes: Uint8Array,
  wordings: RootWordings = STREAMS_FILE,
): SourceDocument {
  const empty = { path: [], rule: 'required', ...wordings.empty } as const;
  const noMapping = { path: [], rule: 'type', ...wordings.noMapping } as const;
  const { text, flaw } = decodeText(bytes);
  const placeOf = placesOf(text);
  if (flaw !== null) return { root: null, problems: [toProblem(file, placeOf(flaw.offset), flaw)] };
  if (text.trim() === '') return { root: null, problems: [toProblem(file, placeOf(0), empty)] };
  const { root, flaws } = readText(file, text);
  if (root === null) {
    return { root, problems: flaws.map((one) => toProblem(file, placeOf(one.offset), one)) };
  }
  if (root.kind === 'map' && root.entries.size > 0) return { root, placeOf, problems: [] };
  const isEmpty = root.kind === 'map' || (root.kind === 'scalar' && root.value === null);
  const problem = toProblem(file, placeOf(root.offset), isEmpty ? empty : noMapping);
  return { root: null, problems: [problem] };
}

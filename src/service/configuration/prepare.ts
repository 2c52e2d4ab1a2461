/** From the tree of the file to what the schema reads, with what references stand for. Pure. */
import type { DocumentNode } from './document.ts';
import { type Path, printPath, type Violation } from './problem.ts';
import {
  fillTemplate,
  type Lookup,
  lookUp,
  parseTemplate,
  printReference,
  type Reference,
  type Surroundings,
} from './references.ts';

export interface Prepared {
  /** Plain data; names that begin with `x-` and empty values are left out. */
  readonly tree: unknown;
  /** Texts in which references stand, filled in; null where one could not be. By printed path. */
  readonly filled: ReadonlyMap<string, string | null>;
  /** References that are written wrongly. */
  readonly violations: readonly Violation[];
  /** References to what is not there. */
  readonly missing: readonly Violation[];
  /** Every reference that was looked up with its value, null if it has none. By printed reference. */
  readonly values: ReadonlyMap<string, string | null>;
}

interface Preparation {
  readonly look: (reference: Reference) => Lookup;
  readonly filled: Map<string, string | null>;
  readonly violations: Violation[];
  readonly missing: Violation[];
}

/** These may be secret: they stay references until a stream starts. */
export function isLate(path: Path): boolean {
  const [list, , field, inner] = path;
  if (list === 'streams') return inner === 'connection_string';
  if (list === 'authentication') return field === 'config';
  if (list !== 'transformations') return false;
  return field === 'specification' || inner === 'dead_letter_destination';
}

function isInSpecification(path: Path): boolean {
  return path[0] === 'transformations' && path[2] === 'specification' && path.length > 3;
}

/** Codes and the version look like numbers and are texts: `08006` must not become 8006. */
function isWrittenText(path: Path): boolean {
  return path.at(-2) === 'permanent_error_codes' || (path.length === 1 && path[0] === 'version');
}

function prepareText(text: string, path: Path, state: Preparation): string {
  if (!text.includes('${')) return text;
  const inSpecification = isInSpecification(path);
  const template = parseTemplate(text, inSpecification ? 'known-kinds' : 'all');
  const filling = fillTemplate(template, state.look);
  const note = (list: Violation[], flaws: typeof filling.flaws): void => {
    for (const flaw of flaws) list.push({ path, rule: 'reference', ...flaw });
  };
  note(state.violations, template.flaws);
  note(state.missing, filling.flaws);
  const value = template.flaws.length > 0 ? null : filling.text;
  state.filled.set(printPath(path), value);
  return isLate(path) ? text : (value ?? text);
}

function prepareNode(node: DocumentNode, path: Path, state: Preparation): unknown {
  if (node.kind === 'list') {
    return node.items.map((item, index) => prepareNode(item, [...path, index], state));
  }
  if (node.kind === 'scalar') {
    const { value, source } = node;
    if (typeof value === 'number') return isWrittenText(path) ? (source ?? String(value)) : value;
    return typeof value === 'string' ? prepareText(value, path, state) : value;
  }
  const isFree = isInSpecification(path);
  const members: [string, unknown][] = [];
  for (const [key, { node: member }] of node.entries) {
    const isEmpty = member.kind === 'scalar' && member.value === null;
    if (!isFree && (key.startsWith('x-') || isEmpty)) continue;
    members.push([key, prepareNode(member, [...path, key], state)]);
  }
  // Unlike assignment it makes even `__proto__` an ordinary member.
  return Object.fromEntries(members);
}

export function prepare(root: DocumentNode, surroundings: Surroundings): Prepared {
  const values = new Map<string, string | null>();
  const known = new Map<string, Lookup>();
  const state: Preparation = {
    look: (reference) => {
      const name = printReference(reference);
      const lookup = known.get(name) ?? lookUp(reference, surroundings);
      known.set(name, lookup);
      values.set(name, lookup.value);
      return lookup;
    },
    filled: new Map(),
    violations: [],
    missing: [],
  };
  const tree = prepareNode(root, [], state);
  const { filled, violations, missing } = state;
  return { tree, filled, violations, missing, values };
}

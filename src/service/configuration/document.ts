/** A file as a tree that knows where each part stands, the same for YAML and JSON. Pure. */
import type { Path, Place, Problem, Violation } from './problem.ts';
import { printPath } from './problem.ts';

export interface MapEntry {
  readonly keyOffset: number;
  readonly node: DocumentNode;
}

export type DocumentNode =
  | {
      readonly kind: 'map';
      readonly offset: number;
      readonly entries: ReadonlyMap<string, MapEntry>;
    }
  | { readonly kind: 'list'; readonly offset: number; readonly items: readonly DocumentNode[] }
  | {
      readonly kind: 'scalar';
      readonly offset: number;
      readonly value: string | number | boolean | null;
      /** Of a number as it was written: `08006` is more than 8006. */
      readonly source: string | null;
    };

/** What a reader found instead of a tree. */
export interface Flaw {
  readonly offset: number;
  readonly path: Path;
  readonly rule: Problem['rule'];
  readonly message: string;
  readonly fix: string;
}

export type ReadDocument =
  | { readonly root: DocumentNode; readonly flaws: readonly [] }
  | { readonly root: null; readonly flaws: readonly Flaw[] };

export const MAX_DEPTH = 64;

/** Lines and columns of offsets in a text. */
export function placesOf(text: string): (offset: number) => Place {
  const starts = [0];
  for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', end + 1)) {
    starts.push(end + 1);
  }
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/**
 * Offset of what a violation points at. What is not there is pointed at through the nearest thing around it:
 * the name of the mapping that lacks it, or the beginning of the list item.
 */
export function offsetOf(root: DocumentNode, violation: Pick<Violation, 'path' | 'at'>): number {
  let node = root;
  let key = root.offset;
  for (const part of violation.path) {
    if (node.kind === 'map' && typeof part === 'string') {
      const entry = node.entries.get(part);
      if (entry === undefined) return key;
      key = entry.keyOffset;
      node = entry.node;
    } else if (node.kind === 'list' && typeof part === 'number') {
      const item = node.items[part];
      if (item === undefined) return key;
      key = item.offset;
      node = item;
    } else {
      return key;
    }
  }
  return violation.at === 'key' ? key : node.offset;
}

export function nodeAt(root: DocumentNode, path: Path): DocumentNode | null {
  let node: DocumentNode | undefined = root;
  for (const part of path) {
    if (node.kind === 'map' && typeof part === 'string') node = node.entries.get(part)?.node;
    else if (node.kind === 'list' && typeof part === 'number') node = node.items[part];
    else return null;
    if (node === undefined) return null;
  }
  return node;
}

export function toProblem(
  file: string,
  place: Place,
  { path, rule, message, fix }: Pick<Violation, 'path' | 'rule' | 'message' | 'fix'>,
): Problem {
  return {
    file,
    line: place.line,
    column: place.column,
    path: printPath(path),
    rule,
    message,
    fix,
  };
}

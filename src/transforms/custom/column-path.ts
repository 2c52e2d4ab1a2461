/** Where a value is in a document: `a.b`, `a["b c"]`, `a[0]`, `a[*]` (each element). */
import type { JsonObject, JsonValue } from '../json/value.ts';

export type Step =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'each' };
export type ColumnPath = readonly Step[];

const STEP =
  /(?:^|\.)(?<name>[^.[\]"']+)|(?:^|\.)"(?<quoted>(?:[^"]|"")+)"|\["(?<key>(?:[^"]|"")+)"\]|\['(?<other>(?:[^']|'')+)'\]|\[(?<index>[0-9]{1,9})\]|\[(?<each>\*)\]/y;

/** Null: no path. */
export function parseColumnPath(text: string): ColumnPath | null {
  const steps: Step[] = [];
  let at = 0;
  while (at < text.length) {
    STEP.lastIndex = at;
    const match = STEP.exec(text);
    if (match === null) return null;
    steps.push(stepOf(match.groups ?? {}));
    at += match[0].length;
  }
  return steps[0]?.kind === 'key' ? steps : null;
}

function stepOf(groups: Readonly<Record<string, string | undefined>>): Step {
  if (groups['each'] !== undefined) return { kind: 'each' };
  if (groups['index'] !== undefined) return { kind: 'index', index: Number(groups['index']) };
  if (groups['other'] !== undefined) {
    return { kind: 'key', key: groups['other'].replaceAll("''", "'") };
  }
  const quoted = groups['quoted'] ?? groups['key'];
  return { kind: 'key', key: quoted?.replaceAll('""', '"') ?? groups['name'] ?? '' };
}

/** What to put in a value's place; undefined takes it out. */
export type Change = (value: JsonValue) => JsonValue | undefined;

/**
 * Changes every value the path leads to; where there is none, nothing. `through`: a key asked of an array
 * is asked of each of its elements.
 */
export function changeAt(root: JsonValue, path: ColumnPath, change: Change, through = false): void {
  const [step, ...rest] = path;
  if (step === undefined) return;
  if (step.kind === 'key' && root instanceof Map) {
    const value = root.get(step.key);
    if (value === undefined) return;
    if (rest.length > 0) return changeAt(value, rest, change, through);
    const changed = change(value);
    if (changed === undefined) root.delete(step.key);
    else root.set(step.key, changed);
    return;
  }
  if (!Array.isArray(root)) return;
  if (step.kind === 'key') {
    if (through) for (const element of root) changeAt(element, path, change, through);
    return;
  }
  const indexes = step.kind === 'each' ? [...root.keys()] : [step.index];
  // From the end, so that what is taken out moves none that is still to come.
  for (const index of indexes.toReversed()) changeElement(root, index, { rest, change, through });
}

function changeElement(
  array: JsonValue[],
  index: number,
  { rest, change, through }: { rest: ColumnPath; change: Change; through: boolean },
): void {
  const value = array[index];
  if (value === undefined) return;
  if (rest.length > 0) return changeAt(value, rest, change, through);
  const changed = change(value);
  if (changed === undefined) array.splice(index, 1);
  else array[index] = changed;
}

/** Takes a value out; undefined where there is none. The path has keys only. */
export function takeAt(root: JsonObject, path: ColumnPath): JsonValue | undefined {
  let taken: JsonValue | undefined;
  changeAt(root, path, (value) => {
    taken = value;
    return undefined;
  });
  return taken;
}

/**
 * Puts a value where the path leads, making objects on the way where there is nothing or null, and adding
 * to an array at its end. False: something else is in the way. The path has no `[*]`.
 */
export function putAt(root: JsonObject, path: ColumnPath, value: JsonValue): boolean {
  let container: JsonValue = root;
  for (const [at, step] of path.entries()) {
    const last = at === path.length - 1;
    const next: JsonValue = last ? value : (childOf(container, step) ?? new Map());
    if (step.kind === 'key' && container instanceof Map) container.set(step.key, next);
    else if (step.kind === 'index' && Array.isArray(container) && step.index <= container.length) {
      container[step.index] = next;
    } else return false;
    container = next;
  }
  return true;
}

function childOf(container: JsonValue, step: Step): JsonValue | undefined {
  if (step.kind === 'key') return container instanceof Map ? container.get(step.key) : undefined;
  return step.kind === 'index' && Array.isArray(container) ? container[step.index] : undefined;
}

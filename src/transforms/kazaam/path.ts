/**
 * Paths of a specification: parts between separators, each a key or a key with one index in brackets. A bare
 * `[0]` is an index too. What follows a second bracket is not read by upstream; strict refuses nothing either,
 * it takes every bracket as a level.
 */
import { deleteKeys, find, type Rules, setKeys } from './edit.ts';
import { KazaamFailure, keyPathNotFound, missingPath } from './failure.ts';
import { wholeNumber } from './search.ts';
import { elementsAt, MALFORMED_ARRAY, nextToken, OPEN_ARRAY, slices } from './text.ts';

type Tail =
  | { readonly kind: 'end' }
  | { readonly kind: 'invalid'; readonly index: string }
  /** `[*]`: the keys name an array, `rest` is looked for in each element. */
  | { readonly kind: 'each'; readonly rest: Path | null };

export interface Path {
  readonly keys: readonly string[];
  readonly tail: Tail;
}

const PART = /([^[\]]+)\[([^\n]*?)\]/;
const FURTHER = /^\[([^\n]*?)\]/;

interface Part {
  readonly name: string;
  readonly indexes: readonly string[];
}

function readPart(text: string, strict: boolean): Part {
  const found = PART.exec(text);
  if (found === null) return { name: text, indexes: [] };
  const [all, name = '', index = ''] = found;
  const indexes = [index];
  if (strict) {
    let rest = text.slice(found.index + all.length);
    for (let more = FURTHER.exec(rest); more !== null; more = FURTHER.exec(rest)) {
      indexes.push(more[1] ?? '');
      rest = rest.slice(more[0].length);
    }
  }
  return { name, indexes };
}

function isIndex(text: string): boolean {
  return ['*', '+', '-'].includes(text) || (wholeNumber(text) ?? -1) >= 0;
}

export function readPath(text: string, separator: string, strict: boolean): Path {
  const parts = text.split(separator).map((part) => readPart(part, strict));
  const keys: string[] = [];
  for (const [at, { name, indexes }] of parts.entries()) {
    keys.push(name);
    for (const [nth, index] of indexes.entries()) {
      if (!isIndex(index)) return { keys, tail: { kind: 'invalid', index } };
      if (index !== '*') keys.push(`[${index}]`);
      else {
        const further = indexes
          .slice(nth + 1)
          .map((one) => `[${one}]`)
          .join('');
        const rest = text
          .split(separator)
          .slice(at + 1)
          .join(separator);
        const inner = further === '' || rest === '' ? further + rest : further + separator + rest;
        const path = inner === '' ? null : readPath(inner, separator, strict);
        return { keys, tail: { kind: 'each', rest: path } };
      }
    }
  }
  return { keys, tail: { kind: 'end' } };
}

const invalidIndex = (index: string): KazaamFailure =>
  new KazaamFailure('parse', `Warn: Unable to coerce index to integer: ${index}`);

function elementsOf(text: string, keys: readonly string[], rules: Rules): string[] | null {
  const at = rules.search(text, keys);
  if (at === -1) return null;
  const open = nextToken(text, at);
  const { spans, fault } =
    text.charCodeAt(open) === OPEN_ARRAY
      ? elementsAt(text, open)
      : { spans: [], fault: MALFORMED_ARRAY };
  if (fault !== null) throw new KazaamFailure('raw', fault);
  return slices(text, spans);
}

/** Called with a value that a path leads to, null for one that is missing; says what is to stand in its place. */
type Visit = (json: string | null) => string | null;

/** A visit that answers null leaves out the whole. */
export function walkPath(text: string, path: Path, rules: Rules, visit: Visit): string | null {
  const { keys, tail } = path;
  if (tail.kind === 'invalid') throw invalidIndex(tail.index);
  if (tail.kind === 'end') {
    const found = find(text, keys, rules.search);
    return visit(found === null ? null : text.slice(found.from, found.to));
  }
  const elements = elementsOf(text, keys, rules);
  if (elements === null) {
    const instead = visit(null);
    return instead === 'null' ? '[]' : instead;
  }
  const { rest } = tail;
  const values = elements.map((element) =>
    rest === null ? visit(element) : walkPath(element, rest, rules, visit),
  );
  return values.includes(null) ? null : `[${values.join(',')}]`;
}

/** The text of the value, `null` where there is none and none is required. */
export function getPath(text: string, path: Path, required: boolean, rules: Rules): string {
  const value = walkPath(text, path, rules, (json) => {
    if (json === null && required) throw missingPath();
    return json ?? 'null';
  });
  return value ?? 'null';
}

export function setPath(text: string, value: string, path: Path, rules: Rules): string {
  const { keys, tail } = path;
  if (tail.kind === 'invalid') throw invalidIndex(tail.index);
  if (tail.kind === 'end') return setKeys(text, value, keys, rules);
  const elements = elementsOf(text, keys, rules);
  if (elements === null) throw keyPathNotFound();
  let changed = text;
  for (let i = 0; i < elements.length; i += 1) {
    const rest = tail.rest ?? { keys: [], tail: { kind: 'end' } };
    const one = { keys: [...keys, `[${i}]`, ...rest.keys], tail: rest.tail };
    changed = setPath(changed, value, one, rules);
  }
  return changed;
}

export function deletePath(text: string, path: Path, required: boolean, rules: Rules): string {
  const { keys, tail } = path;
  if (tail.kind === 'invalid') throw invalidIndex(tail.index);
  if (tail.kind === 'each') {
    throw new KazaamFailure('spec', 'Array wildcard not supported for this operation.');
  }
  if (required && find(text, keys, rules.search) === null) throw missingPath();
  return deleteKeys(text, keys, rules);
}

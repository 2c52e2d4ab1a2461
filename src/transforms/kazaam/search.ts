/**
 * Where a path leads in JSON text. `searchLoosely` finds what qntfy/jsonparser v1.0.2 finds, also where that
 * is not what the path says: a key whose value is an array lets the search go on inside the next object.
 */
import { undefinedUpstream } from './failure.ts';
import {
  BACKSLASH,
  blockEnd,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  elementsAt,
  nextToken,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  stringEnd,
  valueAt,
} from './text.ts';
import { unescapeKey } from './unescape.ts';

/** The place where the value is to be looked for (after the colon, or the element itself), or -1. */
export type Search = (text: string, keys: readonly string[]) => number;

/** Go's strconv.Atoi; null where it fails. */
export function wholeNumber(text: string): number | null {
  if (!/^[+-]?\d+$/.test(text)) return null;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return BigInt.asIntN(64, value) === value ? Number(value) : null;
}

/** The index that `[i]` names; `+` and `-` count as 0. Null for what is no index. */
export function indexOfKey(key: string): number | null {
  if (key === '') throw undefinedUpstream('a path has an empty part');
  if (!key.startsWith('[') || !key.endsWith(']')) return null;
  const inner = key.slice(1, -1);
  if (inner === '+' || inner === '-') return 0;
  const index = wholeNumber(inner);
  return index !== null && index >= 0 ? index : null;
}

/** The text of a key, its escapes read; null where they cannot be. */
function keyText(text: string, from: number, to: number): string | null {
  const raw = text.slice(from, to);
  for (let i = from; i < to; i += 1) {
    if (text.charCodeAt(i) === BACKSLASH) return unescapeKey(raw);
  }
  return raw;
}

function searchElement(search: Search, text: string, at: number, keys: readonly string[]): number {
  const [key = '', ...rest] = keys;
  if (key.length < 2) throw undefinedUpstream('a path has a lone bracket as part');
  const index = wholeNumber(key.slice(1, -1));
  if (index === null || index < 0) return -1;
  const { spans } = elementsAt(text, at, index + 1);
  const from = spans[2 * index];
  if (from === undefined) return -1;
  const found = search(text.slice(from, spans[2 * index + 1]), rest);
  return found < 0 ? -1 : from + found;
}

function beginsWithBracket(key: string | undefined): boolean {
  if (key === '') throw undefinedUpstream('a path has an empty part');
  return key?.startsWith('[') === true;
}

function opensBlock(text: string, at: number): boolean {
  const code = text.charCodeAt(nextToken(text, at));
  return code === OPEN_OBJECT || code === OPEN_ARRAY;
}

export const searchLoosely: Search = (text, keys) => {
  if (keys.length === 0) return 0;
  let level = 0;
  let matched = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const begin = i + 1;
      const end = stringEnd(text, begin);
      if (end === -1) return -1;
      i = nextToken(text, end);
      if (i === -1) return -1;
      if (text.charCodeAt(i) !== COLON || matched !== level - 1) {
        i -= 1;
        continue;
      }
      const key = keyText(text, begin, end - 1);
      if (key === null) return -1;
      if (key !== keys[matched]) continue;
      matched += 1;
      if (matched === keys.length) return i + 1;
      if (!opensBlock(text, i + 1)) return -1;
    } else if (code === OPEN_OBJECT) level += 1;
    else if (code === CLOSE_OBJECT) {
      level -= 1;
      if (level === matched) matched -= 1;
    } else if (code === OPEN_ARRAY) {
      if (matched === level && beginsWithBracket(keys[level])) {
        return searchElement(searchLoosely, text, i, keys.slice(level));
      }
      const end = blockEnd(text, i);
      if (end === -1) return -1;
      i = end - 1;
    }
  }
  return -1;
};

/** Where the value of the first such key of an object begins, or -1. */
function memberAt(text: string, open: number, wanted: string): number {
  let i = nextToken(text, open + 1);
  while (text.charCodeAt(i) === QUOTE) {
    const end = stringEnd(text, i + 1);
    const key = keyText(text, i + 1, end - 1);
    const { from, to } = valueAt(text, nextToken(text, end) + 1);
    if (key === wanted) return from;
    i = nextToken(text, to);
    if (text.charCodeAt(i) !== COMMA) return -1;
    i = nextToken(text, i + 1);
  }
  return -1;
}

/** What the path says and nothing else; the text must be JSON. */
export const searchStrictly: Search = (text, keys) => {
  if (keys.length === 0) return 0;
  const [key = '', ...rest] = keys;
  const at = nextToken(text, 0);
  const code = text.charCodeAt(at);
  if (code === OPEN_ARRAY) {
    return indexOfKey(key) === null ? -1 : searchElement(searchStrictly, text, at, keys);
  }
  if (code !== OPEN_OBJECT) return -1;
  const from = memberAt(text, at, key);
  if (from === -1) return -1;
  const found = searchStrictly(text.slice(from, valueAt(text, from).to), rest);
  return found < 0 ? -1 : from + found;
};

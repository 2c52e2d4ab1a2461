/**
 * Sets and deletes values in JSON text; everything around them stays as it is written. The cases follow
 * qntfy/jsonparser v1.0.2, also those whose result is no JSON (a key put into an array, white space before a comma).
 */
import { KazaamFailure, keyPathNotFound, undefinedUpstream } from './failure.ts';
import { indexOfKey, type Search, wholeNumber } from './search.ts';
import {
  blockEnd,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  elementsAt,
  lastToken,
  nextToken,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  type Span,
  stringEnd,
  tokenEnd,
  valueAt,
} from './text.ts';
import { unescapeKey } from './unescape.ts';

/** How places are found and keys written: as upstream does, or so that JSON stays JSON. */
export interface Rules {
  readonly search: Search;
  readonly writeKey: (key: string) => string;
  readonly strict: boolean;
}

/** More nulls than this before an element are refused rather than written. */
const MOST_PADDING = 1_000_000;

export function find(text: string, keys: readonly string[], search: Search): Span | null {
  const at = search(text, keys);
  return at === -1 ? null : valueAt(text, at);
}

function nulls(count: number, one: string): string {
  if (count < 0) throw undefinedUpstream('an array is shorter than its elements');
  if (count > MOST_PADDING) throw undefinedUpstream('an array index is too large');
  return one.repeat(count);
}

/** The deepest value on the way that is there, and how many keys lead to it. */
function deepest(
  text: string,
  keys: readonly string[],
  search: Search,
): { readonly parent: Span | null; readonly depth: number } {
  let parent: Span | null = null;
  for (let depth = 0; depth < keys.length; depth += 1) {
    let deeper: Span | null = null;
    try {
      deeper = find(text, keys.slice(0, depth + 1), search);
    } catch (error) {
      // What an earlier operation has broken counts as not there.
      if (!(error instanceof KazaamFailure) || error.kind !== 'raw') throw error;
    }
    if (deeper === null) return { parent, depth };
    parent = deeper;
  }
  return { parent, depth: keys.length };
}

interface Surround {
  readonly before: string;
  readonly after: string;
  /** Whether a key that begins the piece needs an object of its own around it. */
  readonly braces: boolean;
}

function piece(keys: readonly string[], value: string, around: Surround, rules: Rules): string {
  let open = '';
  let close = '';
  keys.forEach((key, depth) => {
    const index = indexOfKey(key);
    if (index !== null) {
      open += `[${nulls(index, 'null,')}`;
      close = `]${close}`;
    } else {
      const braces = depth > 0 || around.braces;
      open += `${braces ? '{' : ''}"${rules.writeKey(key)}":`;
      if (braces) close = `}${close}`;
    }
  });
  return around.before + open + value + close + around.after;
}

const splice = (text: string, { from, to }: Span, inner: string): string =>
  text.slice(0, from) + inner + text.slice(to);

function setInRoot(text: string, value: string, keys: readonly string[], rules: Rules): string {
  const open = nextToken(text, 0);
  if (text.charCodeAt(open) !== OPEN_OBJECT) throw keyPathNotFound();
  if (rules.strict && indexOfKey(keys[0] ?? '') !== null) throw keyPathNotFound();
  const empty = text.charCodeAt(nextToken(text, open + 1)) === CLOSE_OBJECT;
  const end = lastToken(text);
  const around = { before: empty ? '' : ',', after: '', braces: false };
  return splice(text, { from: end, to: end }, piece(keys, value, around, rules));
}

function setInArray(
  text: string,
  parent: Span,
  rest: readonly string[],
  write: { readonly value: string; readonly rules: Rules },
): string {
  const [key = '', ...inner] = rest;
  const name = key.slice(1, -1);
  const index = wholeNumber(name);
  const array = text.slice(parent.from, parent.to);
  let at = 0;
  let before = ',';
  let after = '';
  if (index !== null) {
    const { spans } = elementsAt(array, 0);
    at = spans.at(-1) ?? 0;
    before = `${nulls(index - spans.length / 2, ',null')},`;
  } else if (name === '+') {
    const end = blockEnd(array, 0);
    at = end === -1 ? 0 : end - 1;
  } else {
    at = 1;
    before = '';
    after = ',';
  }
  const braces = inner[0] !== undefined && !inner[0].startsWith('[');
  const place = parent.from + at;
  const around = { before, after, braces };
  return splice(text, { from: place, to: place }, piece(inner, write.value, around, write.rules));
}

/** `keys` name at least one level; what is missing on the way is created. */
export function setKeys(
  text: string,
  value: string,
  keys: readonly string[],
  rules: Rules,
): string {
  const existing = find(text, keys, rules.search);
  if (existing !== null) return splice(text, existing, value);
  const { parent, depth } = deepest(text, keys, rules.search);
  if (parent === null) return setInRoot(text, value, keys, rules);
  const rest = keys.slice(depth);
  const kind = text.charCodeAt(parent.from);
  const first = text.charCodeAt(nextToken(text, parent.from + 1));
  const fits = !rules.strict || indexOfKey(rest[0] ?? '') === null;
  if (kind === OPEN_OBJECT && first !== CLOSE_OBJECT && fits) {
    const end = parent.to - 1;
    const around = { before: ',', after: '', braces: false };
    return splice(text, { from: end, to: end }, piece(rest, value, around, rules));
  }
  const isIndex = indexOfKey(rest[0] ?? '') !== null;
  if (kind === OPEN_ARRAY && first !== CLOSE_ARRAY && isIndex) {
    return setInArray(text, parent, rest, { value, rules });
  }
  return splice(text, parent, piece(rest, value, { before: '', after: '', braces: true }, rules));
}

/** The quote before the first such key of the object (or whatever value) in `text`, or -1. */
function keyStart(text: string, key: string): number {
  const first = text.charCodeAt(0);
  let i = first === OPEN_OBJECT || first === OPEN_ARRAY ? 1 : 0;
  for (; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const begin = i + 1;
      const end = stringEnd(text, begin);
      if (end === -1) {
        i = begin;
        continue;
      }
      i = end;
      const next = nextToken(text, end);
      if (next === -1) continue;
      i = next;
      const raw = text.slice(begin, end - 1);
      if (text.charCodeAt(i) !== COLON) continue;
      if ((raw.includes('\\') ? unescapeKey(raw) : raw) === key) return begin - 1;
    } else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      i = blockEnd(text, i);
      if (i === -1) throw undefinedUpstream('a key to delete stands before an open bracket');
    }
  }
  return -1;
}

/** The comma before `at`, or 0. */
function commaBefore(text: string, at: number): number {
  for (let i = at - 1; i >= 0; i -= 1) {
    const code = text.charCodeAt(i);
    if (code === COMMA) return i;
    if (code === OPEN_ARRAY || code === OPEN_OBJECT) return 0;
  }
  return 0;
}

/** Takes out a member or element, with the comma after it, or before it where it is the last. */
function cut(text: string, { from, to }: Span, closer: number, strict: boolean): string {
  if (to < 0) throw undefinedUpstream('a key to delete is written with escapes');
  const end = strict ? nextToken(text, to) : tokenEnd(text, to);
  if (end >= text.length) throw undefinedUpstream('a key to delete is no member');
  const code = text.charCodeAt(end);
  const comma = commaBefore(text, from);
  if (code === COMMA) return text.slice(0, from) + text.slice(end + 1);
  const isLast = code === closer && text.charCodeAt(comma) === COMMA;
  if (isLast) return text.slice(0, comma) + text.slice(to);
  return text.slice(0, from) + text.slice(to);
}

/** Like `find`; a value whose end cannot be found counts as empty. */
function findAnyhow(text: string, keys: readonly string[], search: Search): Span | null {
  const at = search(text, keys);
  if (at === -1) return null;
  try {
    return valueAt(text, at);
  } catch (error) {
    if (!(error instanceof KazaamFailure)) throw error;
    const from = Math.max(nextToken(text, at), at);
    return { from, to: from };
  }
}

export function deleteKeys(text: string, keys: readonly string[], rules: Rules): string {
  const last = keys.at(-1) ?? '';
  if (last.startsWith('[')) {
    const element = findAnyhow(text, keys, rules.search);
    return element === null ? text : cut(text, element, CLOSE_ARRAY, rules.strict);
  }
  const parents = keys.slice(0, -1);
  const parent =
    parents.length === 0 ? { from: 0, to: text.length } : findAnyhow(text, parents, rules.search);
  if (parent === null) return text;
  const inner = text.slice(parent.from, parent.to);
  // Upstream reads escapes in the key that is to go, but only in one of its two searches.
  const from = keyStart(inner, rules.strict ? last : (unescapeKey(last) ?? last));
  if (from === -1) return text;
  const member = findAnyhow(inner, [last], rules.search);
  const to = parent.from + (member === null ? -1 : member.to);
  return cut(text, { from: parent.from + from, to }, CLOSE_OBJECT, rules.strict);
}

/**
 * One pass over a document: is it JSON, and where are the values that a specification asks for. Whatever is
 * read differently by upstream than by everybody else (escaped or repeated keys on the way, a list where a key
 * was expected) is told as unusual and left to the slow way.
 */
import {
  BACKSLASH,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
} from './text.ts';

/** What is asked for at one place of a document. */
export interface Want {
  readonly id: number;
  /** Where the span of the value itself is put; -1 where only what is inside is asked for. */
  readonly slot: number;
  readonly members: readonly Member[];
  readonly elements: readonly (Want | null)[];
}

export interface Member {
  readonly key: string;
  readonly want: Want;
}

export interface Findings {
  /** Begin and end by slot; -1 for what is not there. */
  readonly spans: Int32Array;
  /** By id, in which round a place was come to last. */
  readonly visits: Int32Array;
  round: number;
  depth: number;
  escaped: boolean;
}

export function findings(slots: number, places: number): Findings {
  return {
    spans: new Int32Array(2 * slots),
    visits: new Int32Array(places),
    round: 0,
    depth: 0,
    escaped: false,
  };
}

const INVALID = -1;
const UNUSUAL = -2;
const MOST_DEPTH = 400;

function afterSpace(text: string, at: number): number {
  let i = at;
  let code = text.charCodeAt(i);
  while (code === 32 || code === 10 || code === 13 || code === 9) {
    i += 1;
    code = text.charCodeAt(i);
  }
  return i;
}

/** The place after an escape whose backslash is at `at`. */
function afterEscape(text: string, at: number): number {
  const code = text.charCodeAt(at + 1);
  if (code !== 117) return '"\\/bfnrt'.includes(text.charAt(at + 1)) ? at + 2 : INVALID;
  for (let i = at + 2; i < at + 6; i += 1) {
    const digit = text.charCodeAt(i) | 32;
    const isHex = (digit >= 48 && digit <= 57) || (digit >= 97 && digit <= 102);
    if (!isHex || text.charCodeAt(i) < 48) return INVALID;
  }
  return at + 6;
}

/** The place after the closing quote of the string whose first character is at `at`. */
function afterString(text: string, at: number, found: Findings): number {
  let i = at;
  for (;;) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH) {
      found.escaped = true;
      i = afterEscape(text, i);
      if (i < 0) return INVALID;
      // No number compares with what is past the end.
    } else if (code >= 32) i += 1;
    else return INVALID;
  }
}

function afterDigits(text: string, at: number): number {
  let i = at;
  let code = text.charCodeAt(i);
  while (code >= 48 && code <= 57) {
    i += 1;
    code = text.charCodeAt(i);
  }
  return i === at ? INVALID : i;
}

function afterNumber(text: string, at: number): number {
  let i = text.charCodeAt(at) === 45 ? at + 1 : at;
  i = text.charCodeAt(i) === 48 ? i + 1 : afterDigits(text, i);
  if (i > 0 && text.charCodeAt(i) === 46) i = afterDigits(text, i + 1);
  if (i > 0 && (text.charCodeAt(i) | 32) === 101) {
    const sign = text.charCodeAt(i + 1);
    i = afterDigits(text, sign === 43 || sign === 45 ? i + 2 : i + 1);
  }
  return i;
}

function afterWord(text: string, at: number, word: string): number {
  return text.startsWith(word, at) ? at + word.length : INVALID;
}

function memberFor(
  { members }: Want,
  text: string,
  from: number,
  to: number,
): Want | null {
  for (const { key, want } of members) {
    if (key.length === to - from && text.startsWith(key, from)) return want;
  }
  return null;
}

/** The first of several members with one key counts; a second with something wanted inside is unusual. */
function enter(want: Want, found: Findings): Want | null | undefined {
  if (found.visits[want.id] === found.round) {
    return want.members.length + want.elements.length > 0 ? undefined : null;
  }
  found.visits[want.id] = found.round;
  return want;
}

function afterObject(text: string, at: number, want: Want | null, found: Findings): number {
  if (want !== null && want.elements.length > 0) return UNUSUAL;
  let i = afterSpace(text, at + 1);
  if (text.charCodeAt(i) === CLOSE_OBJECT) return i + 1;
  found.depth += 1;
  if (found.depth > MOST_DEPTH) return UNUSUAL;
  for (;;) {
    if (text.charCodeAt(i) !== QUOTE) return INVALID;
    found.escaped = false;
    const keyEnd = afterString(text, i + 1, found);
    if (keyEnd < 0) return keyEnd;
    let inner: Want | null = null;
    if (want !== null) {
      if (found.escaped) return UNUSUAL;
      const member = memberFor(want, text, i + 1, keyEnd - 1);
      const entered = member === null ? null : enter(member, found);
      if (entered === undefined) return UNUSUAL;
      inner = entered;
    }
    i = afterSpace(text, keyEnd);
    if (text.charCodeAt(i) !== COLON) return INVALID;
    i = afterValue(text, afterSpace(text, i + 1), inner, found);
    if (i < 0) return i;
    i = afterSpace(text, i);
    const code = text.charCodeAt(i);
    if (code === CLOSE_OBJECT) break;
    if (code !== COMMA) return INVALID;
    i = afterSpace(text, i + 1);
  }
  found.depth -= 1;
  return i + 1;
}

function afterArray(text: string, at: number, want: Want | null, found: Findings): number {
  if (want !== null && want.members.length > 0) return UNUSUAL;
  let i = afterSpace(text, at + 1);
  if (text.charCodeAt(i) === CLOSE_ARRAY) return i + 1;
  found.depth += 1;
  if (found.depth > MOST_DEPTH) return UNUSUAL;
  for (let index = 0; ; index += 1) {
    i = afterValue(text, i, want?.elements[index] ?? null, found);
    if (i < 0) return i;
    i = afterSpace(text, i);
    const code = text.charCodeAt(i);
    if (code === CLOSE_ARRAY) break;
    if (code !== COMMA) return INVALID;
    i = afterSpace(text, i + 1);
  }
  found.depth -= 1;
  return i + 1;
}

function afterAny(text: string, at: number, want: Want | null, found: Findings): number {
  switch (text.charCodeAt(at)) {
    case QUOTE:
      return afterString(text, at + 1, found);
    case OPEN_OBJECT:
      return afterObject(text, at, want, found);
    case OPEN_ARRAY:
      return afterArray(text, at, want, found);
    case 116:
      return afterWord(text, at, 'true');
    case 102:
      return afterWord(text, at, 'false');
    case 110:
      return afterWord(text, at, 'null');
    default:
      return afterNumber(text, at);
  }
}

function afterValue(text: string, at: number, want: Want | null, found: Findings): number {
  const end = afterAny(text, at, want, found);
  if (want !== null && want.slot >= 0 && end >= 0) {
    found.spans[2 * want.slot] = at;
    found.spans[2 * want.slot + 1] = end;
  }
  return end;
}

/** Whether the text is JSON and nothing in it is unusual; the findings then have all that is wanted. */
export function scan(text: string, want: Want | null, found: Findings): boolean {
  found.round += 1;
  found.depth = 0;
  found.spans.fill(-1);
  const end = afterValue(text, afterSpace(text, 0), want, found);
  return end >= 0 && afterSpace(text, end) === text.length;
}

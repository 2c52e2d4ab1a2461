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
  /** Instead of single elements: what is asked for in every one. */
  readonly each: Each | null;
}

export interface Each {
  readonly want: Want;
  /** The slots and ids of all that is below. */
  readonly slots: readonly number[];
  readonly ids: readonly number[];
}

export interface Member {
  readonly key: string;
  readonly want: Want;
}

export interface Findings {
  /** Begin and end by slot; -1 for what is not there. */
  readonly spans: Int32Array;
  /** The same for slots below an `each`: a begin and an end for every element; null where there is no list. */
  readonly lists: (number[] | null)[];
  /** By id, in which round a place was come to last. */
  readonly visits: Int32Array;
  round: number;
  depth: number;
  escaped: boolean;
}

export function findings(slots: number, places: number): Findings {
  return {
    spans: new Int32Array(2 * slots),
    lists: Array.from({ length: slots }, () => null),
    visits: new Int32Array(places),
    round: 0,
    depth: 0,
    escaped: false,
  };
}

const INVALID = -1;
const UNUSUAL = -2;
const MOST_DEPTH = 400;

/** The UTF-16 code units of a text, with a zero behind them. An array is read faster than a string. */
type Codes = Uint16Array;

const SHORT_ESCAPES = new Set(Array.from('"\\/bfnrt', (letter) => letter.charCodeAt(0)));

let scratch = Buffer.alloc(0);
let scratchCodes: Codes = new Uint16Array(0);

function codesOf(text: string): Codes {
  if (scratchCodes.length <= text.length) {
    const memory = new ArrayBuffer(4 * (text.length + 1024));
    scratch = Buffer.from(memory);
    scratchCodes = new Uint16Array(memory);
  }
  scratch.write(text, 'utf16le');
  scratchCodes[text.length] = 0;
  return scratchCodes;
}

function codeAt(codes: Codes, at: number): number {
  return codes[at] ?? 0;
}

function afterSpace(codes: Codes, at: number): number {
  let i = at;
  let code = codeAt(codes, i);
  while (code === 32 || code === 10 || code === 13 || code === 9) {
    i += 1;
    code = codeAt(codes, i);
  }
  return i;
}

/** The place after an escape whose backslash is at `at`. */
function afterEscape(codes: Codes, at: number): number {
  const code = codeAt(codes, at + 1);
  if (code !== 117) return SHORT_ESCAPES.has(code) ? at + 2 : INVALID;
  for (let i = at + 2; i < at + 6; i += 1) {
    const digit = codeAt(codes, i) | 32;
    const isHex = (digit >= 48 && digit <= 57) || (digit >= 97 && digit <= 102);
    if (!isHex || codeAt(codes, i) < 48) return INVALID;
  }
  return at + 6;
}

/** The place after the closing quote of the string whose first character is at `at`. */
function afterString(codes: Codes, at: number, found: Findings): number {
  let i = at;
  for (;;) {
    const code = codeAt(codes, i);
    if (code === QUOTE) return i + 1;
    if (code === BACKSLASH) {
      found.escaped = true;
      i = afterEscape(codes, i);
      if (i < 0) return INVALID;
      // No number compares with what is past the end.
    } else if (code >= 32) i += 1;
    else return INVALID;
  }
}

function afterDigits(codes: Codes, at: number): number {
  let i = at;
  let code = codeAt(codes, i);
  while (code >= 48 && code <= 57) {
    i += 1;
    code = codeAt(codes, i);
  }
  return i === at ? INVALID : i;
}

function afterNumber(codes: Codes, at: number): number {
  let i = codeAt(codes, at) === 45 ? at + 1 : at;
  i = codeAt(codes, i) === 48 ? i + 1 : afterDigits(codes, i);
  if (i > 0 && codeAt(codes, i) === 46) i = afterDigits(codes, i + 1);
  if (i > 0 && (codeAt(codes, i) | 32) === 101) {
    const sign = codeAt(codes, i + 1);
    i = afterDigits(codes, sign === 43 || sign === 45 ? i + 2 : i + 1);
  }
  return i;
}

function isAt(codes: Codes, at: number, word: string): boolean {
  for (let i = 0; i < word.length; i += 1) {
    if (codeAt(codes, at + i) !== word.charCodeAt(i)) return false;
  }
  return true;
}

function afterWord(codes: Codes, at: number, word: string): number {
  return isAt(codes, at, word) ? at + word.length : INVALID;
}

function memberFor(
  { members }: Want,
  codes: Codes,
  from: number,
  to: number,
): Want | null {
  for (const { key, want } of members) {
    if (key.length === to - from && isAt(codes, from, key)) return want;
  }
  return null;
}

function hasInside({ members, elements, each }: Want): boolean {
  return members.length + elements.length > 0 || each !== null;
}

/** The first of several members with one key counts; a second with something wanted inside is unusual. */
function enter(want: Want, found: Findings): Want | null | undefined {
  if (found.visits[want.id] === found.round) {
    return hasInside(want) ? undefined : null;
  }
  found.visits[want.id] = found.round;
  return want;
}

function afterObject(codes: Codes, at: number, want: Want | null, found: Findings): number {
  if (want !== null && (want.elements.length > 0 || want.each !== null)) return UNUSUAL;
  let i = afterSpace(codes, at + 1);
  if (codeAt(codes, i) === CLOSE_OBJECT) return i + 1;
  found.depth += 1;
  if (found.depth > MOST_DEPTH) return UNUSUAL;
  for (;;) {
    if (codeAt(codes, i) !== QUOTE) return INVALID;
    found.escaped = false;
    const keyEnd = afterString(codes, i + 1, found);
    if (keyEnd < 0) return keyEnd;
    let inner: Want | null = null;
    if (want !== null) {
      if (found.escaped) return UNUSUAL;
      const member = memberFor(want, codes, i + 1, keyEnd - 1);
      const entered = member === null ? null : enter(member, found);
      if (entered === undefined) return UNUSUAL;
      inner = entered;
    }
    i = afterSpace(codes, keyEnd);
    if (codeAt(codes, i) !== COLON) return INVALID;
    i = afterValue(codes, afterSpace(codes, i + 1), inner, found);
    if (i < 0) return i;
    i = afterSpace(codes, i);
    const code = codeAt(codes, i);
    if (code === CLOSE_OBJECT) break;
    if (code !== COMMA) return INVALID;
    i = afterSpace(codes, i + 1);
  }
  found.depth -= 1;
  return i + 1;
}

/** An element of a list in which something is asked for in every one. */
function afterEach(codes: Codes, at: number, each: Each, found: Findings): number {
  for (const id of each.ids) found.visits[id] = 0;
  for (const slot of each.slots) found.spans[2 * slot] = -1;
  const end = afterValue(codes, at, each.want, found);
  for (const slot of each.slots) {
    found.lists[slot]?.push(found.spans[2 * slot] ?? -1, found.spans[2 * slot + 1] ?? -1);
  }
  return end;
}

function afterArray(codes: Codes, at: number, want: Want | null, found: Findings): number {
  if (want !== null && want.members.length > 0) return UNUSUAL;
  const each = want?.each ?? null;
  if (each !== null) for (const slot of each.slots) found.lists[slot] = [];
  let i = afterSpace(codes, at + 1);
  if (codeAt(codes, i) === CLOSE_ARRAY) return i + 1;
  found.depth += 1;
  if (found.depth > MOST_DEPTH) return UNUSUAL;
  for (let index = 0; ; index += 1) {
    i =
      each === null
        ? afterValue(codes, i, want?.elements[index] ?? null, found)
        : afterEach(codes, i, each, found);
    if (i < 0) return i;
    i = afterSpace(codes, i);
    const code = codeAt(codes, i);
    if (code === CLOSE_ARRAY) break;
    if (code !== COMMA) return INVALID;
    i = afterSpace(codes, i + 1);
  }
  found.depth -= 1;
  return i + 1;
}

function afterAny(codes: Codes, at: number, want: Want | null, found: Findings): number {
  switch (codeAt(codes, at)) {
    case QUOTE:
      return want !== null && want.each !== null ? UNUSUAL : afterString(codes, at + 1, found);
    case OPEN_OBJECT:
      return afterObject(codes, at, want, found);
    case OPEN_ARRAY:
      return afterArray(codes, at, want, found);
    default:
      return want !== null && want.each !== null ? UNUSUAL : afterScalar(codes, at);
  }
}

function afterScalar(codes: Codes, at: number): number {
  switch (codeAt(codes, at)) {
    case 116:
      return afterWord(codes, at, 'true');
    case 102:
      return afterWord(codes, at, 'false');
    case 110:
      return afterWord(codes, at, 'null');
    default:
      return afterNumber(codes, at);
  }
}

function afterValue(codes: Codes, at: number, want: Want | null, found: Findings): number {
  const end = afterAny(codes, at, want, found);
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
  found.lists.fill(null);
  const codes = codesOf(text);
  const end = afterValue(codes, afterSpace(codes, 0), want, found);
  return end >= 0 && afterSpace(codes, end) === text.length;
}

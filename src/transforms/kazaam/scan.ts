/**
 * One pass over the bytes of a document: is it JSON, and where are the values that a specification asks for.
 * What upstream reads differently than everybody else (escaped or repeated keys on the way, a list where a key
 * was expected) is left to the slow way, as are line ends inside a document and great depth.
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
  readonly key: Uint8Array;
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
  /** The place after the document that was scanned last. */
  end: number;
}

export function findings(slots: number, places: number): Findings {
  return {
    spans: new Int32Array(2 * slots),
    lists: Array.from({ length: slots }, () => null),
    visits: new Int32Array(places),
    round: 0,
    end: 0,
  };
}

/** Answers in place of a position. */
const INVALID = -1;
const UNUSUAL = -2;

const open = new Uint8Array(1000);

/** 1 for the bytes of which a string consists as they are. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 32 || byte === QUOTE || byte === BACKSLASH ? 0 : 1,
);

/** The end reads as a zero, which is nothing in JSON. */
const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] ?? 0;

function afterSpace(bytes: Uint8Array, at: number): number {
  let i = at;
  let byte = byteAt(bytes, i);
  while (byte === 32 || byte === 9 || byte === 13) {
    i += 1;
    byte = byteAt(bytes, i);
  }
  return i;
}

function afterPlain(bytes: Uint8Array, at: number): number {
  let i = at;
  while (PLAIN[byteAt(bytes, i)] === 1) i += 1;
  return i;
}

function isHex(byte: number): boolean {
  const lower = byte | 32;
  return (byte >= 48 && byte <= 57) || (lower >= 97 && lower <= 102);
}

/** The place after an escape whose backslash is at `at`. */
function afterEscape(bytes: Uint8Array, at: number): number {
  const letter = byteAt(bytes, at + 1);
  if (letter !== 117) {
    return '"\\/bfnrt'.includes(String.fromCharCode(letter)) ? at + 2 : INVALID;
  }
  for (let i = at + 2; i < at + 6; i += 1) if (!isHex(byteAt(bytes, i))) return INVALID;
  return at + 6;
}

/** The place after the closing quote of the string whose first byte is at `at`. */
function afterString(bytes: Uint8Array, at: number): number {
  let i = afterPlain(bytes, at);
  while (byteAt(bytes, i) !== QUOTE) {
    if (byteAt(bytes, i) !== BACKSLASH) return INVALID;
    i = afterEscape(bytes, i);
    if (i < 0) return INVALID;
    i = afterPlain(bytes, i);
  }
  return i + 1;
}

function afterDigits(bytes: Uint8Array, at: number): number {
  let i = at;
  let byte = byteAt(bytes, i);
  while (byte >= 48 && byte <= 57) {
    i += 1;
    byte = byteAt(bytes, i);
  }
  return i === at ? INVALID : i;
}

function afterNumber(bytes: Uint8Array, at: number): number {
  let i = byteAt(bytes, at) === 45 ? at + 1 : at;
  i = byteAt(bytes, i) === 48 ? i + 1 : afterDigits(bytes, i);
  if (i > 0 && byteAt(bytes, i) === 46) i = afterDigits(bytes, i + 1);
  if (i > 0 && (byteAt(bytes, i) | 32) === 101) {
    const sign = byteAt(bytes, i + 1);
    i = afterDigits(bytes, sign === 43 || sign === 45 ? i + 2 : i + 1);
  }
  return i;
}

function isAt(bytes: Uint8Array, at: number, word: Uint8Array): boolean {
  for (let i = 0; i < word.length; i += 1) {
    if (byteAt(bytes, at + i) !== word[i]) return false;
  }
  return true;
}

const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');
const NULL = Buffer.from('null');

function afterScalar(bytes: Uint8Array, at: number): number {
  const byte = byteAt(bytes, at);
  if (byte === QUOTE) return afterString(bytes, at + 1);
  if (byte === 116) return isAt(bytes, at, TRUE) ? at + 4 : INVALID;
  if (byte === 102) return isAt(bytes, at, FALSE) ? at + 5 : INVALID;
  if (byte === 110) return isAt(bytes, at, NULL) ? at + 4 : INVALID;
  return afterNumber(bytes, at);
}

/** From the place behind a key to that of its value. */
function afterColon(bytes: Uint8Array, at: number): number {
  const colon = at < 0 ? at : afterSpace(bytes, at);
  return byteAt(bytes, colon) === COLON ? afterSpace(bytes, colon + 1) : INVALID;
}

/**
 * The place after a value in which nothing is asked for. Most of a document goes through here, hence one loop
 * that calls little: a third of the time goes into calls otherwise.
 */
function skip(bytes: Uint8Array, at: number): number {
  let i = at;
  let depth = 0;
  let isMember = false;
  for (;;) {
    if (isMember) {
      if (bytes[i] !== QUOTE) return INVALID;
      do i += 1;
      while (PLAIN[bytes[i] ?? 0] === 1);
      i = bytes[i] === QUOTE ? i + 1 : afterString(bytes, i);
      i = bytes[i] === COLON ? i + 1 : afterColon(bytes, i);
      if (i < 0) return INVALID;
      if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
    }
    const byte = bytes[i] ?? 0;
    if (byte === QUOTE) {
      do i += 1;
      while (PLAIN[bytes[i] ?? 0] === 1);
      i = bytes[i] === QUOTE ? i + 1 : afterString(bytes, i);
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      i = afterSpace(bytes, i + 1);
      if (bytes[i] !== byte + 2) {
        if (depth === open.length) return UNUSUAL;
        open[depth] = byte;
        depth += 1;
        isMember = byte === OPEN_OBJECT;
        continue;
      }
      i += 1;
    } else i = afterScalar(bytes, i);
    if (i < 0) return INVALID;
    for (; depth > 0; depth -= 1) {
      if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
      if (bytes[i] === COMMA) break;
      if (bytes[i] !== (open[depth - 1] ?? 0) + 2) return INVALID;
      i += 1;
    }
    if (depth === 0) return i;
    i += 1;
    if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
    isMember = open[depth - 1] === OPEN_OBJECT;
  }
}

function memberFor({ members }: Want, bytes: Uint8Array, from: number, to: number): Want | null {
  for (const { key, want } of members) {
    if (key.length === to - from && isAt(bytes, from, key)) return want;
  }
  return null;
}

function hasInside({ members, elements, each }: Want): boolean {
  return members.length + elements.length > 0 || each !== null;
}

/** The first of several members with one key counts; a second with something wanted inside is unusual. */
function afterMember(bytes: Uint8Array, at: number, want: Want, found: Findings): number {
  if (found.visits[want.id] === found.round) {
    return hasInside(want) ? UNUSUAL : skip(bytes, at);
  }
  found.visits[want.id] = found.round;
  return afterWanted(bytes, at, want, found);
}

function afterObject(bytes: Uint8Array, at: number, want: Want, found: Findings): number {
  let i = afterSpace(bytes, at + 1);
  if (bytes[i] === CLOSE_OBJECT) return i + 1;
  for (;;) {
    if (bytes[i] !== QUOTE) return INVALID;
    const begin = i + 1;
    do i += 1;
    while (PLAIN[bytes[i] ?? 0] === 1);
    if (bytes[i] !== QUOTE) return UNUSUAL;
    const member = memberFor(want, bytes, begin, i);
    i = bytes[i + 1] === COLON ? i + 2 : afterColon(bytes, i + 1);
    if (i < 0) return INVALID;
    if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
    i = member === null ? skip(bytes, i) : afterMember(bytes, i, member, found);
    if (i < 0) return i;
    if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
    if (bytes[i] === CLOSE_OBJECT) return i + 1;
    if (bytes[i] !== COMMA) return INVALID;
    i += 1;
    if ((bytes[i] ?? 0) <= 32) i = afterSpace(bytes, i);
  }
}

/** An element of a list in which something is asked for in every one. */
function afterEach(bytes: Uint8Array, at: number, each: Each, found: Findings): number {
  for (const id of each.ids) found.visits[id] = 0;
  for (const slot of each.slots) found.spans[2 * slot] = -1;
  const end = afterWanted(bytes, at, each.want, found);
  for (const slot of each.slots) {
    found.lists[slot]?.push(found.spans[2 * slot] ?? -1, found.spans[2 * slot + 1] ?? -1);
  }
  return end;
}

function afterArray(bytes: Uint8Array, at: number, want: Want, found: Findings): number {
  const { each, elements } = want;
  if (each !== null) for (const slot of each.slots) found.lists[slot] = [];
  let i = afterSpace(bytes, at + 1);
  if (byteAt(bytes, i) === CLOSE_ARRAY) return i + 1;
  for (let index = 0; ; index += 1) {
    const inner = elements[index] ?? null;
    if (each !== null) i = afterEach(bytes, i, each, found);
    else i = inner === null ? skip(bytes, i) : afterWanted(bytes, i, inner, found);
    if (i < 0) return i;
    i = afterSpace(bytes, i);
    if (byteAt(bytes, i) === CLOSE_ARRAY) return i + 1;
    if (byteAt(bytes, i) !== COMMA) return INVALID;
    i = afterSpace(bytes, i + 1);
  }
}

function afterInside(bytes: Uint8Array, at: number, want: Want, found: Findings): number {
  const byte = byteAt(bytes, at);
  const asksForElements = want.elements.length > 0 || want.each !== null;
  if (byte === OPEN_OBJECT) return asksForElements ? UNUSUAL : afterObject(bytes, at, want, found);
  if (byte === OPEN_ARRAY) {
    return want.members.length > 0 ? UNUSUAL : afterArray(bytes, at, want, found);
  }
  return want.each === null ? afterScalar(bytes, at) : UNUSUAL;
}

function afterWanted(bytes: Uint8Array, at: number, want: Want, found: Findings): number {
  const end = hasInside(want) ? afterInside(bytes, at, want, found) : skip(bytes, at);
  if (want.slot >= 0) {
    found.spans[2 * want.slot] = at;
    found.spans[2 * want.slot + 1] = end;
  }
  return end;
}

/** Whether a JSON document begins at `at`, and nothing in it is unusual; then the findings are complete. */
export function scan(bytes: Uint8Array, at: number, want: Want, found: Findings): boolean {
  found.round += 1;
  const { spans, lists } = found;
  for (let i = 0; i < spans.length; i += 1) spans[i] = -1;
  for (let i = 0; i < lists.length; i += 1) lists[i] = null;
  const end = afterWanted(bytes, afterSpace(bytes, at), want, found);
  found.end = afterSpace(bytes, end);
  return end >= 0;
}

/** Whether the bytes are known to be one JSON document; false where that is not seen at a glance. */
export function isPlainJson(bytes: Uint8Array, length: number): boolean {
  const end = skip(bytes, afterSpace(bytes, 0));
  return end >= 0 && afterSpace(bytes, end) === length;
}

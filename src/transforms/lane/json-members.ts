/**
 * Finds the members of an object and the elements of an array in JSON text without making values of them: numbers
 * keep their digits, nested values their text. What is nested is skipped, not checked.
 */
export type JsonKind = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array';

/** A value's place in the text. */
export interface JsonSpan {
  readonly kind: JsonKind;
  readonly start: number;
  readonly end: number;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;

function skipSpace(json: string, from: number): number {
  let at = from;
  for (;;) {
    const code = json.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at += 1;
  }
}

/** Place after the string that begins at `start`; -1 if it has no end. */
function stringEnd(json: string, start: number): number {
  for (let at = start + 1; ; at += 1) {
    at = json.indexOf('"', at);
    if (at < 0) return -1;
    let slashes = 0;
    while (json.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
}

/** Place after the object or array that begins at `start`; -1 if it has no end. */
function nestedEnd(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at += 1) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(json, at) - 1;
      if (at < 0) return -1;
    } else if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return -1;
}

function wordEnd(json: string, start: number, word: string): number {
  return json.startsWith(word, start) ? start + word.length : -1;
}

function numberEnd(json: string, start: number): number {
  NUMBER.lastIndex = start;
  return NUMBER.test(json) ? NUMBER.lastIndex : -1;
}

function spanAt(json: string, start: number): JsonSpan | null {
  const span = (kind: JsonKind, end: number): JsonSpan | null =>
    end < 0 ? null : { kind, start, end };
  switch (json.charCodeAt(start)) {
    case QUOTE:
      return span('string', stringEnd(json, start));
    case 0x7b:
      return span('object', nestedEnd(json, start));
    case 0x5b:
      return span('array', nestedEnd(json, start));
    case 0x74:
      return span('boolean', wordEnd(json, start, 'true'));
    case 0x66:
      return span('boolean', wordEnd(json, start, 'false'));
    case 0x6e:
      return span('null', wordEnd(json, start, 'null'));
    default:
      return span('number', numberEnd(json, start));
  }
}

/** The text of a JSON string with its quotes; null if it is none. */
export function decodeString(json: string): string | null {
  if (!json.includes('\\')) return json.slice(1, -1);
  try {
    return String(JSON.parse(json));
  } catch {
    // An escape that there is not.
    return null;
  }
}

type Around = Pick<JsonSpan, 'start' | 'end'>;

/** Reads one item at a place and returns the place after it; -1 if there is none. */
type ReadItem = (at: number) => number;

/** What stands between the braces or brackets, one by one. False where the text is not well formed. */
function eachItem(json: string, around: Around, readItem: ReadItem): boolean {
  const last = around.end - 1;
  let at = skipSpace(json, around.start + 1);
  if (at === last) return true;
  for (;;) {
    const end = readItem(at);
    if (end < 0) return false;
    at = skipSpace(json, end);
    if (at === last) return true;
    if (json.charCodeAt(at) !== COMMA) return false;
    at = skipSpace(json, at + 1);
  }
}

/** `visit` may end it by returning false, which is then the answer. */
export function eachMember(
  json: string,
  around: Around,
  visit: (name: string, value: JsonSpan) => boolean,
): boolean {
  return eachItem(json, around, (at) => {
    const nameEnd = json.charCodeAt(at) === QUOTE ? stringEnd(json, at) : -1;
    const name = nameEnd < 0 ? null : decodeString(json.slice(at, nameEnd));
    const colon = skipSpace(json, nameEnd);
    if (name === null || json.charCodeAt(colon) !== COLON) return -1;
    const value = spanAt(json, skipSpace(json, colon + 1));
    return value !== null && visit(name, value) ? value.end : -1;
  });
}

export function arrayElements(json: string, around: Around): JsonSpan[] | null {
  const elements: JsonSpan[] = [];
  const isArray = eachItem(json, around, (at) => {
    const value = spanAt(json, at);
    if (value !== null) elements.push(value);
    return value?.end ?? -1;
  });
  return isArray ? elements : null;
}

/** The one value that the text is; null if it is none or more than that. */
export function wholeSpan(json: string): JsonSpan | null {
  const span = spanAt(json, skipSpace(json, 0));
  return span !== null && skipSpace(json, span.end) === json.length ? span : null;
}

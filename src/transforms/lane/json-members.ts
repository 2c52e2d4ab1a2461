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

export interface JsonMember extends JsonSpan {
  readonly name: string;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS = [
  ['true', 'boolean'],
  ['false', 'boolean'],
  ['null', 'null'],
] as const;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

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
    default: {
      const word = WORDS.find(([text]) => json.startsWith(text, start));
      if (word !== undefined) return span(word[1], start + word[0].length);
      NUMBER.lastIndex = start;
      return span('number', NUMBER.test(json) ? NUMBER.lastIndex : -1);
    }
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

/** What stands between the braces or brackets, one by one; null where the text is not well formed. */
function readItems<Item>(
  json: string,
  span: Pick<JsonSpan, 'start' | 'end'>,
  readItem: (at: number) => { readonly item: Item; readonly end: number } | null,
): Item[] | null {
  const last = span.end - 1;
  const items: Item[] = [];
  let at = skipSpace(json, span.start + 1);
  if (at === last) return items;
  for (;;) {
    const read = readItem(at);
    if (read === null) return null;
    items.push(read.item);
    at = skipSpace(json, read.end);
    if (at === last) return items;
    if (json[at] !== ',') return null;
    at = skipSpace(json, at + 1);
  }
}

export function objectMembers(
  json: string,
  span: Pick<JsonSpan, 'start' | 'end'>,
): JsonMember[] | null {
  return readItems(json, span, (at) => {
    const nameEnd = json.charCodeAt(at) === QUOTE ? stringEnd(json, at) : -1;
    const name = nameEnd < 0 ? null : decodeString(json.slice(at, nameEnd));
    const colon = skipSpace(json, nameEnd);
    if (name === null || json[colon] !== ':') return null;
    const value = spanAt(json, skipSpace(json, colon + 1));
    return value === null ? null : { item: { ...value, name }, end: value.end };
  });
}

export function arrayElements(
  json: string,
  span: Pick<JsonSpan, 'start' | 'end'>,
): JsonSpan[] | null {
  return readItems(json, span, (at) => {
    const value = spanAt(json, at);
    return value === null ? null : { item: value, end: value.end };
  });
}

/** The one value that the text is; null if it is none or more than that. */
export function wholeSpan(json: string): JsonSpan | null {
  const span = spanAt(json, skipSpace(json, 0));
  return span !== null && skipSpace(json, span.end) === json.length ? span : null;
}

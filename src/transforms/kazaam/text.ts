/**
 * Finds the ends of values in JSON text without reading them, by the rules of qntfy/jsonparser v1.0.2: what
 * it accepts beyond JSON is accepted here too, since an operation can be given what an earlier one has broken.
 */
import { KazaamFailure } from './failure.ts';

export const QUOTE = 34;
export const COMMA = 44;
export const COLON = 58;
export const OPEN_ARRAY = 91;
export const BACKSLASH = 92;
export const CLOSE_ARRAY = 93;
export const OPEN_OBJECT = 123;
export const CLOSE_OBJECT = 125;

export const MALFORMED_ARRAY = "Value is array, but can't find closing ']' symbol";
const MALFORMED_JSON = 'Malformed JSON error';
const MALFORMED_STRING = "Value is string, but can't find closing '\"' symbol";
const MALFORMED_OBJECT = "Value looks like object, but can't find closing '}' symbol";
const UNKNOWN_TYPE = 'Unknown value type';

export function isBlank(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9;
}

/** The first place from `at` on that is no white space, -1 if there is none. */
export function nextToken(text: string, at: number): number {
  for (let i = at; i < text.length; i += 1) if (!isBlank(text.charCodeAt(i))) return i;
  return -1;
}

export function lastToken(text: string): number {
  for (let i = text.length - 1; i >= 0; i -= 1) if (!isBlank(text.charCodeAt(i))) return i;
  return -1;
}

/** `at` is the first character inside the quotes; the answer is the place after the closing one, or -1. */
export function stringEnd(text: string, at: number): number {
  for (let quote = text.indexOf('"', at); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let slashes = quote - 1;
    while (slashes >= at && text.charCodeAt(slashes) === BACKSLASH) slashes -= 1;
    if ((quote - 1 - slashes) % 2 === 0) return quote + 1;
  }
  return -1;
}

/** The place after the bracket that closes the one at `at`, or -1; the other kind of bracket is not looked at. */
export function blockEnd(text: string, at: number): number {
  const open = text.charCodeAt(at);
  const close = open + 2;
  let level = 0;
  for (let i = at; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      const end = stringEnd(text, i + 1);
      if (end === -1) return -1;
      i = end - 1;
    } else if (code === open) level += 1;
    else if (code === close) {
      level -= 1;
      if (level === 0) return i + 1;
    }
  }
  return -1;
}

/** Where a number or word that begins at `at` ends. */
export function tokenEnd(text: string, at: number): number {
  let i = at;
  for (; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_ARRAY || isBlank(code)) break;
  }
  return i;
}

const WORDS: Readonly<Record<string, readonly string[]>> = {
  t: ['true'],
  f: ['false'],
  n: ['null'],
};

/** Where the value that begins at `at` ends, or what is wrong with it. */
function endOrFault(text: string, at: number): number | string {
  const first = text.charAt(at);
  if (first === '"') {
    const end = stringEnd(text, at + 1);
    return end === -1 ? MALFORMED_STRING : end;
  }
  if (first === '[' || first === '{') {
    const end = blockEnd(text, at);
    if (end !== -1) return end;
    return first === '[' ? MALFORMED_ARRAY : MALFORMED_OBJECT;
  }
  const end = tokenEnd(text, at);
  if (/[-0-9]/.test(first)) return end;
  return WORDS[first]?.includes(text.slice(at, end)) === true ? end : UNKNOWN_TYPE;
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The value that begins at `at` or after white space there, quotes included. */
export function valueAt(text: string, at: number): Span {
  const from = nextToken(text, at);
  if (from === -1) throw new KazaamFailure('raw', MALFORMED_JSON);
  const to = endOrFault(text, from);
  if (typeof to === 'string') throw new KazaamFailure('raw', to);
  return { from, to };
}

export interface Elements {
  /** Pairs of begin and end. */
  readonly spans: readonly number[];
  /** Why reading ended before the closing bracket. */
  readonly fault: string | null;
}

/**
 * The elements of the array whose bracket stands at `at`, at most so many. Like upstream it does not look at
 * the bracket itself.
 */
export function elementsAt(text: string, at: number, most = Number.POSITIVE_INFINITY): Elements {
  const spans: number[] = [];
  let i = nextToken(text, at + 1);
  if (i === -1) return { spans, fault: MALFORMED_JSON };
  if (text.charCodeAt(i) === CLOSE_ARRAY) return { spans, fault: null };
  while (spans.length < 2 * most) {
    const from = nextToken(text, i);
    if (from === -1) return { spans, fault: MALFORMED_JSON };
    const to = endOrFault(text, from);
    if (typeof to === 'string') return { spans, fault: to };
    spans.push(from, to);
    i = nextToken(text, to);
    if (i === -1) return { spans, fault: MALFORMED_ARRAY };
    const code = text.charCodeAt(i);
    if (code === CLOSE_ARRAY) break;
    if (code !== COMMA) return { spans, fault: MALFORMED_ARRAY };
    i += 1;
  }
  return { spans, fault: null };
}

export function slices(text: string, spans: readonly number[]): string[] {
  const parts: string[] = [];
  for (let i = 0; i < spans.length; i += 2) parts.push(text.slice(spans[i], spans[i + 1]));
  return parts;
}

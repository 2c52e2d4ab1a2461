/** How Go writes the values of a specification: as JSON (encoding/json) and in messages (fmt's %v). */
import { KazaamFailure } from './failure.ts';

const ESCAPED: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

function escaped(character: string): string {
  const code = character.charCodeAt(0).toString(16).padStart(4, '0');
  return ESCAPED[character] ?? `\\u${code}`;
}

export function quoted(text: string): string {
  // oxlint-disable-next-line no-control-regex -- the characters that JSON forbids
  return `"${text.toWellFormed().replaceAll(/["\\<>&\u2028\u2029\u0000-\u001f]/g, escaped)}"`;
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** By the bytes of UTF-8, which for well-formed text is the order of code points. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function sortedEntries(value: Readonly<Record<string, unknown>>): [string, unknown][] {
  return Object.entries(value).toSorted(([a], [b]) => byBytes(a, b));
}

export function goJson(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  if (isObject(value)) {
    const members = sortedEntries(value).map(([key, one]) => `${quoted(key)}:${goJson(one)}`);
    return `{${members.join(',')}}`;
  }
  if (Object.is(value, -0)) return '-0';
  if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    return String(value);
  }
  throw new KazaamFailure('spec', `a specification holds no ${typeof value}`);
}

/** %v of a float64: the shortest digits, with an exponent below 1e-4 and from 1e21. */
function goNumber(value: number): string {
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e21) return String(value);
  const [digits = '', exponent = ''] = value.toExponential().split('e');
  const [sign = '+', ...figures] = exponent;
  return `${digits}e${sign}${figures.join('').padStart(2, '0')}`;
}

export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (typeof value === 'number') return goNumber(value);
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (isObject(value)) {
    const members = sortedEntries(value).map(([key, one]) => `${key}:${goText(one)}`);
    return `map[${members.join(' ')}]`;
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

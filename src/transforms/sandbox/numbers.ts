/** Numbers on their way into a module and back: JavaScript's own where those are exact. */
import { canonicalLexeme } from '../expression/decimal.ts';
import { parseJson } from '../json/parse.ts';
import { JsonNumber, type JsonValue } from '../json/value.ts';
import { writeJson } from '../json/write.ts';

/** Where a number is, and its text. */
type Exact = readonly [path: readonly (string | number)[], lexeme: string];

export interface Numbers {
  /** Those no JavaScript number can hold, as JSON; null: none. */
  readonly exacts: string | null;
  /** Set if any number is written otherwise than JavaScript would write it. */
  readonly original: JsonValue | null;
}

const PLAIN: Numbers = { exacts: null, original: null };

/** Every text of a number that a double or JavaScript's way of writing would change has one of these. */
const REMARKABLE = /[0-9.]{16,}|[0-9]\.[0-9]*0(?![0-9])|[0-9][eE][-+0-9]|-0(?![.0-9])|0\.000000/;

export function readNumbers(json: string): Numbers {
  if (!REMARKABLE.test(json)) return PLAIN;
  const parsed = parseJson(json);
  // The module's own reader will say what is wrong.
  if (!parsed.ok) return PLAIN;
  const exacts: Exact[] = [];
  const rewritten = collect(parsed.value, [], exacts);
  return {
    exacts: exacts.length === 0 ? null : JSON.stringify(exacts),
    original: rewritten ? parsed.value : null,
  };
}

/** Whether any number below is to have its text back. */
function collect(value: JsonValue, path: readonly (string | number)[], exacts: Exact[]): boolean {
  if (value instanceof JsonNumber) {
    const held = holds(value.lexeme);
    if (!held) exacts.push([path, value.lexeme]);
    return held && String(Number(value.lexeme)) !== value.lexeme;
  }
  if (value === null || typeof value !== 'object') return false;
  let rewritten = false;
  for (const [key, member] of value.entries()) {
    rewritten = collect(member, [...path, key], exacts) || rewritten;
  }
  return rewritten;
}

/** Whether a JavaScript number has exactly this value, as far as its shortest text goes. */
function holds(lexeme: string): boolean {
  const number = Number(lexeme);
  if (!Number.isFinite(number)) return false;
  if (!/[.eE]/.test(lexeme)) return Number.isSafeInteger(number);
  return canonicalLexeme(String(number)) === canonicalLexeme(lexeme);
}

/** Gives the numbers that a module left as they were, where they were, their texts back. */
export function restoreNumbers(json: string, original: JsonValue): string {
  const parsed = parseJson(json);
  return parsed.ok ? writeJson(restored(parsed.value, original)) : json;
}

function restored(value: JsonValue, original: JsonValue | undefined): JsonValue {
  if (value instanceof JsonNumber) {
    const same = original instanceof JsonNumber && String(Number(original.lexeme)) === value.lexeme;
    return same && holds(original.lexeme) ? original : value;
  }
  if (Array.isArray(value)) {
    const before = Array.isArray(original) ? original : [];
    return value.map((element, index) => restored(element, before[index]));
  }
  if (!(value instanceof Map)) return value;
  const before = original instanceof Map ? original : new Map<string, JsonValue>();
  return new Map([...value].map(([key, member]) => [key, restored(member, before.get(key))]));
}

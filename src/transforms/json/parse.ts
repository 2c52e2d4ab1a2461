import { JsonNumber, type JsonObject, type JsonValue } from './value.ts';

export type ParseResult =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly message: string; readonly position: number };

/** Deeper documents are refused, so that no document can exhaust the stack. */
export const MAX_DEPTH = 1000;

/**
 * Reads one JSON text (RFC 8259). A key that stands twice has its last value, at the first one's place.
 * `position` of a failure counts UTF-16 units from 0; no message quotes the document.
 */
export function parseJson(text: string): ParseResult {
  const reader = new Reader(text);
  try {
    return { ok: true, value: reader.document() };
  } catch (error) {
    if (error instanceof SyntaxFailure) {
      return { ok: false, message: error.message, position: error.position };
    }
    throw error;
  }
}

class SyntaxFailure extends Error {
  readonly position: number;

  constructor(message: string, position: number) {
    super(message);
    this.position = position;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Of a string, what stands for itself. */
// oxlint-disable-next-line no-control-regex -- JSON allows none of them in a string
const CLEAR = /[^"\\\u0000-\u001f]*/y;
const HEX = /[0-9a-fA-F]{4}/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): JsonValue {
    const value = this.#value();
    this.#space();
    if (this.#at < this.#text.length) this.#fail('something follows the document');
    return value;
  }

  #value(): JsonValue {
    this.#space();
    switch (this.#text.charCodeAt(this.#at)) {
      case 0x7b:
        return this.#object();
      case 0x5b:
        return this.#array();
      case QUOTE:
        return this.#string();
      case 0x74:
        return this.#word('true', true);
      case 0x66:
        return this.#word('false', false);
      case 0x6e:
        return this.#word('null', null);
      default:
        return this.#number();
    }
  }

  #enter(): void {
    this.#depth += 1;
    if (this.#depth > MAX_DEPTH) this.#fail(`nested deeper than ${MAX_DEPTH} levels`);
    this.#at += 1;
  }

  #object(): JsonObject {
    this.#enter();
    const object: JsonObject = new Map();
    if (this.#leave(0x7d)) return object;
    do {
      this.#space();
      if (this.#text.charCodeAt(this.#at) !== QUOTE) this.#fail('a key in quotes is expected');
      const key = this.#string();
      if (!this.#take(0x3a)) this.#fail("':' is expected");
      object.set(key, this.#value());
    } while (this.#take(0x2c));
    if (!this.#leave(0x7d)) this.#fail("',' or '}' is expected");
    return object;
  }

  #array(): JsonValue[] {
    this.#enter();
    const array: JsonValue[] = [];
    if (this.#leave(0x5d)) return array;
    do array.push(this.#value());
    while (this.#take(0x2c));
    if (!this.#leave(0x5d)) this.#fail("',' or ']' is expected");
    return array;
  }

  #string(): string {
    const text = this.#text;
    let start = this.#at + 1;
    let read = '';
    for (;;) {
      CLEAR.lastIndex = start;
      CLEAR.test(text);
      const end = CLEAR.lastIndex;
      read += text.slice(start, end);
      this.#at = end + 1;
      const unit = text.charCodeAt(end);
      if (unit === QUOTE) return read;
      if (unit !== BACKSLASH) {
        this.#at = end;
        const why =
          end === text.length ? 'the string has no end' : 'a control character in a string';
        this.#fail(why);
      }
      read += this.#escape();
      start = this.#at;
    }
  }

  #escape(): string {
    const letter = this.#text.charAt(this.#at);
    const simple = ESCAPES[letter];
    if (simple !== undefined) {
      this.#at += 1;
      return simple;
    }
    if (letter !== 'u') this.#fail('no such escape in a string');
    HEX.lastIndex = this.#at + 1;
    const match = HEX.exec(this.#text);
    if (match === null) this.#fail('four hexadecimal digits are expected');
    this.#at += 5;
    return String.fromCharCode(Number.parseInt(match[0], 16));
  }

  #number(): JsonNumber {
    const start = this.#at;
    NUMBER.lastIndex = start;
    if (!NUMBER.test(this.#text)) this.#fail('a value is expected');
    this.#at = NUMBER.lastIndex;
    return new JsonNumber(this.#text.slice(start, this.#at));
  }

  #word<Value>(word: string, value: Value): Value {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value is expected');
    this.#at += word.length;
    return value;
  }

  #leave(unit: number): boolean {
    const left = this.#take(unit);
    if (left) this.#depth -= 1;
    return left;
  }

  #take(unit: number): boolean {
    this.#space();
    if (this.#text.charCodeAt(this.#at) !== unit) return false;
    this.#at += 1;
    return true;
  }

  #space(): void {
    const text = this.#text;
    let unit = text.charCodeAt(this.#at);
    while (unit === 0x20 || unit === 0x0a || unit === 0x0d || unit === 0x09) {
      this.#at += 1;
      unit = text.charCodeAt(this.#at);
    }
  }

  #fail(message: string): never {
    throw new SyntaxFailure(message, this.#at);
  }
}

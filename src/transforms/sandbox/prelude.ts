/**
 * What runs inside the sandbox before a module: the exact decimal, and the bridge by which documents go in
 * and out as texts. Its value is a function of `mark`, a text nobody can guess; a number that JSON's own
 * writer would spoil leaves as the string mark + lexeme, and is made a number again outside.
 *
 * An answer's first letter tells what it is: `d` and the document, `f` filtered, `e` and an error, `m` out of
 * memory; no answer: a promise is pending.
 */
export const PRELUDE = `(mark) => {
  'use strict';
  const { parse, stringify } = JSON;
  const { isArray } = Array;
  const big = BigInt.prototype;
  const LEXEME = /^-?(?:0|[1-9][0-9]*)(?:\\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
  let writing = false;
  let main;
  let answer;

  class Decimal {
    #text;
    constructor(text) {
      this.#text = String(text);
      if (!LEXEME.test(this.#text)) throw new TypeError('Decimal takes the text of a number');
      Object.freeze(this);
    }
    toString() { return this.#text; }
    valueOf() { return Number(this.#text); }
    toJSON() { return writing ? mark + this.#text : this.#text; }
  }
  Object.defineProperty(globalThis, 'Decimal', { value: Decimal });

  class Context {
    #now;
    constructor(now) { this.#now = now; }
    get now() { return new Date(this.#now).toISOString(); }
  }

  const write = (value) => {
    const before = Object.getOwnPropertyDescriptor(big, 'toJSON');
    Object.defineProperty(big, 'toJSON', {
      configurable: true,
      value() { return mark + this.toString(); },
    });
    writing = true;
    try {
      return stringify(value);
    } finally {
      writing = false;
      delete big.toJSON;
      if (before !== undefined) Object.defineProperty(big, 'toJSON', before);
    }
  };

  const finish = (value) => {
    if (value === null || value === undefined) return 'f';
    if (typeof value !== 'object' || isArray(value)) {
      return 'e' + 'it returned ' + (isArray(value) ? 'an array' : 'a ' + typeof value) + ', not a document';
    }
    const text = write(value);
    return text === undefined || text[0] !== '{' ? 'e' + 'it returned no document' : 'd' + text;
  };

  const refuse = (error) => {
    // Where no memory is left for an error, null is thrown.
    if (error === null) return 'm';
    if (error instanceof InternalError && error.message === 'out of memory') return 'm';
    const named = error instanceof Error ? error.name + ': ' + error.message : 'it threw ' + typeof error;
    const place = error instanceof Error ? /\\((\\/[^()]*:[0-9]+)(?::[0-9]+)?\\)|at (\\/[^()]*:[0-9]+)/.exec(error.stack) : null;
    return 'e' + named.slice(0, 500) + (place === null ? '' : ' (at ' + (place[1] ?? place[2]).slice(1) + ')');
  };

  const settle = (promise, done) => {
    answer = undefined;
    promise.then(
      (value) => { answer = attempt(() => done(value)); },
      (error) => { answer = refuse(error); },
    );
    return undefined;
  };

  const attempt = (run) => {
    try {
      return run();
    } catch (error) {
      return refuse(error);
    }
  };

  const use = (exports) => {
    main = exports.default;
    return typeof main === 'function' ? 'd' : 'e' + 'its default export is no function';
  };

  return {
    load: (exports) => attempt(() => exports instanceof Promise ? settle(exports, use) : use(exports)),
    pending: () => answer,
    room: (bytes) => attempt(() => { new ArrayBuffer(bytes); return 'd'; }),
    run: (text, exacts, now) => attempt(() => {
      const document = parse(text);
      if (exacts !== undefined) {
        for (const [path, lexeme] of parse(exacts)) {
          const key = path.pop();
          let holder = document;
          for (const step of path) holder = holder[step];
          holder[key] = /[.eE]/.test(lexeme) ? new Decimal(lexeme) : BigInt(lexeme);
        }
      }
      const value = main(document, new Context(now));
      return value instanceof Promise ? settle(value, finish) : finish(value);
    }),
  };
}`;

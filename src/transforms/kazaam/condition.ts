/**
 * Conditions of the extended dialect: `a.b == "x" && (ston("c") > 3 || !d)`. A name is a path of the document,
 * a call a converter on the value of a path. What cannot be evaluated is a failure, which its caller takes for
 * false.
 */
import type { Convert } from './converters.ts';
import { KazaamFailure } from './failure.ts';
import { readScalar, type Scalar } from './scalar.ts';

export type Evaluate = (text: string) => Scalar;

export interface ConditionNames {
  readonly read: (path: string) => (text: string) => string;
  readonly converter: (name: string, args: string) => Convert;
}

const TOKEN =
  /\s*(?:("(?:[^"\\]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*)|(\|\||&&|[=!<>]=|[<>!(),]))/y;

interface Token {
  readonly kind: 'text' | 'number' | 'name' | 'sign' | 'end';
  readonly text: string;
}

const unreadable = (): KazaamFailure => new KazaamFailure('parse', 'the condition cannot be read');

function tokensOf(condition: string): readonly Token[] {
  const tokens: Token[] = [];
  const source = condition.trimEnd();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const found = TOKEN.exec(source);
    if (found === null) throw unreadable();
    const [, text, number, name, sign = ''] = found;
    if (text !== undefined) tokens.push({ kind: 'text', text });
    else if (number !== undefined) tokens.push({ kind: 'number', text: number });
    else if (name !== undefined) tokens.push({ kind: 'name', text: name });
    else tokens.push({ kind: 'sign', text: sign });
  }
  return tokens;
}

function known(json: string): Scalar {
  const value = readScalar(json);
  if (value === null) throw new KazaamFailure('parse', 'a condition compares no lists or objects');
  return value;
}

function truth(value: Scalar): boolean {
  if (value.kind !== 'truth') throw new KazaamFailure('parse', 'a condition needs true or false');
  return value.value;
}

const truthOf = (value: boolean): Scalar => ({ kind: 'truth', value });

/** Less than, equal or greater as -1, 0, 1; null where the two have no order. */
function order(left: Scalar, right: Scalar): number | null {
  const isNumber = ({ kind }: Scalar): boolean => kind === 'whole' || kind === 'decimal';
  if (left.kind === 'null' || right.kind === 'null') return left.kind === right.kind ? 0 : null;
  if (left.kind !== right.kind && !(isNumber(left) && isNumber(right))) {
    throw new KazaamFailure('parse', 'a condition compares values of one type');
  }
  if (left.value === right.value) return 0;
  return left.value < right.value ? -1 : 1;
}

function compare(sign: string, left: Scalar, right: Scalar): Scalar {
  const found = order(left, right);
  if (sign === '==') return truthOf(found === 0);
  if (sign === '!=') return truthOf(found !== 0);
  if (found === null || left.kind === 'truth' || left.kind === 'null') {
    throw new KazaamFailure('parse', 'a condition compares numbers or strings by size');
  }
  if (sign.startsWith('<')) return truthOf(found < 0 || (sign === '<=' && found === 0));
  return truthOf(found > 0 || (sign === '>=' && found === 0));
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #names: ConditionNames;
  #at = 0;

  constructor(tokens: readonly Token[], names: ConditionNames) {
    this.#tokens = tokens;
    this.#names = names;
  }

  whole(): Evaluate {
    const evaluate = this.#either();
    if (this.#peek().kind !== 'end') throw unreadable();
    return evaluate;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '' };
  }

  #take(): Token {
    const token = this.#peek();
    this.#at += 1;
    return token;
  }

  #takes(sign: string): boolean {
    const isNext = this.#peek().kind === 'sign' && this.#peek().text === sign;
    if (isNext) this.#at += 1;
    return isNext;
  }

  #expect(sign: string): void {
    if (!this.#takes(sign)) throw unreadable();
  }

  /** Both sides are evaluated always, so that a fault in either counts. */
  #either(): Evaluate {
    let left = this.#both();
    while (this.#takes('||')) {
      const [one, other] = [left, this.#both()];
      left = (text) => {
        const values = [truth(one(text)), truth(other(text))];
        return truthOf(values.includes(true));
      };
    }
    return left;
  }

  #both(): Evaluate {
    let left = this.#comparison();
    while (this.#takes('&&')) {
      const [one, other] = [left, this.#comparison()];
      left = (text) => {
        const values = [truth(one(text)), truth(other(text))];
        return truthOf(!values.includes(false));
      };
    }
    return left;
  }

  #comparison(): Evaluate {
    let left = this.#single();
    while (/^(?:[=!<>]=|[<>])$/.test(this.#peek().text) && this.#peek().kind === 'sign') {
      const sign = this.#take().text;
      const [one, other] = [left, this.#single()];
      left = (text) => compare(sign, one(text), other(text));
    }
    return left;
  }

  #single(): Evaluate {
    if (this.#takes('!')) {
      const inner = this.#single();
      return (text) => truthOf(!truth(inner(text)));
    }
    if (this.#takes('(')) {
      const inner = this.#either();
      this.#expect(')');
      return inner;
    }
    const { kind, text } = this.#take();
    if (kind === 'text' || kind === 'number') {
      const value = known(text);
      return () => value;
    }
    if (kind !== 'name') throw unreadable();
    if (this.#takes('(')) return this.#call(text);
    if (text === 'true' || text === 'false') return () => truthOf(text === 'true');
    if (text === 'null' || text === 'nil') return () => ({ kind: 'null' });
    const read = this.#names.read(text);
    return (document) => known(read(document));
  }

  #call(name: string): Evaluate {
    const path = this.#textArgument();
    const args = this.#takes(',') ? this.#textArgument() : '';
    this.#expect(')');
    const read = this.#names.read(path);
    const convert = this.#names.converter(name, args);
    return (text) => known(convert(read(text)));
  }

  #textArgument(): string {
    const { kind, text } = this.#take();
    const value = kind === 'text' ? readScalar(text) : null;
    if (value?.kind !== 'text') throw unreadable();
    return value.value;
  }
}

/** Throws a KazaamFailure for what is no condition. */
export function readCondition(condition: string, names: ConditionNames): (text: string) => boolean {
  const evaluate = new Parser(tokensOf(condition), names).whole();
  return (text) => truth(evaluate(text));
}

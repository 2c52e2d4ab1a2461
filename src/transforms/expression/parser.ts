/**
 * expression = or; or > and > not > predicate (comparison, is null, in, between) > `+ - ||` > `* / %` >
 * `-` > members > primary. Keywords are read in any case; names of columns are not.
 */
import { JsonNumber } from '../json/value.ts';
import { CAST_NAMES, type CastType, parseCastType } from './cast.ts';
import { ExpressionSyntax, readTokens, type Token } from './lexer.ts';
import type { Arithmetic, Comparison, Expression } from './syntax.ts';

const MAX_LENGTH = 65_536;
/** A chain of operators is as deep as it is long; this keeps it from exhausting the stack. */
const MAX_TOKENS = 4000;
const MAX_NESTING = 200;

const KEYWORDS = new Set(
  'and or not is null in between true false case when then else end cast as'.split(' '),
);
const COMPARISONS: Readonly<Record<string, Comparison>> = {
  '=': '=',
  '==': '=',
  '<>': '<>',
  '!=': '<>',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};

/** Throws `ExpressionSyntax`. */
export function parseExpression(source: string): Expression {
  if (source.length > MAX_LENGTH) {
    throw new ExpressionSyntax(`longer than ${MAX_LENGTH} characters`, MAX_LENGTH);
  }
  const tokens = readTokens(source);
  const tooMany = tokens[MAX_TOKENS];
  if (tooMany !== undefined) {
    throw new ExpressionSyntax(`longer than ${MAX_TOKENS} words and signs`, tooMany.at);
  }
  return new Parser(tokens).whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  #index = 0;
  #nesting = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  whole(): Expression {
    const expression = this.#expression();
    if (this.#token.kind !== 'end') this.#fail('an operator or the end is expected');
    return expression;
  }

  #expression(): Expression {
    return this.#deeper(() => {
      let left = this.#and();
      for (let { at } = this.#token; this.#word('or'); { at } = this.#token) {
        left = { kind: 'logical', operator: 'or', left, right: this.#and(), at };
      }
      return left;
    });
  }

  #and(): Expression {
    let left = this.#not();
    for (let { at } = this.#token; this.#word('and'); { at } = this.#token) {
      left = { kind: 'logical', operator: 'and', left, right: this.#not(), at };
    }
    return left;
  }

  #not(): Expression {
    const { at } = this.#token;
    if (!this.#word('not')) return this.#predicate();
    return { kind: 'not', operand: this.#deeper(() => this.#not()), at };
  }

  #predicate(): Expression {
    let left = this.#sum();
    for (;;) {
      const { at, kind, text } = this.#token;
      const operator = kind === 'sign' ? COMPARISONS[text] : undefined;
      if (operator !== undefined) {
        this.#index += 1;
        left = { kind: 'compare', operator, left, right: this.#sum(), at };
      } else if (this.#word('is')) {
        left = this.#isNull(left, at);
      } else {
        const tested = this.#memberTest(left, at);
        if (tested === null) return left;
        left = tested;
      }
    }
  }

  #isNull(operand: Expression, at: number): Expression {
    const negated = this.#word('not');
    if (!this.#word('null')) this.#fail("'null' is expected");
    const test: Expression = { kind: 'is-null', operand, at };
    return negated ? { kind: 'not', operand: test, at } : test;
  }

  /** [not] in (...), [not] between a and b. */
  #memberTest(operand: Expression, at: number): Expression | null {
    const negated = this.#word('not');
    let test: Expression;
    if (this.#word('in')) {
      this.#need('(');
      test = { kind: 'in', operand, list: this.#list(), at };
    } else if (this.#word('between')) {
      const from: Expression = {
        kind: 'compare',
        operator: '>=',
        left: operand,
        right: this.#sum(),
        at,
      };
      if (!this.#word('and')) this.#fail("'and' is expected");
      const to: Expression = {
        kind: 'compare',
        operator: '<=',
        left: operand,
        right: this.#sum(),
        at,
      };
      test = { kind: 'logical', operator: 'and', left: from, right: to, at };
    } else {
      if (negated) this.#fail("'in' or 'between' is expected");
      return null;
    }
    return negated ? { kind: 'not', operand: test, at } : test;
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      const { at } = this.#token;
      const operator = this.#oneOf('+', '-', '||');
      if (operator === null) return left;
      const right = this.#product();
      left =
        operator === '||'
          ? { kind: 'join', left, right, at }
          : { kind: 'arithmetic', operator, left, right, at };
    }
  }

  #product(): Expression {
    let left = this.#signed();
    for (;;) {
      const { at } = this.#token;
      const operator: Arithmetic | null = this.#oneOf('*', '/', '%');
      if (operator === null) return left;
      left = { kind: 'arithmetic', operator, left, right: this.#signed(), at };
    }
  }

  #signed(): Expression {
    const { at } = this.#token;
    if (!this.#sign('-')) return this.#members();
    return { kind: 'negate', operand: this.#deeper(() => this.#signed()), at };
  }

  #members(): Expression {
    let of = this.#primary();
    for (;;) {
      const { at } = this.#token;
      if (this.#sign('.')) {
        of = { kind: 'member', of, key: this.#name(), at };
      } else if (this.#sign('[')) {
        of = { kind: 'member', of, key: this.#key(), at };
        this.#need(']');
      } else return of;
    }
  }

  #key(): string | number {
    const token = this.#next();
    if (token.kind === 'text' || (token.kind === 'name' && token.quoted)) return token.text;
    if (token.kind === 'number' && /^[0-9]{1,9}$/.test(token.text)) return Number(token.text);
    this.#index -= 1;
    return this.#fail('a key in quotes or an index is expected');
  }

  #primary(): Expression {
    const token = this.#next();
    const { at } = token;
    if (token.kind === 'number') return { kind: 'literal', value: new JsonNumber(token.text), at };
    if (token.kind === 'text') return { kind: 'literal', value: token.text, at };
    if (token.kind === 'name') return token.quoted ? this.#column(token) : this.#named(token);
    if (token.kind === 'sign' && token.text === '(') {
      const inner = this.#expression();
      this.#need(')');
      return inner;
    }
    this.#index -= 1;
    return this.#fail('a value is expected');
  }

  #named(token: Token & { readonly kind: 'name' }): Expression {
    const { at } = token;
    const word = token.text.toLowerCase();
    if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true', at };
    if (word === 'null') return { kind: 'literal', value: null, at };
    if (word === 'case') return this.#case(at);
    if (word === 'cast') return this.#cast(at);
    if (KEYWORDS.has(word)) {
      this.#index -= 1;
      return this.#fail(`a value is expected; a column of the name ${word} is written "${word}"`);
    }
    if (!this.#sign('(')) return this.#column(token);
    const args = this.#sign(')') ? [] : this.#list();
    return { kind: 'call', name: word, args, at };
  }

  #column({ text, at }: Token): Expression {
    return { kind: 'column', name: text, at };
  }

  #case(at: number): Expression {
    const subject = this.#peekWord('when') ? null : this.#expression();
    const branches: { when: Expression; result: Expression }[] = [];
    for (let start = this.#token.at; this.#word('when'); start = this.#token.at) {
      const tested = this.#expression();
      const when: Expression =
        subject === null
          ? tested
          : { kind: 'compare', operator: '=', left: subject, right: tested, at: start };
      if (!this.#word('then')) this.#fail("'then' is expected");
      branches.push({ when, result: this.#expression() });
    }
    if (branches.length === 0) this.#fail("'when' is expected");
    const otherwise: Expression = this.#word('else')
      ? this.#expression()
      : { kind: 'literal', value: null, at };
    if (!this.#word('end')) this.#fail("'when', 'else' or 'end' is expected");
    return { kind: 'case', branches, otherwise, at };
  }

  #cast(at: number): Expression {
    this.#need('(');
    const operand = this.#expression();
    if (!this.#word('as')) this.#fail("'as' is expected");
    const type = this.#castType();
    this.#need(')');
    return { kind: 'cast', operand, type, at };
  }

  #castType(): CastType {
    const { at } = this.#token;
    let text = this.#name();
    if (this.#sign('(')) {
      text += `(${this.#count()}`;
      if (this.#sign(',')) text += `,${this.#count()}`;
      this.#need(')');
      text += ')';
    }
    const type = parseCastType(text);
    if (type !== null) return type;
    throw new ExpressionSyntax(`no such type; the types are ${CAST_NAMES.join(', ')}`, at);
  }

  #count(): string {
    const token = this.#next();
    if (token.kind === 'number') return token.text;
    this.#index -= 1;
    return this.#fail('a number is expected');
  }

  /** After the opening parenthesis. */
  #list(): Expression[] {
    const list = [this.#expression()];
    while (this.#sign(',')) list.push(this.#expression());
    this.#need(')');
    return list;
  }

  #name(): string {
    const token = this.#next();
    if (token.kind === 'name') return token.text;
    this.#index -= 1;
    return this.#fail('a name is expected');
  }

  #deeper<Result>(read: () => Result): Result {
    this.#nesting += 1;
    if (this.#nesting > MAX_NESTING) this.#fail(`nested deeper than ${MAX_NESTING} levels`);
    const result = read();
    this.#nesting -= 1;
    return result;
  }

  get #token(): Token {
    return this.#tokens[this.#index] ?? { kind: 'end', text: '', at: 0 };
  }

  #next(): Token {
    const token = this.#token;
    this.#index += 1;
    return token;
  }

  #peekWord(word: string): boolean {
    const token = this.#token;
    return token.kind === 'name' && !token.quoted && token.text.toLowerCase() === word;
  }

  #word(word: string): boolean {
    const found = this.#peekWord(word);
    if (found) this.#index += 1;
    return found;
  }

  #oneOf<Text extends string>(...texts: readonly Text[]): Text | null {
    return texts.find((text) => this.#sign(text)) ?? null;
  }

  #sign(text: string): boolean {
    const found = this.#token.kind === 'sign' && this.#token.text === text;
    if (found) this.#index += 1;
    return found;
  }

  #need(text: string): void {
    if (!this.#sign(text)) this.#fail(`'${text}' is expected`);
  }

  #fail(message: string): never {
    throw new ExpressionSyntax(message, this.#token.at);
  }
}

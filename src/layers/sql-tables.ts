/** Which tables a query reads, found in its tokens: names after FROM, JOIN and commas between them, less CTEs. */
import { type SqlToken, sqlTokens } from './sql-tokens.ts';

export interface TableReference {
  /** One to three parts; unquoted ones in lower case. */
  readonly parts: readonly string[];
  readonly start: number;
  readonly end: number;
}

type Scope = ReadonlySet<string>;

/** Words that end a list of tables. */
const AFTER_FROM: ReadonlySet<string> = new Set([
  'where',
  'group',
  'order',
  'having',
  'limit',
  'offset',
  'fetch',
  'union',
  'except',
  'intersect',
  'window',
  'qualify',
  'select',
  'for',
]);
const QUERY_STARTS: ReadonlySet<string> = new Set(['select', 'with', 'from', 'values', 'table']);

class Reader {
  readonly #tokens: readonly SqlToken[];
  readonly found: TableReference[] = [];
  #at = 0;

  constructor(tokens: readonly SqlToken[]) {
    this.#tokens = tokens;
  }

  /** Reads to the parenthesis that closes the query, or to the end. */
  query(outer: Scope): void {
    const isQuery = this.#isWord(QUERY_STARTS);
    const scope = isQuery ? this.#with(outer) : outer;
    // In a query the words tell where tables stand; elsewhere, as in `FROM (a JOIN b ...)`, see `#table`.
    this.#clauses(scope, { isQuery, inFrom: false, wanted: false });
  }

  #clauses(
    scope: Scope,
    state: { readonly isQuery: boolean; inFrom: boolean; wanted: boolean },
  ): void {
    while (this.#at < this.#tokens.length) {
      if (state.wanted) {
        state.wanted = this.#table(scope);
        continue;
      }
      const token = this.#next();
      if (token.text === '(' && token.kind === 'symbol') {
        this.query(scope);
        this.#at += 1;
      } else if (token.text === ')' && token.kind === 'symbol') {
        this.#at -= 1;
        return;
      } else if (token.kind === 'symbol') state.wanted = token.text === ',' && state.inFrom;
      else if (token.kind === 'word') this.#word(token, state);
    }
  }

  #word(
    { text }: SqlToken,
    state: { readonly isQuery: boolean; inFrom: boolean; wanted: boolean },
  ): void {
    if (text === 'from' && state.isQuery && !this.#comparesWithFrom()) {
      state.inFrom = true;
      state.wanted = true;
    } else if (text === 'join' && state.inFrom) state.wanted = true;
    else if (text === 'table' && state.isQuery && this.#at === this.#firstOf('table')) {
      state.wanted = true;
    } else if (AFTER_FROM.has(text)) state.inFrom = false;
  }

  /** `IS [NOT] DISTINCT FROM`. */
  #comparesWithFrom(): boolean {
    const before = this.#tokens[this.#at - 2]?.text;
    const first = this.#tokens[this.#at - 3]?.text;
    return before === 'distinct' && (first === 'is' || first === 'not');
  }

  /** `TABLE name` as a query of its own: the word stands at the beginning, after a parenthesis or a set operation. */
  #firstOf(word: string): number {
    const before = this.#tokens[this.#at - 2];
    const begins =
      before === undefined ||
      before.text === '(' ||
      /^(?:union|all|except|intersect)$/.test(before.text);
    return begins && this.#tokens[this.#at - 1]?.text === word ? this.#at : -1;
  }

  /** One item of FROM. True where only a word before the table's name was read. */
  #table(scope: Scope): boolean {
    const token = this.#peek();
    if (token?.kind === 'symbol' && token.text === '(') {
      this.#at += 1;
      if (this.#isWord(QUERY_STARTS)) this.query(scope);
      else this.#clauses(scope, { isQuery: false, inFrom: true, wanted: true });
      this.#at += 1;
      return false;
    }
    if (token?.kind === 'word' && (token.text === 'lateral' || token.text === 'only')) {
      this.#at += 1;
      return true;
    }
    if (token?.kind !== 'word' && token?.kind !== 'quoted') return false;
    const parts = [token.text];
    let end = token.end;
    this.#at += 1;
    while (this.#peek()?.text === '.' && parts.length < 3) {
      const part = this.#tokens[this.#at + 1];
      if (part?.kind !== 'word' && part?.kind !== 'quoted') break;
      parts.push(part.text);
      end = part.end;
      this.#at += 2;
    }
    // A function that gives rows.
    if (this.#peek()?.text === '(') return false;
    if (parts.length > 1 || !scope.has(token.text)) {
      this.found.push({ parts, start: token.start, end });
    }
    return false;
  }

  /** Names of CTEs hide tables in what follows them, with RECURSIVE in themselves too. */
  #with(outer: Scope): Scope {
    if (this.#peek()?.text !== 'with' || this.#peek()?.kind !== 'word') return outer;
    this.#at += 1;
    const scope = new Set(outer);
    const recursive = this.#peek()?.text === 'recursive';
    if (recursive) this.#at += 1;
    do {
      const name = this.#next().text;
      if (recursive) scope.add(name);
      // Up to the body: a list of columns, AS, MATERIALIZED, USING KEY.
      while (this.#at < this.#tokens.length && this.#peek()?.text !== 'as') this.#at += 1;
      while (this.#at < this.#tokens.length && this.#peek()?.text !== '(') this.#at += 1;
      this.#at += 1;
      this.query(scope);
      this.#at += 1;
      scope.add(name);
    } while (this.#takeComma());
    return scope;
  }

  #takeComma(): boolean {
    if (this.#peek()?.text !== ',') return false;
    this.#at += 1;
    return true;
  }

  #isWord(words: ReadonlySet<string>): boolean {
    const token = this.#peek();
    return token?.kind === 'word' && words.has(token.text);
  }

  #peek(): SqlToken | undefined {
    return this.#tokens[this.#at];
  }

  #next(): SqlToken {
    const token = this.#tokens[this.#at] ?? { kind: 'symbol', text: '', start: 0, end: 0 };
    this.#at += 1;
    return token;
  }
}

/** In the order of the text. Throws `SqlUnended`. */
export function tableReferences(sql: string): readonly TableReference[] {
  const reader = new Reader(sqlTokens(sql));
  reader.query(new Set());
  return reader.found.toSorted((a, b) => a.start - b.start);
}

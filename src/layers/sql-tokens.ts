/**
 * SQL cut into tokens, as far as table names can be told from everything else. Lexical rules are those of PostgreSQL
 * (documentation, "Lexical Structure"), which DuckDB's parser shares.
 */

export interface SqlToken {
  readonly kind: 'word' | 'quoted' | 'string' | 'number' | 'symbol';
  /** A word in lower case, a quoted name without its quotes, else as it stands. */
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** What never ends: a string, a quoted name or a comment. */
export class SqlUnended extends Error {
  readonly at: number;

  constructor(what: string, at: number) {
    super(`${what} is never closed`);
    this.name = 'SqlUnended';
    this.at = at;
  }
}

const SPACE = /\s+/y;
const WORD = /[\p{L}_][\p{L}\p{M}\p{N}_$]*/uy;
const NUMBER = /(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y;
const DOLLAR = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;

function match(pattern: RegExp, sql: string, at: number): string | null {
  pattern.lastIndex = at;
  return pattern.exec(sql)?.[0] ?? null;
}

/** Comments nest. Returns the end. */
function skipBlockComment(sql: string, start: number): number {
  let depth = 0;
  for (let at = start; at < sql.length; at += 1) {
    if (sql.startsWith('/*', at)) {
      depth += 1;
      at += 1;
    } else if (sql.startsWith('*/', at)) {
      depth -= 1;
      at += 1;
      if (depth === 0) return at + 1;
    }
  }
  throw new SqlUnended('a comment', start);
}

/** End of what `quote` opens at `start`; it is doubled inside, or with `escapes` follows a backslash. */
function endOfQuoted(sql: string, start: number, escapes: boolean): number {
  const mark = sql[start] ?? '';
  for (let at = start + 1; at < sql.length; at += 1) {
    if (escapes && sql[at] === '\\') at += 1;
    else if (sql[at] === mark) {
      if (sql[at + 1] !== mark) return at + 1;
      at += 1;
    }
  }
  throw new SqlUnended(mark === '"' ? 'a quoted name' : 'a string', start);
}

function skipSpace(sql: string, start: number): number {
  let at = start;
  for (;;) {
    const space = match(SPACE, sql, at);
    if (space !== null) at += space.length;
    else if (sql.startsWith('--', at)) {
      const line = sql.indexOf('\n', at);
      at = line < 0 ? sql.length : line;
    } else if (sql.startsWith('/*', at)) at = skipBlockComment(sql, at);
    else return at;
  }
}

function readToken(sql: string, start: number): SqlToken {
  const of = (kind: SqlToken['kind'], end: number, text = sql.slice(start, end)): SqlToken => ({
    kind,
    text,
    start,
    end,
  });
  const first = sql[start] ?? '';
  if (first === '"') {
    const end = endOfQuoted(sql, start, false);
    return of('quoted', end, sql.slice(start + 1, end - 1).replaceAll('""', '"'));
  }
  if (first === "'") return of('string', endOfQuoted(sql, start, false));
  if (/[eE]/.test(first) && sql[start + 1] === "'") {
    return of('string', endOfQuoted(sql, start + 1, true));
  }
  const word = match(WORD, sql, start);
  if (word !== null) return of('word', start + word.length, word.toLowerCase());
  const number = match(NUMBER, sql, start);
  if (number !== null) return of('number', start + number.length);
  const tag = match(DOLLAR, sql, start);
  if (tag !== null) {
    const close = sql.indexOf(tag, start + tag.length);
    if (close < 0) throw new SqlUnended('a string', start);
    return of('string', close + tag.length);
  }
  return of('symbol', start + 1);
}

/** Throws `SqlUnended`. */
export function sqlTokens(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  for (let at = skipSpace(sql, 0); at < sql.length;) {
    const token = readToken(sql, at);
    tokens.push(token);
    at = skipSpace(sql, token.end);
  }
  return tokens;
}

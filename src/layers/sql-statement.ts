/** Whether a piece of SQL is one expression or one query, and stays inside the parentheses that are put around it. */
import { type SqlToken, SqlUnended, sqlTokens } from './sql-tokens.ts';

/** Words that change data or settings; as the first one they make a statement something else than a query. */
const QUERY_WORDS: ReadonlySet<string> = new Set(['select', 'with', 'from', 'values', 'table']);
/** A query may hold these as statements of its own (`WITH x AS (DELETE ...)`). */
const CHANGING: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge']);

export interface SqlFlaw {
  readonly message: string;
  readonly at: number;
}

function balanceFlaw(tokens: readonly SqlToken[]): SqlFlaw | null {
  let depth = 0;
  for (const { kind, text, start } of tokens) {
    if (kind !== 'symbol') continue;
    if (text === '(') depth += 1;
    else if (text === ')') {
      depth -= 1;
      if (depth < 0) return { message: 'a parenthesis is closed that was not opened', at: start };
    } else if (text === ';') return { message: 'it holds more than one statement', at: start };
  }
  return depth === 0
    ? null
    : { message: 'a parenthesis is not closed', at: tokens.at(-1)?.end ?? 0 };
}

function tokensOf(sql: string): readonly SqlToken[] | SqlFlaw {
  try {
    return sqlTokens(sql);
  } catch (error) {
    if (error instanceof SqlUnended) return { message: error.message, at: error.at };
    throw error;
  }
}

function isFlaw(given: readonly SqlToken[] | SqlFlaw): given is SqlFlaw {
  return 'message' in given;
}

/** What keeps the text from being one expression. */
export function sqlStatementFlaw(sql: string): string | null {
  const tokens = tokensOf(sql);
  if (isFlaw(tokens)) return tokens.message;
  if (tokens.length === 0) return 'it is empty';
  return balanceFlaw(tokens)?.message ?? null;
}

/** What keeps the text from being one query that only reads. */
export function sqlQueryFlaw(sql: string): SqlFlaw | null {
  const tokens = tokensOf(sql);
  if (isFlaw(tokens)) return tokens;
  const first = tokens.find(({ text }) => text !== '(');
  if (first === undefined) return { message: 'it has no SQL', at: 0 };
  if (first.kind !== 'word' || !QUERY_WORDS.has(first.text)) {
    return {
      message: 'it is no query: it begins neither with SELECT nor with WITH',
      at: first.start,
    };
  }
  for (const [index, token] of tokens.entries()) {
    const opens = tokens[index - 1]?.text === '(';
    if (opens && token.kind === 'word' && CHANGING.has(token.text)) {
      const call = tokens[index + 1]?.text === '(';
      if (!call) return { message: 'it changes data: a model only reads', at: token.start };
    }
  }
  return balanceFlaw(tokens);
}

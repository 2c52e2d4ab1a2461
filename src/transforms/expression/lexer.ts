/** The words of the expression language. `at` counts UTF-16 units from 0. */

export type Token =
  | { readonly kind: 'number'; readonly text: string; readonly at: number }
  | { readonly kind: 'text'; readonly text: string; readonly at: number }
  /** A name in double quotes is never a keyword. */
  | { readonly kind: 'name'; readonly text: string; readonly quoted: boolean; readonly at: number }
  | { readonly kind: 'sign'; readonly text: string; readonly at: number }
  | { readonly kind: 'end'; readonly text: ''; readonly at: number };

export class ExpressionSyntax extends Error {
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const WORDS: readonly (readonly [kind: Token['kind'] | 'space', pattern: RegExp])[] = [
  ['space', /(?:\s|--[^\n]*)+/y],
  ['number', /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\p{L}_])/uy],
  ['text', /'(?:[^']|'')*'/y],
  ['name', /"(?:[^"]|"")+"|[\p{L}_][\p{L}\p{N}_$]*/uy],
  ['sign', /<>|!=|<=|>=|==|\|\||[-+*/%=<>()[\].,]/y],
];

export function readTokens(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < source.length) {
    const [kind, text] = wordAt(source, at);
    if (kind !== 'space') tokens.push(token(kind, text, at));
    at += text.length;
  }
  tokens.push({ kind: 'end', text: '', at });
  return tokens;
}

function wordAt(source: string, at: number): [Token['kind'] | 'space', string] {
  for (const [kind, pattern] of WORDS) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    if (match !== null) return [kind, match[0]];
  }
  const quote = source.charAt(at);
  if (quote === "'" || quote === '"') throw new ExpressionSyntax('the quote is never closed', at);
  throw new ExpressionSyntax(`${JSON.stringify(quote)} is not understood here`, at);
}

function token(kind: Token['kind'], text: string, at: number): Token {
  switch (kind) {
    case 'text':
      return { kind, text: text.slice(1, -1).replaceAll("''", "'"), at };
    case 'name': {
      const quoted = text.startsWith('"');
      return { kind, text: quoted ? text.slice(1, -1).replaceAll('""', '"') : text, quoted, at };
    }
    case 'number':
      // JSON knows no leading zeros.
      return { kind, text: text.replace(/^0+(?=[0-9])/, ''), at };
    case 'sign':
      return { kind, text, at };
    default:
      return { kind: 'end', text: '', at };
  }
}

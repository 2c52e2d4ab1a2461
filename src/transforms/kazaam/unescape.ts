const SHORT: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/** The four digits after a two-character prefix that is not looked at, as upstream reads a second surrogate. */
function unit(text: string, at: number): number | null {
  const digits = text.slice(at + 2, at + 6);
  return /^[0-9A-Fa-f]{4}$/.test(digits) ? Number.parseInt(digits, 16) : null;
}

/** A character and the length of its escape. */
function escapeAt(text: string, at: number): readonly [string, number] | null {
  const letter = text.charAt(at + 1);
  if (letter !== 'u') {
    const short = SHORT[letter];
    return short === undefined ? null : [short, 2];
  }
  const high = unit(text, at);
  if (high === null) return null;
  if (high < 0xd800 || high > 0xdfff) return [String.fromCharCode(high), 6];
  const low = unit(text, at + 6);
  if (low === null || low < 0xdc00) return null;
  const point = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  return [point > 0x10ffff ? '\ufffd' : String.fromCodePoint(point), 12];
}

/** The key that a text with escapes stands for, by the rules of qntfy/jsonparser; null where it finds none. */
export function unescapeKey(raw: string): string | null {
  let key = '';
  let at = 0;
  for (;;) {
    const slash = raw.indexOf('\\', at);
    if (slash === -1) return key + raw.slice(at);
    const found = escapeAt(raw, slash);
    if (found === null) return null;
    key += raw.slice(at, slash) + found[0];
    at = slash + found[1];
  }
}

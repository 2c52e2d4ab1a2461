/** Texts of a server on a terminal: what would move the cursor or hide something is shown, not done. */

// Control characters, and those that reverse the direction of writing.
const UNSAFE = /[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;

export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '\n' || character === '\t') return ' ';
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  });
}

/** Bytes of a configuration file as text, or why they are none. Pure. */
import { isUtf8 } from 'node:buffer';
import type { Flaw } from './document.ts';

export const MAX_FILE_BYTES = 16 * 1024 * 1024;

export interface DecodedText {
  /** Without a byte order mark. Up to the flaw it is what stands in the file. */
  readonly text: string;
  readonly flaw: Flaw | null;
}

function refuse(text: string, offset: number, message: string): DecodedText {
  const fix = 'Give a YAML or JSON file, saved as UTF-8.';
  return { text, flaw: { offset, path: [], rule: 'encoding', message, fix } };
}

const REPLACEMENT = '\uFFFD';

export function decodeText(bytes: Uint8Array): DecodedText {
  const [first, second] = bytes;
  const isMarked = (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
  const zero = bytes.indexOf(0);
  // ASCII in UTF-16 has a zero byte in one of its first two.
  if (isMarked || (zero >= 0 && zero < 2)) return refuse('', 0, 'the file is UTF-16, not UTF-8');
  if (zero >= 0) return refuse('', 0, 'the file is binary, not text');
  const text = new TextDecoder().decode(bytes);
  if (isUtf8(bytes)) return { text, flaw: null };
  return refuse(text, Math.max(0, text.indexOf(REPLACEMENT)), 'a byte here is not UTF-8');
}

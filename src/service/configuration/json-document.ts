/** JSON (RFC 8259) with the place of every value. Strict: what it takes, JSON.parse takes. Pure. */
import {
  type DocumentNode,
  type Flaw,
  type MapEntry,
  MAX_DEPTH,
  type ReadDocument,
} from './document.ts';
import type { Path } from './problem.ts';

const SPACE = /[ \t\r\n]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /true|false|null/y;
const WORDS = new Map<string, boolean | null>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

interface Cursor {
  readonly text: string;
  readonly flaws: Flaw[];
  at: number;
}

/** Thrown to leave the recursion; the flaw is already noted. */
class Stop extends Error {}

function stop(cursor: Cursor, path: Path, message: string): never {
  const fix = 'Correct the JSON here; an editor shows the place too.';
  cursor.flaws.push({ offset: cursor.at, path, rule: 'syntax', message, fix });
  throw new Stop(message);
}

function stopTooDeep(cursor: Cursor): never {
  const message = `nested more than ${MAX_DEPTH} levels deep`;
  const fix = 'No field of the file is that deep: check the brackets.';
  cursor.flaws.push({ offset: cursor.at, path: [], rule: 'depth', message, fix });
  throw new Stop(message);
}

function take(cursor: Cursor, pattern: RegExp): string | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text)?.[0];
  if (found === undefined) return null;
  cursor.at += found.length;
  return found;
}

/** A text with its quotes; null if it has no end or holds what JSON does not know. */
function takeString(cursor: Cursor): string | null {
  let end = cursor.at + 1;
  for (;;) {
    const code = cursor.text.charCodeAt(end);
    if (Number.isNaN(code)) return null;
    end += code === 0x5c ? 2 : 1;
    if (code === 0x22) break;
  }
  try {
    const value = String(JSON.parse(cursor.text.slice(cursor.at, end)));
    cursor.at = end;
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Skips space and says what comes; empty at the end. */
function next(cursor: Cursor): string {
  take(cursor, SPACE);
  return cursor.text[cursor.at] ?? '';
}

function seen(character: string): string {
  return character === '' ? 'the end of the file' : JSON.stringify(character);
}

/** Goes over `separator` or `end`; true at the end. */
function atEnd(cursor: Cursor, end: string, path: Path): boolean {
  const character = next(cursor);
  if (character !== end && character !== ',') {
    return stop(cursor, path, `expected "," or "${end}", found ${seen(character)}`);
  }
  cursor.at += 1;
  return character === end;
}

function readKey(cursor: Cursor, path: Path): string {
  const character = next(cursor);
  const key = character === '"' ? takeString(cursor) : null;
  return key ?? stop(cursor, path, `expected a name in double quotes, found ${seen(character)}`);
}

function readMap(cursor: Cursor, path: Path): DocumentNode {
  const offset = cursor.at;
  const entries = new Map<string, MapEntry>();
  cursor.at += 1;
  if (next(cursor) === '}') {
    cursor.at += 1;
    return { kind: 'map', offset, entries };
  }
  do {
    next(cursor);
    const keyOffset = cursor.at;
    const key = readKey(cursor, path);
    const inner = [...path, key];
    if (entries.has(key)) {
      const message = `the key ${JSON.stringify(key)} stands here a second time`;
      const fix = 'Keep one of the two.';
      cursor.flaws.push({ offset: keyOffset, path: inner, rule: 'duplicate-key', message, fix });
    }
    const colon = next(cursor);
    if (colon !== ':') stop(cursor, inner, `expected ":", found ${seen(colon)}`);
    cursor.at += 1;
    entries.set(key, { keyOffset, node: readValue(cursor, inner) });
  } while (!atEnd(cursor, '}', path));
  return { kind: 'map', offset, entries };
}

function readList(cursor: Cursor, path: Path): DocumentNode {
  const offset = cursor.at;
  const items: DocumentNode[] = [];
  cursor.at += 1;
  if (next(cursor) === ']') {
    cursor.at += 1;
    return { kind: 'list', offset, items };
  }
  do items.push(readValue(cursor, [...path, items.length]));
  while (!atEnd(cursor, ']', path));
  return { kind: 'list', offset, items };
}

function readValue(cursor: Cursor, path: Path): DocumentNode {
  const character = next(cursor);
  const offset = cursor.at;
  if (path.length > MAX_DEPTH) stopTooDeep(cursor);
  if (character === '{') return readMap(cursor, path);
  if (character === '[') return readList(cursor, path);
  if (character === '"') {
    const value = takeString(cursor);
    if (value === null) stop(cursor, path, 'the text has no end or a wrong escape in it');
    return { kind: 'scalar', offset, value, source: null };
  }
  const source = take(cursor, NUMBER);
  if (source !== null) return { kind: 'scalar', offset, value: Number(source), source };
  const word = WORDS.get(take(cursor, WORD) ?? '');
  if (word === undefined) return stop(cursor, path, `expected a value, found ${seen(character)}`);
  return { kind: 'scalar', offset, value: word, source: null };
}

export function readJson(text: string): ReadDocument {
  const cursor: Cursor = { text, flaws: [], at: 0 };
  try {
    const root = readValue(cursor, []);
    const rest = next(cursor);
    if (rest !== '') stop(cursor, [], `expected the end of the file, found ${seen(rest)}`);
    return cursor.flaws.length === 0 ? { root, flaws: [] } : { root: null, flaws: cursor.flaws };
  } catch (error) {
    if (error instanceof Stop) return { root: null, flaws: cursor.flaws };
    throw error;
  }
}

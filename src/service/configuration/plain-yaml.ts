/**
 * YAML as programs write it: block mappings and lists, a scalar on each line. It reads that several times
 * faster than the general parser, and gives up at whatever else there is: quoting rules, anchors, flow style,
 * texts over several lines, every mistake. What it reads, it reads as the general parser does. Pure.
 */
import type { DocumentNode, MapEntry } from './document.ts';

interface Line {
  /** Offset of the first character that is no space. */
  offset: number;
  indent: number;
  content: string;
}

interface Cursor {
  readonly lines: readonly Line[];
  at: number;
}

const MAX_PLAIN_DEPTH = 16;

/** Space that is neither a blank nor the end of a line: it may mean many things. */
const OTHER_SPACE = /[^\S \r\n]|\r(?!\n)|\u0085/;

/** Lines that are empty, a comment or the mark where the document begins are left out. */
function linesOf(text: string): Line[] {
  const lines: Line[] = [];
  let isMarked = false;
  let start = 0;
  while (start < text.length) {
    const newline = text.indexOf('\n', start);
    const end = newline < 0 ? text.length : newline;
    let offset = start;
    while (text.charCodeAt(offset) === 0x20) offset += 1;
    const content = text.slice(offset, text[end - 1] === '\r' ? end - 1 : end).trimEnd();
    const isMarker = content === '---' && offset === start && lines.length === 0 && !isMarked;
    if (isMarker) isMarked = true;
    else if (content !== '' && content[0] !== '#') {
      lines.push({ offset, indent: offset - start, content });
    }
    start = end + 1;
  }
  return lines;
}

const INTEGER = /^[-+]?\d+$/;
const FLOAT = /^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/;
const SPECIAL = /^(?:[-+]?\.(?:inf|nan)|0[ox].*|~)$/i;
const WORDS = new Map<string, boolean | null>(
  (['null', 'true', 'false'] as const).flatMap((word) => {
    const value = word === 'null' ? null : word === 'true';
    const capital = word.charAt(0).toUpperCase() + word.slice(1);
    return [word, capital, word.toUpperCase()].map((text) => [text, value] as const);
  }),
);
/** How a text may begin that is neither quoted nor anything special. */
const PLAIN_START = /^(?:[A-Za-z0-9_./$+]|-[^\s])/;

function plainScalar(text: string, offset: number): DocumentNode | null {
  if (!PLAIN_START.test(text) || text.endsWith(':') || text.includes(': ')) return null;
  const word = WORDS.get(text);
  if (word !== undefined) return { kind: 'scalar', offset, value: word, source: null };
  if (INTEGER.test(text) || FLOAT.test(text)) {
    return { kind: 'scalar', offset, value: Number(text), source: text };
  }
  return SPECIAL.test(text) ? null : { kind: 'scalar', offset, value: text, source: null };
}

/** In quotes, and nothing in it that quotes change. */
const QUOTED = /^(?:"([^"\\]*)"|'([^']*)')(?:\s+#.*)?$/;

function scalar(text: string, offset: number): DocumentNode | null {
  if (text === '[]') return { kind: 'list', offset, items: [] };
  if (text === '{}') return { kind: 'map', offset, entries: new Map() };
  const quoted = QUOTED.exec(text);
  if (quoted !== null) {
    return { kind: 'scalar', offset, value: quoted[1] ?? quoted[2] ?? '', source: null };
  }
  const comment = text.indexOf(' #');
  return plainScalar(comment < 0 ? text : text.slice(0, comment).trimEnd(), offset);
}

const PAIR = /^([A-Za-z_][\w.-]*):(?: +(.*))?$/s;

/** What a key without a value on its line has: the block below it, or nothing. */
function below(cursor: Cursor, indent: number, offset: number, depth: number): DocumentNode | null {
  const line = cursor.lines[cursor.at];
  const isList = line?.content.startsWith('- ') ?? false;
  if (line !== undefined && (line.indent > indent || (isList && line.indent === indent))) {
    return readBlock(cursor, line.indent, depth + 1);
  }
  return { kind: 'scalar', offset, value: null, source: null };
}

function readMap(cursor: Cursor, indent: number, depth: number): DocumentNode | null {
  const offset = cursor.lines[cursor.at]?.offset ?? 0;
  const entries = new Map<string, MapEntry>();
  for (;;) {
    const line = cursor.lines[cursor.at];
    if (line === undefined || line.indent !== indent) break;
    const [, key, value = ''] = PAIR.exec(line.content) ?? [];
    if (key === undefined || entries.has(key)) return null;
    cursor.at += 1;
    const isBare = value === '' || value[0] === '#';
    const node = isBare
      ? below(cursor, indent, line.offset, depth)
      : scalar(value, line.offset + line.content.length - value.length);
    if (node === null) return null;
    entries.set(key, { keyOffset: line.offset, node });
  }
  return { kind: 'map', offset, entries };
}

function readList(cursor: Cursor, indent: number, depth: number): DocumentNode | null {
  const offset = cursor.lines[cursor.at]?.offset ?? 0;
  const items: DocumentNode[] = [];
  for (;;) {
    const line = cursor.lines[cursor.at];
    if (line === undefined || line.indent !== indent || !line.content.startsWith('- ')) break;
    const rest = line.content.slice(1).trimStart();
    const width = line.content.length - rest.length;
    const at = line.offset + width;
    let node: DocumentNode | null;
    if (PAIR.test(rest)) {
      // The first key of the item stands where it would on a line of its own.
      Object.assign(line, { offset: at, indent: indent + width, content: rest });
      node = readMap(cursor, indent + width, depth + 1);
    } else {
      cursor.at += 1;
      node = scalar(rest, at);
    }
    if (node === null) return null;
    items.push(node);
  }
  return { kind: 'list', offset, items };
}

/** Ends at the first line that is less deep; one that fits nowhere is left over, and then all is given up. */
function readBlock(cursor: Cursor, indent: number, depth: number): DocumentNode | null {
  if (depth > MAX_PLAIN_DEPTH) return null;
  const isList = cursor.lines[cursor.at]?.content.startsWith('- ') ?? false;
  return isList ? readList(cursor, indent, depth) : readMap(cursor, indent, depth);
}

/** The tree of the text; null where the general parser has to read it. */
export function readPlainYaml(text: string): DocumentNode | null {
  const lines = OTHER_SPACE.test(text) ? [] : linesOf(text);
  const [first] = lines;
  if (first === undefined) return null;
  const cursor: Cursor = { lines, at: 0 };
  const root = readBlock(cursor, first.indent, 0);
  return cursor.at === lines.length ? root : null;
}

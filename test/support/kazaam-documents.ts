// Random JSON documents as text, written in many ways: white space, number lexemes, escapes, repeated keys.
import type { Random } from './random.ts';

const KEYS = ['a', 'b', 'c', 'items', 'name', 'x y', 'k.v', 'é', 'quo\\"te', '\\u0061', '<t>', '0'];
const NUMBERS = [
  '0',
  '-0',
  '7',
  '1.0',
  '-12.50',
  '1e5',
  '1E+2',
  '0.1000',
  '1481305274100000000000000000000',
  '9007199254740993',
];
const STRINGS = [
  '""',
  '"x"',
  '"two words"',
  '"null"',
  '"line\\nbreak"',
  '"\\u00e9\\ud83d\\ude00"',
  '"😀 é"',
  '"say \\"hi\\""',
  '"back\\\\slash"',
  '"a.b[0]"',
  '"<b>&</b>"',
  '"]"',
  '"}:{"',
  '"1500621327"',
  '"2017-07-21T08:15:27+01:00"',
  '"Fri Jul 21 08:15:27 +0100 2017"',
];

/** A document and where its values are. */
export interface Document {
  readonly text: string;
  /** Paths with the default separator, of every value but the root. */
  readonly paths: readonly string[];
}

function space(random: Random, loose: boolean): string {
  return loose && random.chance(25) ? random.pick([' ', '  ', '\t', '\r', ' \n ']) : '';
}

interface Drawing {
  readonly random: Random;
  readonly loose: boolean;
  readonly paths: string[];
}

function drawValue(drawing: Drawing, depth: number, path: string): string {
  const { random } = drawing;
  if (path !== '') drawing.paths.push(path);
  const kind = random.below(depth <= 0 ? 4 : 9);
  if (kind === 0) return random.pick(NUMBERS);
  if (kind === 1 || kind === 2) return random.pick(STRINGS);
  if (kind === 3) return random.pick(['true', 'false', 'null', 'null']);
  return kind < 7 ? drawObject(drawing, depth, path) : drawArray(drawing, depth, path);
}

function drawObject(drawing: Drawing, depth: number, path: string): string {
  const { random, loose } = drawing;
  const gap = (): string => space(random, loose);
  const used = new Set<string>();
  const members: string[] = [];
  for (let i = random.below(5); i > 0; i -= 1) {
    const key = random.pick(KEYS);
    if (used.has(key) && !random.chance(10)) continue;
    used.add(key);
    const below = path === '' ? key : `${path}.${key}`;
    const value = drawValue(drawing, depth - 1, below);
    members.push(`${gap()}"${key}"${gap()}:${gap()}${value}${gap()}`);
  }
  return `{${members.length === 0 ? gap() : members.join(',')}}`;
}

function drawArray(drawing: Drawing, depth: number, path: string): string {
  const { random, loose } = drawing;
  const gap = (): string => space(random, loose);
  const alike = random.chance(60) ? random.pick(['a', 'name']) : null;
  const items: string[] = [];
  for (let i = random.below(4); i > 0; i -= 1) {
    const below = `${path}[${items.length}]`;
    if (alike === null) items.push(`${gap()}${drawValue(drawing, depth - 1, below)}${gap()}`);
    else {
      const inner = drawValue(drawing, depth - 2, `${below}.${alike}`);
      items.push(`${gap()}{"${alike}":${gap()}${inner}}${gap()}`);
    }
  }
  return `[${items.length === 0 ? gap() : items.join(',')}]`;
}

export function drawDocument(random: Random): Document {
  const drawing = { random, loose: random.chance(35), paths: [] };
  const gap = (): string => (random.chance(10) ? space(random, drawing.loose) : '');
  const root = random.below(100);
  const value =
    root < 92
      ? drawObject(drawing, 4, '')
      : root < 98
        ? drawArray(drawing, 4, '')
        : drawValue(drawing, 0, '');
  return { text: `${gap()}${value}${gap()}`, paths: drawing.paths };
}

/**
 * A shift at the beginning of a specification, and the defaults after it, as one pass: all values are found in a
 * single scan of the document and put into a text that is the same for every document. What this cannot do
 * (paths through values, escapes, `[+]`) is left to the operations one by one.
 */
import type { DocumentsInPlace } from '../line-transform.ts';
import { encoded } from './byte-text.ts';
import { missingPath } from './failure.ts';
import { goJson } from './go-values.ts';
import { type Path, readPath } from './path.ts';
import { type Findings, findings, scan } from './scan.ts';
import type { OperationSpec } from './specification.ts';
import { isPlainKey, openWants, plainIndex, type Source, type Wants } from './wants.ts';

type Node =
  | { readonly kind: 'object'; readonly members: Map<string, Node> }
  | { readonly kind: 'array'; readonly items: Node[] }
  | { readonly kind: 'value'; readonly json: string }
  /** What a read of the shift yields. */
  | { readonly kind: 'hole'; readonly read: number };

const NULL: Node = { kind: 'value', json: 'null' };

function child(parent: Node, key: string): Node | undefined {
  const index = plainIndex(key);
  if (parent.kind === 'object' && index === null) return parent.members.get(key);
  return parent.kind === 'array' && typeof index === 'number' ? parent.items[index] : undefined;
}

/** False where the parent is of the wrong kind, so that the text would depend on more than the shape. */
function put(parent: Node, key: string, node: Node): boolean {
  const index = plainIndex(key);
  if (parent.kind === 'object' && index === null) {
    parent.members.set(key, node);
    return true;
  }
  if (parent.kind !== 'array' || typeof index !== 'number') return false;
  while (parent.items.length < index) parent.items.push(NULL);
  parent.items[index] = node;
  return true;
}

function grow(root: Node, path: Path, leaf: Node): boolean {
  if (path.tail.kind !== 'end' || !path.keys.every(isPlainKey)) return false;
  let parent = root;
  for (const [at, key] of path.keys.entries()) {
    const next = path.keys[at + 1];
    if (next === undefined) return put(parent, key, leaf);
    let inner = child(parent, key);
    if (inner === undefined) {
      inner =
        plainIndex(next) === null
          ? { kind: 'object', members: new Map() }
          : { kind: 'array', items: [] };
      if (!put(parent, key, inner)) return false;
    }
    parent = inner;
  }
  return false;
}

/** Text that stands for itself and, between each two pieces, the number of a read. */
interface Template {
  readonly pieces: string[];
  readonly reads: number[];
}

function write(node: Node, into: Template): void {
  const add = (text: string): void => {
    into.pieces.push((into.pieces.pop() ?? '') + text);
  };
  if (node.kind === 'value') add(node.json);
  else if (node.kind === 'hole') {
    into.reads.push(node.read);
    into.pieces.push('');
  } else if (node.kind === 'array') {
    node.items.forEach((item, at) => {
      add(at === 0 ? '[' : ',');
      write(item, into);
    });
    add(']');
  } else {
    let open = '{';
    for (const [key, inner] of node.members) {
      add(`${open}"${key}":`);
      write(inner, into);
      open = ',';
    }
    add(open === '{' ? '{}' : '}');
  }
}

interface Read {
  readonly source: Source;
  readonly required: boolean;
  readonly wrapped: boolean;
}

/** How specifications are read. */
interface Fusing {
  readonly strict: boolean;
  /** Whether a path may have conditions and converters, which are left to the slow way. */
  readonly extended: boolean;
}

interface Building extends Fusing {
  readonly reads: Read[];
  readonly wants: Wants;
  readonly root: Node;
}

interface Asked {
  readonly target: string;
  /** Null for the whole document. */
  readonly path: Path | null;
  readonly wrapped: boolean;
}

function askedOf(spec: OperationSpec, { strict, extended }: Fusing): readonly Asked[] | null {
  const asked: Asked[] = [];
  for (const [target, source] of Object.entries(spec.spec ?? {})) {
    const wrapped = Array.isArray(source);
    const text: unknown = wrapped && source.length === 1 ? source[0] : source;
    if (typeof text !== 'string' || (extended && /[|?\\]/.test(text))) return null;
    const path = text === '$' ? null : readPath(text, spec.keySeparator, strict);
    asked.push({ target, path, wrapped });
  }
  return asked;
}

function addShift(spec: OperationSpec, building: Building): boolean {
  const { wants, strict } = building;
  const asked = askedOf(spec, building);
  if (asked === null) return false;
  for (const { path } of asked) if (path !== null) wants.announce(path);
  for (const { target, path, wrapped } of asked) {
    const source: Source | null = path === null ? { kind: 'document' } : wants.add(path);
    if (source === null) return false;
    const hole: Node = { kind: 'hole', read: building.reads.length };
    building.reads.push({ source, required: spec.require, wrapped });
    const to = readPath(target, spec.keySeparator, strict);
    if (!grow(building.root, to, hole)) return false;
  }
  return true;
}

function addDefaults(spec: OperationSpec, building: Building): boolean {
  return Object.entries(spec.spec ?? {}).every(([target, value]) => {
    const path = readPath(target, spec.keySeparator, building.strict);
    return grow(building.root, path, { kind: 'value', json: goJson(value) });
  });
}

export interface Fused {
  /** How many operations it stands for. */
  readonly operations: number;
  /** Whether nothing but ASCII is added. */
  readonly isAscii: boolean;
  /** In texts with a character a byte; throws a KazaamFailure. */
  readonly inPlace: DocumentsInPlace;
}

function listText(
  text: string,
  list: readonly number[] | null | undefined,
  required: boolean,
): string {
  if (list == null) {
    if (required) throw missingPath();
    return '[]';
  }
  let out = '';
  for (let i = 0; i < list.length; i += 2) {
    const from = list[i] ?? -1;
    if (from < 0 && required) throw missingPath();
    out += (i === 0 ? '' : ',') + (from < 0 ? 'null' : text.slice(from, list[i + 1]));
  }
  return `[${out}]`;
}

interface Scanned {
  readonly text: string;
  readonly from: number;
  readonly found: Findings;
}

function sourceText({ text, from: begin, found }: Scanned, { source, required }: Read): string {
  if (source.kind === 'document') return text.slice(begin, found.end);
  if (source.kind === 'list') return listText(text, found.lists[source.slot], required);
  const { slot, pick } = source;
  const spans = pick === null ? found.spans : found.lists[slot];
  const at = 2 * (pick ?? slot);
  const from = spans?.[at] ?? -1;
  if (from >= 0) return text.slice(from, spans?.[at + 1]);
  if (required) throw missingPath();
  return 'null';
}

function readText(read: Read | undefined, document: Scanned): string {
  if (read === undefined) return '';
  const json = sourceText(document, read);
  return read.wrapped ? `[${json}]` : json;
}

function fuseAll(specs: readonly OperationSpec[], fusing: Fusing): Fused | null {
  const building: Building = {
    ...fusing,
    reads: [],
    wants: openWants(),
    root: { kind: 'object', members: new Map() },
  };
  const fits = specs.every((spec) =>
    spec.operation === 'shift' ? addShift(spec, building) : addDefaults(spec, building),
  );
  if (!fits) return null;
  const { reads, wants, root } = building;
  const template: Template = { pieces: [''], reads: [] };
  write(root, template);
  const { want, slots, places } = wants.settle();
  const found = findings(slots, places);
  const first = encoded(template.pieces[0] ?? '');
  const rest = template.pieces.slice(1).map(encoded);
  const holes = template.reads;
  const values = reads.map(() => '');
  const inPlace: DocumentsInPlace = {
    end: () => found.end,
    transform: (bytes, text, from) => {
      if (!scan(bytes, from, want, found)) return null;
      const document = { text, from, found };
      for (let i = 0; i < reads.length; i += 1) values[i] = readText(reads[i], document);
      let out = first;
      for (let i = 0; i < holes.length; i += 1) {
        out += (values[holes[i] ?? 0] ?? '') + (rest[i] ?? '');
      }
      return out;
    },
  };
  const isAscii = template.pieces.every((piece) => piece.length === Buffer.byteLength(piece));
  return { operations: specs.length, isAscii, inPlace };
}

/** As many operations as can be done at once; null where there are none. */
export function fuse(specs: readonly OperationSpec[], fusing: Fusing): Fused | null {
  const [first, ...rest] = specs;
  if (first?.operation !== 'shift' || first.over !== null || first.inplace || first.spec === null) {
    return null;
  }
  const other = rest.findIndex(
    ({ operation, over, spec }) => operation !== 'default' || over !== null || spec === null,
  );
  for (let count = other === -1 ? specs.length : other + 1; count > 0; count -= 1) {
    const fused = fuseAll(specs.slice(0, count), fusing);
    if (fused !== null) return fused;
  }
  return null;
}

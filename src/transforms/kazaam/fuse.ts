/**
 * A shift at the beginning of a specification, and the defaults after it, as one pass: all values are found in a
 * single scan of the document and put into a text that is the same for every document. What this cannot do
 * (paths through values, escapes, `[+]`) is left to the operations one by one.
 */
import { missingPath } from './failure.ts';
import { goJson } from './go-values.ts';
import type { Apply, Place } from './operation.ts';
import { type Path, readPath } from './path.ts';
import { type Findings, findings, scan } from './scan.ts';
import { wholeNumber } from './search.ts';
import type { OperationSpec } from './specification.ts';

type Node =
  | { readonly kind: 'object'; readonly members: Map<string, Node> }
  | { readonly kind: 'array'; readonly items: Node[] }
  | { readonly kind: 'value'; readonly json: string }
  /** What a read of the shift yields. */
  | { readonly kind: 'hole'; readonly read: number };

const NULL: Node = { kind: 'value', json: 'null' };

/** `[3]` as 3; undefined for what is no such index but looks like one. */
function plainIndex(key: string): number | null | undefined {
  if (!key.startsWith('[')) return null;
  const index = /^\[\d{1,3}\]$/.test(key) ? wholeNumber(key.slice(1, -1)) : null;
  return index ?? undefined;
}

function isPlainKey(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- what JSON would escape
  return key !== '' && !/["\\\u0000-\u001f]/.test(key) && plainIndex(key) !== undefined;
}

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

interface GrowingWant {
  readonly id: number;
  slot: number;
  readonly members: { key: string; want: GrowingWant }[];
  readonly elements: (GrowingWant | null)[];
}

/** The places of a document that are asked for, as a tree. */
interface Wants {
  readonly root: GrowingWant;
  places: number;
  slots: number;
}

function innerWant(parent: GrowingWant, key: string, wants: Wants): GrowingWant {
  const fresh = (): GrowingWant => {
    const id = wants.places;
    wants.places += 1;
    return { id, slot: -1, members: [], elements: [] };
  };
  const index = plainIndex(key);
  if (typeof index === 'number') {
    while (parent.elements.length <= index) parent.elements.push(null);
    const known = parent.elements[index] ?? fresh();
    parent.elements[index] = known;
    return known;
  }
  const known = parent.members.find((member) => member.key === key);
  if (known !== undefined) return known.want;
  const want = fresh();
  parent.members.push({ key, want });
  return want;
}

/** The slot of the value that the keys lead to; null where only the slow way knows. */
function slotFor(keys: readonly string[], wants: Wants): number | null {
  if (!keys.every(isPlainKey)) return null;
  let want = wants.root;
  for (const key of keys) want = innerWant(want, key, wants);
  if (want.slot < 0) {
    want.slot = wants.slots;
    wants.slots += 1;
  }
  return want.slot;
}

interface Read {
  /** -1 for the whole document. */
  readonly slot: number;
  readonly required: boolean;
  readonly wrapped: boolean;
  /** For `[*]`: what becomes of the text of the list. */
  readonly each: Apply | null;
}

interface Building {
  readonly reads: Read[];
  readonly wants: Wants;
  readonly root: Node;
  readonly place: (path: Path) => Place;
  readonly strict: boolean;
}

function readFor(source: unknown, spec: OperationSpec, building: Building): Read | null {
  const wrapped = Array.isArray(source);
  const path: unknown = wrapped && source.length === 1 ? source[0] : source;
  if (typeof path !== 'string') return null;
  const required = spec.require;
  if (path === '$') return { slot: -1, required, wrapped, each: null };
  const { keys, tail } = readPath(path, spec.keySeparator, building.strict);
  if (tail.kind === 'invalid') return null;
  const slot = slotFor(keys, building.wants);
  if (slot === null) return null;
  if (tail.kind === 'end') return { slot, required, wrapped, each: null };
  // The list stands alone here, so that its path is a bare wildcard below one key.
  const list = building.place({ keys: ['list'], tail });
  const each: Apply = (json) => list.get(`{"list":${json}}`, required);
  return { slot, required, wrapped, each };
}

function addShift(spec: OperationSpec, building: Building): boolean {
  for (const [target, source] of Object.entries(spec.spec ?? {})) {
    const read = readFor(source, spec, building);
    if (read === null) return false;
    const hole: Node = { kind: 'hole', read: building.reads.length };
    building.reads.push(read);
    const path = readPath(target, spec.keySeparator, building.strict);
    if (!grow(building.root, path, hole)) return false;
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
  /** Null for a document that only the slow way can do; throws a KazaamFailure. */
  readonly apply: (text: string) => string | null;
}

function readText(text: string, read: Read, found: Findings): string {
  const from = read.slot < 0 ? 0 : (found.spans[2 * read.slot] ?? -1);
  const to = read.slot < 0 ? text.length : (found.spans[2 * read.slot + 1] ?? -1);
  if (from < 0 && read.required) throw missingPath();
  let json = from < 0 ? 'null' : text.slice(from, to);
  if (read.each !== null) json = from < 0 ? '[]' : read.each(json);
  return read.wrapped ? `[${json}]` : json;
}

function fuseAll(
  specs: readonly OperationSpec[],
  options: Pick<Building, 'place' | 'strict'>,
): Fused | null {
  const rootWant: GrowingWant = { id: 0, slot: -1, members: [], elements: [] };
  const building: Building = {
    ...options,
    reads: [],
    wants: { root: rootWant, places: 1, slots: 0 },
    root: { kind: 'object', members: new Map() },
  };
  const fits = specs.every((spec) =>
    spec.operation === 'shift' ? addShift(spec, building) : addDefaults(spec, building),
  );
  if (!fits) return null;
  const { reads, wants, root } = building;
  const template: Template = { pieces: [''], reads: [] };
  write(root, template);
  const found = findings(wants.slots, wants.places);
  const apply = (text: string): string | null => {
    if (!scan(text, rootWant, found)) return null;
    const values = reads.map((read) => readText(text, read, found));
    let out = template.pieces[0] ?? '';
    for (let i = 0; i < template.reads.length; i += 1) {
      out += (values[template.reads[i] ?? 0] ?? '') + (template.pieces[i + 1] ?? '');
    }
    return out;
  };
  return { operations: specs.length, apply };
}

/** As many operations as can be done at once; null where there are none. */
export function fuse(
  specs: readonly OperationSpec[],
  options: Pick<Building, 'place' | 'strict'>,
): Fused | null {
  const [first, ...rest] = specs;
  if (first?.operation !== 'shift' || first.over !== null || first.inplace || first.spec === null) {
    return null;
  }
  const other = rest.findIndex(
    ({ operation, over, spec }) => operation !== 'default' || over !== null || spec === null,
  );
  for (let count = other === -1 ? specs.length : other + 1; count > 0; count -= 1) {
    const fused = fuseAll(specs.slice(0, count), options);
    if (fused !== null) return fused;
  }
  return null;
}

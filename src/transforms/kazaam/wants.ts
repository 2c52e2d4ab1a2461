/** Gathers the paths that a specification reads into one tree, for a single scan. */
import type { Path } from './path.ts';
import type { Each, Want } from './scan.ts';

/** `[3]` as 3, null for a key; undefined for what looks like an index and is none of these. */
export function plainIndex(key: string): number | null | undefined {
  if (!key.startsWith('[')) return null;
  return /^\[\d{1,3}\]$/.test(key) ? Number(key.slice(1, -1)) : undefined;
}

/** A key or index that is written in a document as it is here. */
export function isPlainKey(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- what JSON would escape
  return key !== '' && !/["\\\u0000-\u001f]/.test(key) && plainIndex(key) !== undefined;
}

/** Where the scan puts what a path leads to. */
export type Source =
  | { readonly kind: 'document' }
  /** `pick`: of a list, the element with this number. */
  | { readonly kind: 'value'; readonly slot: number; readonly pick: number | null }
  | { readonly kind: 'list'; readonly slot: number };

interface Growing {
  readonly id: number;
  slot: number;
  readonly members: { key: string; want: Growing }[];
  readonly elements: (Growing | null)[];
  each: Growing | null;
}

export interface Wants {
  /** Says that a path will be asked for: a list that is read as a whole is read element by element never. */
  announce(path: Path): void;
  /** Null where only the slow way knows. */
  add(path: Path): Source | null;
  settle(): { readonly want: Want; readonly slots: number; readonly places: number };
}

function eachOf(growing: Growing): Each {
  const slots: number[] = [];
  const ids: number[] = [];
  const gather = ({ id, slot, members, elements }: Growing): void => {
    ids.push(id);
    if (slot >= 0) slots.push(slot);
    for (const { want } of members) gather(want);
    for (const element of elements) if (element !== null) gather(element);
  };
  gather(growing);
  return { want: settled(growing), slots, ids };
}

function settled({ id, slot, members, elements, each }: Growing): Want {
  return {
    id,
    slot,
    members: members.map(({ key, want }) => ({ key: Buffer.from(key), want: settled(want) })),
    elements: elements.map((element) => (element === null ? null : settled(element))),
    each: each === null ? null : eachOf(each),
  };
}

const nameOf = (keys: readonly string[]): string => keys.join('"');

export function openWants(): Wants {
  let places = 0;
  let slots = 0;
  const lists = new Set<string>();
  const fresh = (): Growing => {
    places += 1;
    return { id: places - 1, slot: -1, members: [], elements: [], each: null };
  };
  const root = fresh();
  const inner = (parent: Growing, key: string): Growing => {
    const index = plainIndex(key);
    if (typeof index === 'number') {
      while (parent.elements.length <= index) parent.elements.push(null);
      return (parent.elements[index] ??= fresh());
    }
    const known = parent.members.find((member) => member.key === key);
    if (known !== undefined) return known.want;
    const want = fresh();
    parent.members.push({ key, want });
    return want;
  };
  const slotOf = (want: Growing): number => {
    if (want.slot < 0) {
      want.slot = slots;
      slots += 1;
    }
    return want.slot;
  };
  const below = (from: Growing, keys: readonly string[]): Growing =>
    keys.reduce((want, key) => inner(want, key), from);
  return {
    announce: ({ keys, tail }) => {
      if (tail.kind === 'each') lists.add(nameOf(keys));
    },
    add: ({ keys, tail }) => {
      if (tail.kind === 'invalid' || !keys.every(isPlainKey)) return null;
      const at = keys.findIndex((_, nth) => lists.has(nameOf(keys.slice(0, nth))));
      const pick = at === -1 ? null : plainIndex(keys[at] ?? '');
      if (tail.kind === 'end' && pick === null) {
        return { kind: 'value', slot: slotOf(below(root, keys)), pick };
      }
      const list = below(root, at === -1 ? keys : keys.slice(0, at));
      list.each ??= fresh();
      if (tail.kind === 'end') {
        if (typeof pick !== 'number') return null;
        return { kind: 'value', slot: slotOf(below(list.each, keys.slice(at + 1))), pick };
      }
      // A list inside an element of a list.
      const rest = tail.rest ?? { keys: [], tail: { kind: 'end' as const } };
      if (at !== -1 || rest.tail.kind !== 'end' || !rest.keys.every(isPlainKey)) return null;
      return { kind: 'list', slot: slotOf(below(list.each, rest.keys)) };
    },
    settle: () => ({ want: settled(root), slots, places }),
  };
}

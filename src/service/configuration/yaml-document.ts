/** YAML 1.2 (core schema) as a tree with places: anchors, aliases and merge keys are followed. Pure. */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import {
  type DocumentNode,
  type Flaw,
  type MapEntry,
  MAX_DEPTH,
  type ReadDocument,
} from './document.ts';
import type { Path } from './problem.ts';

/** How many values aliases may stand for. More than any real file needs, far less than a bomb makes. */
const MAX_ALIASED_VALUES = 500_000;
const MAX_SYNTAX_FLAWS = 20;

interface Reading {
  readonly flaws: Flaw[];
  /** The last one of each name, as YAML has it. */
  readonly anchors: Map<string, Node>;
  readonly built: Map<Node, { readonly node: DocumentNode; readonly size: number }>;
  readonly open: Set<Node>;
  /** Values under the nodes finished so far, aliases counted as what they stand for. */
  size: number;
  aliased: number;
}

class Stop extends Error {}

function note(reading: Reading, flaw: Flaw): void {
  reading.flaws.push(flaw);
}

function stop(reading: Reading, flaw: Flaw): never {
  note(reading, flaw);
  throw new Stop(flaw.message);
}

function offsetOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function followAlias(reading: Reading, alias: Alias, path: Path): DocumentNode {
  const offset = offsetOf(alias);
  const target = reading.anchors.get(alias.source);
  if (target === undefined) {
    return stop(reading, {
      offset,
      path,
      rule: 'aliases',
      message: `no anchor &${alias.source} stands above this alias`,
      fix: 'Define the anchor first, or put a text that begins with * into quotes.',
    });
  }
  if (reading.open.has(target)) {
    return stop(reading, {
      offset,
      path,
      rule: 'aliases',
      message: `the alias *${alias.source} stands inside the anchor it refers to`,
      fix: 'Write the values out here.',
    });
  }
  const known = reading.built.get(target);
  const before = reading.size;
  const node = known?.node ?? build(reading, target, path);
  const size = known?.size ?? reading.size - before;
  if (known !== undefined) reading.size += size;
  reading.aliased += size;
  if (reading.aliased > MAX_ALIASED_VALUES) {
    stop(reading, {
      offset,
      path,
      rule: 'aliases',
      message: `aliases stand for more than ${MAX_ALIASED_VALUES} values`,
      fix: 'Write the values out, or use fewer aliases of aliases.',
    });
  }
  return node;
}

/** What `<<` names: a mapping or a list of mappings; those first in the list win. */
function mergedMaps(reading: Reading, value: DocumentNode, path: Path): readonly DocumentNode[] {
  const maps = value.kind === 'list' ? value.items : [value];
  for (const map of maps) {
    if (map.kind === 'map') continue;
    note(reading, {
      offset: value.offset,
      path,
      rule: 'type',
      message: '<< merges mappings, and this is none',
      fix: 'Name an anchor of a mapping: <<: *defaults',
    });
  }
  return maps;
}

function mergeInto(
  entries: Map<string, MapEntry>,
  maps: readonly DocumentNode[],
): ReadonlyMap<string, MapEntry> {
  for (const map of maps) {
    if (map.kind !== 'map') continue;
    for (const [key, entry] of map.entries) if (!entries.has(key)) entries.set(key, entry);
  }
  return entries;
}

function keyOf(reading: Reading, key: unknown, path: Path): Scalar {
  if (isScalar(key)) return key;
  return stop(reading, {
    offset: isMap(key) || isSeq(key) || isAlias(key) ? offsetOf(key) : 0,
    path,
    rule: 'syntax',
    message: 'a key must be a word',
    fix: 'Write name: value.',
  });
}

function buildMap(reading: Reading, map: YAMLMap, path: Path): DocumentNode {
  const entries = new Map<string, MapEntry>();
  const merged: DocumentNode[] = [];
  for (const pair of map.items) {
    const keyNode = keyOf(reading, pair.key, path);
    const key = typeof keyNode.value === 'string' ? keyNode.value : (keyNode.source ?? '');
    const inner = [...path, key];
    const keyOffset = offsetOf(keyNode);
    const node = buildPart(reading, pair.value, inner, keyOffset);
    if (key === '<<' && keyNode.type === 'PLAIN') {
      merged.push(...mergedMaps(reading, node, inner));
      continue;
    }
    if (entries.has(key)) {
      note(reading, {
        offset: keyOffset,
        path: inner,
        rule: 'duplicate-key',
        message: `the key ${JSON.stringify(key)} stands here a second time`,
        fix: 'Keep one of the two.',
      });
    }
    entries.set(key, { keyOffset, node });
  }
  return { kind: 'map', offset: offsetOf(map), entries: mergeInto(entries, merged) };
}

function buildList(reading: Reading, list: YAMLSeq, path: Path): DocumentNode {
  const offset = offsetOf(list);
  const items = list.items.map((item, index) => buildPart(reading, item, [...path, index], offset));
  return { kind: 'list', offset, items };
}

function buildScalar(scalar: Scalar): DocumentNode {
  const offset = offsetOf(scalar);
  const { value } = scalar;
  if (typeof value === 'number') {
    return { kind: 'scalar', offset, value, source: scalar.source ?? String(value) };
  }
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) {
    return { kind: 'scalar', offset, value, source: null };
  }
  return { kind: 'scalar', offset, value: scalar.source ?? '', source: null };
}

function build(reading: Reading, node: Node, path: Path): DocumentNode {
  if (path.length > MAX_DEPTH) {
    stop(reading, {
      offset: offsetOf(node),
      path: [],
      rule: 'depth',
      message: `nested more than ${MAX_DEPTH} levels deep`,
      fix: 'No field of the file is that deep: check indentation and brackets.',
    });
  }
  if (isAlias(node)) return followAlias(reading, node, path);
  const before = reading.size;
  reading.size += 1;
  if (node.anchor !== undefined) reading.anchors.set(node.anchor, node);
  reading.open.add(node);
  const result = isMap(node)
    ? buildMap(reading, node, path)
    : isSeq(node)
      ? buildList(reading, node, path)
      : buildScalar(node);
  reading.open.delete(node);
  if (node.anchor !== undefined) {
    reading.built.set(node, { node: result, size: reading.size - before });
  }
  return result;
}

/** A value that is left out is told by the key before it. */
function buildPart(reading: Reading, value: unknown, path: Path, offset: number): DocumentNode {
  const isLeftOut = isScalar(value) && value.source === '' && value.type === 'PLAIN';
  const isNode = isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
  if (isNode && (!isLeftOut || value.anchor !== undefined)) return build(reading, value, path);
  return { kind: 'scalar', offset, value: null, source: null };
}

interface Wording {
  readonly message: string;
  readonly fix: string;
}

const CORRECT =
  'Correct the YAML here: quotes, brackets, and the same indentation for all keys of a mapping.';

const TOO_DEEP: Wording = {
  message: 'nested too deeply to be read',
  fix: 'No field of the file is that deep: check indentation and brackets.',
};

/** The parser's own texts tell where it stumbled; these tell what to do. */
const WORDINGS: Partial<Record<YAMLError['code'], Wording>> = {
  TAB_AS_INDENT: {
    message: 'a tab indents this line',
    fix: 'Indent with spaces: YAML does not take tabs.',
  },
  BAD_INDENT: {
    message: 'the indentation is wrong here, or a bracket above is not closed',
    fix: 'Indent all keys of one mapping alike; close what is opened.',
  },
  MULTIPLE_DOCS: {
    message: 'a second document begins here',
    fix: 'Keep one document a file: remove the line --- and what follows, or make two files.',
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a mapping stands where one value was expected',
    fix: 'Put a text with a colon followed by a space into quotes, or indent the lines below.',
  },
  RESOURCE_EXHAUSTION: TOO_DEEP,
  TAG_RESOLVE_FAILED: {
    message: 'a tag that this file may not use',
    fix: 'Remove the word that begins with an exclamation mark, or put the value into quotes.',
  },
};

function syntaxFlaw({ code, message, pos }: YAMLError): Flaw {
  const wording = WORDINGS[code] ?? { message: `not YAML: ${message}`, fix: CORRECT };
  const rule = code === 'RESOURCE_EXHAUSTION' ? 'depth' : 'syntax';
  return { offset: pos[0], path: [], rule, ...wording };
}

/** One flaw a line, and tabs alone where there are any: the others are mostly their consequence. */
function syntaxFlaws(document: Document.Parsed, text: string): Flaw[] {
  const lines = new Set<number>();
  const all = [...document.errors, ...document.warnings];
  const tabs = all.filter(({ code }) => code === 'TAB_AS_INDENT');
  return (tabs.length > 0 ? tabs : all)
    .map(syntaxFlaw)
    .sort((left, right) => left.offset - right.offset)
    .filter(({ offset }) => {
      const line = text.lastIndexOf('\n', offset - 1);
      return lines.size !== lines.add(line).size;
    })
    .slice(0, MAX_SYNTAX_FLAWS);
}

const OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  uniqueKeys: false,
  strict: true,
  prettyErrors: false,
  // 'silent' would also keep quiet about a second document.
  logLevel: 'error',
} as const;

function parse(text: string): Document.Parsed | Flaw {
  try {
    return parseDocument(text, OPTIONS);
  } catch (error) {
    // The parser recurses: it is the stack that ends.
    if (!(error instanceof RangeError)) throw error;
    return { offset: 0, path: [], rule: 'depth', ...TOO_DEEP };
  }
}

export function readYaml(text: string): ReadDocument {
  const document = parse(text);
  if ('rule' in document) return { root: null, flaws: [document] };
  const flaws = syntaxFlaws(document, text);
  if (flaws.length > 0) return { root: null, flaws };
  const reading: Reading = {
    flaws,
    anchors: new Map(),
    built: new Map(),
    open: new Set(),
    size: 0,
    aliased: 0,
  };
  try {
    const root = buildPart(reading, document.contents, [], 0);
    return flaws.length === 0 ? { root, flaws: [] } : { root: null, flaws };
  } catch (error) {
    if (error instanceof Stop) return { root: null, flaws };
    throw error;
  }
}

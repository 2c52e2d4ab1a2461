// Transformations that tests run in this process: plain functions over parsed documents.
import type { LaneErrors, LaneOptions } from '../../src/transforms/lane/options.ts';
import type { DocumentTransform, Outcome } from '../../src/transforms/document-transform.ts';

type Document = Record<string, unknown>;

/** A number keeps its digits where it is not touched; these tests use none that JavaScript cannot hold. */
function mapping(change: (document: Document) => Document | null): DocumentTransform {
  return (json) => {
    const document = change(JSON.parse(json) as Document);
    return document === null
      ? { kind: 'filtered' }
      : { kind: 'document', json: JSON.stringify(document) };
  };
}

/** Its words are no text of a database. */
const failed: Outcome = {
  kind: 'failed',
  code: 'test_failed',
  message: 'the name is \u0000bad',
};

export const TRANSFORMS = {
  identity: (json) => ({ kind: 'document', json }),
  /** The same values in other text: the first character of every string as its escape. */
  escaped: (json) => ({
    kind: 'document',
    json: json.replaceAll(/(?<=[:,[]")[^"\\]/g, (first) => {
      const code = first.charCodeAt(0).toString(16);
      return `\\u${code.padStart(4, '0')}`;
    }),
  }),
  /** Renames, drops, nests, and adds a constant. */
  rename: mapping(({ id, name, qty, ...rest }) => ({
    id,
    title: name,
    stock: { qty, unit: 'piece' },
    ...rest,
    origin: 'test',
  })),
  /** Leaves out what is not active; the probe's value is. */
  active: mapping((document) => (document['active'] === false ? null : document)),
  /** Never lets the probe through: only names that begin with a letter are kept. */
  onlyKnown: mapping((document) =>
    String(document['name']).startsWith('forebay probe') ? null : document,
  ),
  failing: (json) => (json.includes('"bad') ? failed : { kind: 'document', json }),
  activeTitle: mapping(({ id, name, active }) =>
    active === false ? null : { id, title: name, active },
  ),
  /** Rows whose `hidden` is 1 are not. */
  shown: mapping((document) => (document['hidden'] === 1 ? null : document)),
  /** Needs the name, also where that was not sent. */
  measured: mapping(({ id, name, qty }) => ({ id, qty, length: String(name).length })),
  titled: mapping(({ id, name }) => ({ id, title: name })),
  /** Values of some rows that the columns of the others cannot hold. */
  spoiling: mapping((document) =>
    document['name'] === 'spoil' ? { ...document, num: 70_000, price: 'cheap' } : document,
  ),
  /** Flattened with `_`: names that meet, are empty, too long, or meant for us. */
  oddNames: mapping(({ id, name }) => ({
    id,
    a_b: 1,
    a: { b: 2 },
    NAME: 3,
    name,
    '': 4,
    _forebay_op: 5,
    [`${'x'.repeat(70)}1`]: 6,
    [`${'x'.repeat(70)}2`]: 7,
  })),
  nothing: () => ({ kind: 'filtered' }),
  /** Gives another key to some rows only. */
  moving: mapping(({ id, ...rest }) => ({ id: rest['name'] === 'move' ? 99 : id, ...rest })),
  /** Fails on some rows, filters others, and gives new fields to others still. */
  eventful: (json) => {
    if (json.includes('"bad')) return failed;
    const document = JSON.parse(json) as Document;
    if (document['active'] === false) return { kind: 'filtered' };
    const [, field = ''] = /^new (\w+)/.exec(String(document['name'])) ?? [];
    const grown = field === '' ? document : { ...document, [field]: document['id'] };
    return { kind: 'document', json: JSON.stringify(grown) };
  },
  noKey: mapping((document) => ({ ...document, id: undefined })),
  maskedKey: mapping(({ id, ...rest }) => ({ ...rest, id: `m${String(id).length}` })),
  /** A new field for rows whose name says so, of a type that the name says too. */
  growing: mapping((document) => {
    const [, field = '', value] = /^new (\w+)=(.*)$/.exec(String(document['name'])) ?? [];
    return field === '' ? document : { ...document, [field]: JSON.parse(value ?? 'null') };
  }),
} as const satisfies Record<string, DocumentTransform>;

export type TransformName = keyof typeof TRANSFORMS;

export interface LaneSettings {
  readonly transform: TransformName;
  readonly flatten?: string | null;
  readonly onError?: Partial<LaneErrors>;
  readonly schemaChanges?: LaneOptions['schemaChanges'];
  readonly id?: string;
}

/** All but the context, which each opening brings. */
export function laneOptions(
  settings: LaneSettings,
  onRun: (documents: readonly string[]) => void = () => {},
): Omit<LaneOptions, 'context'> {
  const { transform, flatten = null, onError, schemaChanges = 'evolve', id = transform } = settings;
  return {
    id,
    runner: {
      run: (documents) => {
        onRun(documents);
        return Promise.resolve(documents.map(TRANSFORMS[transform]));
      },
    },
    flatten,
    onError: { lastResort: 'dead_letter', maxRetries: 0, retryDelayMs: 1, ...onError },
    schemaChanges,
  };
}

/** What the table of transformed rows looks like, and what of it comes from where. */
import type { StreamTarget } from '../../core/connector.ts';
import type { Column, StreamSchema } from '../../core/stream-schema.ts';
import type { LogicalType } from '../../core/value.ts';
import type { JsonKind } from './json-members.ts';

export interface LaneColumn {
  /** Names from the document's top to the value; empty for the key's hash. */
  readonly path: readonly string[];
  readonly name: string;
  readonly type: LogicalType;
  readonly nativeType: string;
  /** Identity of the source's column whose value it is, where the transformation left that as it was. */
  readonly from: string | null;
}

/**
 * `fields`  the source's key comes through: those columns are the key
 * `hash`    it does not: the first column is a hash of it
 * `none`    the source's rows have none
 */
export type LaneKey = 'fields' | 'hash' | 'none';

export interface LaneShape {
  /** One more with each change of the columns. */
  readonly version: number;
  /** The transformation that the columns were last brought in line with. */
  readonly transformation: string;
  readonly key: LaneKey;
  /** Columns that hold the key, in the order of the source's key. */
  readonly keyColumns: readonly number[];
  readonly columns: readonly LaneColumn[];
  /** The stream as the engine knows it. */
  readonly source: StreamTarget;
}

export const KEY_COLUMN = '_forebay_key';
const OWN_PREFIX = '_forebay_';
/** PostgreSQL cuts names off after so many bytes. */
const MOST_NAME_BYTES = 63;
export const PATH_MARK = '\u0000';

/** Paths as keys of maps. */
export function pathId(path: readonly string[]): string {
  return path.join(PATH_MARK);
}

export function pathOf(id: string): string[] {
  return id.split(PATH_MARK);
}

export function keyHashColumn(): LaneColumn {
  return { path: [], name: KEY_COLUMN, type: { kind: 'text' }, nativeType: 'text', from: null };
}

/** Bytes beyond the limit go at the end of a character. */
function cut(name: string, bytes: number): string {
  let kept = name;
  while (Buffer.byteLength(kept) > bytes) kept = kept.slice(0, -1);
  return kept.isWellFormed() ? kept : kept.slice(0, -1);
}

/** A column name for a field that no other column has, in systems that tell no case apart either. */
export function columnName(
  path: readonly string[],
  separator: string,
  taken: ReadonlySet<string>,
): string {
  const joined = path.join(separator).replaceAll('\u0000', '').toWellFormed();
  const named = joined === '' ? 'field' : joined;
  const own = named.toLowerCase().startsWith(OWN_PREFIX) ? `field${named}` : named;
  for (let copy = 1; ; copy += 1) {
    const ending = copy === 1 ? '' : `_${copy}`;
    const name = `${cut(own, MOST_NAME_BYTES - ending.length)}${ending}`;
    if (!taken.has(name.toLowerCase())) return name;
  }
}

export function takenNames(columns: readonly LaneColumn[]): Set<string> {
  return new Set(columns.map(({ name }) => name.toLowerCase()));
}

/** Type of a column for values of a kind; null for nulls, which tell none. */
export function typeOfKind(kind: JsonKind): LogicalType | null {
  switch (kind) {
    case 'string':
      return { kind: 'text' };
    case 'number':
      return { kind: 'decimal', precision: null, scale: null };
    case 'boolean':
      return { kind: 'boolean' };
    case 'object':
    case 'array':
      return { kind: 'json' };
    case 'null':
      return null;
  }
}

const NUMBERS: ReadonlySet<LogicalType['kind']> = new Set(['int', 'decimal', 'float']);

/** The type that holds what a column has and a value of this kind that it cannot hold. */
export function widened(type: LogicalType, kind: JsonKind): LogicalType {
  const unlimited = type.kind === 'decimal' && type.precision === null;
  if (kind === 'number' && NUMBERS.has(type.kind) && !unlimited)
    return { kind: 'decimal', precision: null, scale: null };
  return { kind: 'text' };
}

/** As PostgreSQL writes the types that documents give; other systems go by the logical type. */
export function nativeTypeOf(type: LogicalType): string {
  switch (type.kind) {
    case 'decimal':
      return 'numeric';
    case 'boolean':
    case 'json':
      return type.kind;
    default:
      return 'text';
  }
}

function toColumn(column: LaneColumn, index: number): Column {
  const { name, type, nativeType } = column;
  return { name, type, nativeType, nullable: true, ref: `field ${index}` };
}

/** The stream as the destination is to see it. */
export function laneTarget(shape: LaneShape): StreamTarget {
  const { source } = shape;
  const schema: StreamSchema = {
    stream: source.schema.stream,
    ref: source.schema.ref,
    version: shape.version,
    columns: shape.columns.map(toColumn),
    computed: [],
    identity: source.schema.identity,
    key: shape.keyColumns,
    family: source.schema.family,
  };
  return { ...source, schema };
}

/**
 * The prepared tree as far as it can be read. Rules that look at several fields read this and not the result
 * of the schema, so that one wrong field does not hide what is wrong with others.
 */
import type { Prepared } from './prepare.ts';
import { type Path, printPath } from './problem.ts';
import { type ReadConnectionString, readConnectionString } from './connection-string.ts';
import { SYSTEM_TYPES, type SystemType } from './schema-systems.ts';

type Mapping = Readonly<Record<string, unknown>>;

/** A part of the file with its place; reads its fields if they are what they should be. */
export interface Part {
  readonly path: Path;
  readonly fields: Mapping;
}

export interface SystemOutline extends Part {
  readonly role: 'source' | 'destination';
  readonly type: SystemType | null;
  /** Null where there is none or a reference in it could not be followed. */
  readonly connection: ReadConnectionString | null;
  /** The connection string as it stands in the file. */
  readonly raw: string | null;
  readonly authId: string | null;
  readonly database: string | null;
  readonly table: string | null;
  readonly options: Part;
}

export interface StreamOutline extends Part {
  readonly id: string | null;
  readonly enabled: boolean;
  readonly source: SystemOutline;
  readonly destination: SystemOutline;
}

export interface Outline {
  readonly service: Part;
  readonly streams: readonly StreamOutline[];
  readonly authentication: readonly Part[];
  readonly authenticationById: ReadonlyMap<string, Part>;
  readonly transformations: readonly Part[];
  /** A text with its references followed; null where that was not possible. */
  readonly textAt: (path: Path) => string | null;
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function partAt(part: Part, key: string): Part {
  const value = part.fields[key];
  return { path: [...part.path, key], fields: isMapping(value) ? value : {} };
}

export function textOf(part: Part, key: string): string | null {
  const value = part.fields[key];
  return typeof value === 'string' ? value : null;
}

export function listOf(part: Part, key: string): readonly unknown[] {
  const value = part.fields[key];
  return Array.isArray(value) ? value : [];
}

export function partsOf(part: Part, key: string): readonly Part[] {
  return listOf(part, key).map((value, index) => ({
    path: [...part.path, key, index],
    fields: isMapping(value) ? value : {},
  }));
}

function systemOf(
  stream: Part,
  role: SystemOutline['role'],
  textAt: Outline['textAt'],
): SystemOutline {
  const part = partAt(stream, role);
  const type = SYSTEM_TYPES.find((one) => one === part.fields['type']) ?? null;
  const text = textAt([...part.path, 'connection_string']);
  return {
    ...part,
    role,
    type,
    connection: type === null || text === null ? null : readConnectionString(type, text),
    raw: textOf(part, 'connection_string'),
    authId: textOf(part, 'auth_id'),
    database: textAt([...part.path, 'database']),
    table: textAt([...part.path, 'collection_table']),
    options: partAt(part, role === 'source' ? 'change_stream_options' : 'write_options'),
  };
}

function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce<unknown>((value, key) => {
    if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
    return isMapping(value) ? value[key] : undefined;
  }, tree);
}

export function outlineOf({ tree, filled }: Pick<Prepared, 'tree' | 'filled'>): Outline {
  const root: Part = { path: [], fields: isMapping(tree) ? tree : {} };
  const textAt = (path: Path): string | null => {
    const given = filled.get(printPath(path));
    if (given !== undefined) return given;
    const value = valueAt(tree, path);
    return typeof value === 'string' && value.trim() !== '' ? value : null;
  };
  const streams = partsOf(root, 'streams').map((part) => ({
    ...part,
    id: textOf(part, 'id'),
    enabled: part.fields['enabled'] !== false,
    source: systemOf(part, 'source', textAt),
    destination: systemOf(part, 'destination', textAt),
  }));
  const authentication = partsOf(root, 'authentication');
  return {
    service: partAt(root, 'service'),
    streams,
    authentication,
    authenticationById: new Map(authentication.map((part) => [textOf(part, 'id') ?? '', part])),
    transformations: partsOf(root, 'transformations'),
    textAt,
  };
}

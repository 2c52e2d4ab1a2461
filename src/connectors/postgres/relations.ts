/**
 * What a relation message means for a stream: which of our columns its columns are. The message has names and
 * types only; identity of columns comes from the catalog, which may already be ahead of the stream.
 */
import type { Column, StreamSchema } from '../../core/stream-schema.ts';
import { streamId } from '../../core/stream-schema.ts';
import { sameType } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { discover } from './discover.ts';
import type { RelationMessage } from './pgoutput.ts';
import { resolveTypes } from './resolve-types.ts';

const ATTRIBUTES_SQL = `
SELECT a.attnum::text, a.attname, a.attisdropped, a.attgenerated <> '' AND NOT a.attisdropped
FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 ORDER BY a.attnum`;

export interface Attribute {
  readonly ref: string;
  readonly name: string;
  readonly dropped: boolean;
  readonly generated: boolean;
}

export type RelationOutcome =
  | { readonly kind: 'same' }
  | { readonly kind: 'changed'; readonly schema: StreamSchema }
  | { readonly kind: 'lost'; readonly reason: string };

/**
 * Finds the attribute number of each column of the message; null if that cannot be proved. Pure.
 * Attribute numbers only grow, columns are sent in their order, and a column that we knew and that is there now was
 * there in between. Proof, in this order: those columns alone are as many as were sent; the message's names are
 * those of the catalog now; all that could be meant are as many as were sent; only one ascending assignment exists
 * in which each attribute has, now or when we last knew it, the name that was sent; or no column was ever dropped.
 */
export function matchColumns(
  names: readonly string[],
  attributes: readonly Attribute[],
  known: readonly Column[],
): string[] | null {
  const candidates = candidatesFor(attributes, known);
  const lasting = candidates.filter((candidate) => candidate.lasting);
  if (lasting.length === names.length) return lasting.map((candidate) => candidate.ref);
  const sent = attributes.filter(
    (attribute) => !attribute.dropped && (names.includes(attribute.name) || !attribute.generated),
  );
  if (sent.length === names.length && sent.every((attribute, i) => attribute.name === names[i])) {
    return sent.map((attribute) => attribute.ref);
  }
  if (candidates.length === names.length) return candidates.map((candidate) => candidate.ref);
  const [only, other] = assignments(names, candidates);
  if (only === undefined) return firstOf(attributes, names.length);
  return other === undefined ? only : null;
}

/**
 * A table that was taken in is known as the catalog had it, and the log still tells of times before. Where no
 * column was ever dropped, those of such a message are the first that were made.
 */
function firstOf(attributes: readonly Attribute[], count: number): string[] | null {
  if (attributes.some((attribute) => attribute.dropped || attribute.generated)) return null;
  return attributes.length < count ? null : attributes.slice(0, count).map(({ ref }) => ref);
}

interface Candidate {
  readonly ref: string;
  readonly names: readonly string[];
  /** Known to us and there now: it cannot be missing from the message. */
  readonly lasting: boolean;
}

/** Attributes that a message after `known` can speak of: those known, and all that were added since. */
function candidatesFor(attributes: readonly Attribute[], known: readonly Column[]): Candidate[] {
  const newest = Math.max(0, ...known.map((column) => Number(column.ref)));
  const byRef = new Map(attributes.map((attribute) => [attribute.ref, attribute]));
  const old = known.map((column): Candidate => {
    const now = byRef.get(column.ref);
    const lasting = now !== undefined && !now.dropped;
    return { ref: column.ref, names: lasting ? [column.name, now.name] : [column.name], lasting };
  });
  const added = attributes
    .filter((attribute) => Number(attribute.ref) > newest && !attribute.generated)
    .map((attribute): Candidate => ({
      ref: attribute.ref,
      names: [attribute.name],
      lasting: false,
    }));
  return [...old, ...added];
}

/** Up to two ascending assignments of candidates to the names that leave out no lasting one. */
function assignments(names: readonly string[], candidates: readonly Candidate[]): string[][] {
  const found: string[][] = [];
  const taken: string[] = [];
  const search = (from: number): void => {
    const name = names[taken.length];
    for (let i = from; i < candidates.length && found.length < 2; i += 1) {
      const candidate = candidates[i];
      if (candidate === undefined) return;
      if (name !== undefined && candidate.names.includes(name)) {
        taken.push(candidate.ref);
        search(i + 1);
        taken.pop();
      }
      if (candidate.lasting) return;
    }
    if (name === undefined && found.length < 2) found.push([...taken]);
  };
  search(0);
  return found;
}

function sameColumn(a: Column, b: Column): boolean {
  return (
    a.ref === b.ref &&
    a.name === b.name &&
    a.nativeType === b.nativeType &&
    sameType(a.type, b.type)
  );
}

function sameShape(a: StreamSchema, b: StreamSchema): boolean {
  const sameKey =
    a.identity === b.identity &&
    a.key.length === b.key.length &&
    a.key.every((column, i) => a.columns[column]?.ref === b.columns[b.key[i] ?? -1]?.ref);
  return (
    sameKey &&
    a.columns.length === b.columns.length &&
    a.columns.every((column, i) => {
      const other = b.columns[i];
      return other !== undefined && sameColumn(column, other);
    })
  );
}

/** Brings what we know of a stream up to a relation message. */
export async function resolveRelation(
  connection: PgConnection,
  relation: RelationMessage,
  known: StreamSchema,
): Promise<RelationOutcome> {
  const id = streamId(known.stream);
  if (relation.namespace !== known.stream.namespace || relation.name !== known.stream.name) {
    return { kind: 'lost', reason: `${id} was renamed to ${relation.namespace}.${relation.name}` };
  }
  const attributes = (await connection.query(ATTRIBUTES_SQL, [relation.oid])).rows.map(
    ([ref, name, dropped, generated]): Attribute => ({
      ref: ref ?? '',
      name: name ?? '',
      dropped: dropped === 't',
      generated: generated === 't',
    }),
  );
  const [current] = await discover(connection, relation.oid);
  const names = relation.columns.map((column) => column.name);
  const refs = matchColumns(names, attributes, known.columns);
  if (refs === null) {
    return {
      kind: 'lost',
      reason: `${id}: columns changed in a way that cannot be told apart from a rename`,
    };
  }
  const types = await resolveTypes(connection, relation.columns);
  const columns = relation.columns.map((column, i): Column => {
    const ref = refs[i] ?? '';
    const now = current?.schema.columns.find((candidate) => candidate.ref === ref);
    const type = types[i];
    const old = known.columns.find((candidate) => candidate.ref === ref);
    const nativeType = type?.native ?? old?.nativeType ?? 'text';
    // The same native type keeps what was known of it: declared dimensions stand in no message.
    const like = [old, now].find((candidate) => candidate?.nativeType === nativeType);
    return {
      name: column.name,
      nativeType,
      type: like?.type ?? type?.logical ?? { kind: 'other' },
      nullable: now?.nullable ?? true,
      ref,
      existingRows: now?.existingRows ?? { kind: 'unknown' },
    };
  });
  const schema = withKey(
    { ...known, columns, version: known.version + 1 },
    current?.schema ?? known,
  );
  return sameShape(known, schema) ? { kind: 'same' } : { kind: 'changed', schema };
}

/** The key of `from`, by column identity; none if one of its columns is not there. */
function withKey(schema: StreamSchema, from: StreamSchema): StreamSchema {
  const refs = from.key.map((column) => from.columns[column]?.ref);
  const key = refs.map((ref) => schema.columns.findIndex((column) => column.ref === ref));
  const complete = key.every((column) => column >= 0);
  return {
    ...schema,
    identity: complete ? from.identity : 'none',
    key: complete ? key : [],
    computed: from.computed,
  };
}

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
 * Attribute numbers only grow and columns are sent in their order. So a message has all attributes that are there now
 * up to some number, none after it, and of those that are gone any; a column that we knew and that is there now was
 * there in between. Where the number of names leaves one such reading, that is proof. Else the one in which each
 * attribute has, now or when we last knew it, the name that was sent. Two of those are told apart where one takes for
 * columns that are gone those that have their names now: the later one is right or the table is read again, since a
 * dropped name came back (planEvolution). A reading by earlier names needs more: that every other one has columns by
 * names that nobody saw, more than a swap explains; only a message in the very names that we knew is taken as it is.
 */
export function matchColumns(
  names: readonly string[],
  attributes: readonly Attribute[],
  known: readonly Column[],
): string[] | null {
  const candidates = candidatesFor(names, attributes, known);
  const possible = readings(names.length, candidates);
  const [first] = possible;
  if (first === undefined) return firstOf(attributes, names.length);
  if (possible.length === 1) return first;
  if (possible.length === MOST_READINGS) return null;
  const byRef = new Map(candidates.map((candidate) => [candidate.ref, candidate]));
  const strange = (reading: readonly string[]): number =>
    reading.filter((ref, at) => byRef.get(ref)?.names.includes(names[at] ?? '') !== true).length;
  const last = latest(
    possible.filter((reading) => strange(reading) === 0),
    attributes,
  );
  if (last === null || last.every((ref, at) => byRef.get(ref)?.now === names[at])) return last;
  // The message is not from now, and what columns were called between then and now is not known.
  const unchanged = known.map(({ name }) => name).join('\0') === names.join('\0');
  const rivals = possible.filter((reading) => reading.join() !== last.join());
  return unchanged || rivals.every((reading) => strange(reading) > TOLD_BY_A_SWAP) ? last : null;
}

/** The assignment that differs from all others only where a column made anew has the name of one that is gone. */
function latest(
  found: readonly (readonly string[])[],
  attributes: readonly Attribute[],
): string[] | null {
  const live = new Set(attributes.filter(({ dropped }) => !dropped).map(({ ref }) => ref));
  const last = found.find((candidate) =>
    found.every((other) =>
      other.every(
        (ref, i) => ref === candidate[i] || (!live.has(ref) && live.has(candidate[i] ?? '')),
      ),
    ),
  );
  return last === undefined ? null : [...last];
}

/**
 * A table that was taken in is known as the catalog had it, and the log still tells of times before. Where no
 * column was ever dropped, those of such a message are the first that were made.
 */
function firstOf(attributes: readonly Attribute[], count: number): string[] | null {
  if (attributes.some((attribute) => attribute.dropped || attribute.generated)) return null;
  return attributes.length < count ? null : attributes.slice(0, count).map(({ ref }) => ref);
}

/** A swap gives two columns names that nobody saw them have. */
const TOLD_BY_A_SWAP = 2;
/** More than so many readings are not told apart. */
const MOST_READINGS = 500;

interface Candidate {
  readonly ref: string;
  readonly names: readonly string[];
  readonly live: boolean;
  /** Null if it is gone. */
  readonly now: string | null;
  /** Known to us and there now: it cannot be missing from the message. */
  readonly lasting: boolean;
}

/** Attributes that a message after `known` can speak of: those known, and all that were added since. */
function candidatesFor(
  sent: readonly string[],
  attributes: readonly Attribute[],
  known: readonly Column[],
): Candidate[] {
  const newest = Math.max(0, ...known.map((column) => Number(column.ref)));
  const byRef = new Map(attributes.map((attribute) => [attribute.ref, attribute]));
  const old = known.map((column): Candidate => {
    const now = byRef.get(column.ref);
    const lasting = now !== undefined && !now.dropped;
    const names = lasting ? [column.name, now.name] : [column.name];
    return { ref: column.ref, names, live: lasting, now: lasting ? now.name : null, lasting };
  });
  const added = attributes
    .filter(
      (attribute) =>
        Number(attribute.ref) > newest && (!attribute.generated || sent.includes(attribute.name)),
    )
    .map((attribute): Candidate => ({
      ref: attribute.ref,
      names: [attribute.name],
      live: !attribute.dropped,
      now: attribute.dropped ? null : attribute.name,
      lasting: false,
    }));
  return [...old, ...added];
}

/** The readings of so many columns. */
function readings(count: number, candidates: readonly Candidate[]): string[][] {
  const found: string[][] = [];
  const taken: string[] = [];
  const search = (from: number): void => {
    if (taken.length === count) {
      if (!candidates.slice(from).some(({ lasting }) => lasting)) found.push([...taken]);
      return;
    }
    for (let i = from; i < candidates.length && found.length < MOST_READINGS; i += 1) {
      const candidate = candidates[i];
      if (candidate === undefined) return;
      taken.push(candidate.ref);
      search(i + 1);
      taken.pop();
      // What came later was there, so this was.
      if (candidate.live) return;
    }
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
  const [current] = await discover(connection, relation.oid);
  // Under another name than now: the log still tells of times before, and it is the same table.
  const isOurs = [relation, current?.schema.stream].some((name) => name && streamId(name) === id);
  if (!isOurs) {
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
  const names = relation.columns.map((column) => column.name);
  const refs = matchColumns(names, attributes, known.columns);
  if (refs === null) {
    return {
      kind: 'lost',
      reason: `${id}: columns changed in a way that cannot be told apart from a rename`,
    };
  }
  // Such a column may have been taken for one that came after it: the rows are to be read again.
  const newest = Math.max(0, ...known.columns.map((column) => Number(column.ref)));
  const doubtful = attributes.some(({ ref, dropped }) => dropped && Number(ref) > newest);
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
      existingRows: doubtful ? { kind: 'unknown' } : (now?.existingRows ?? { kind: 'unknown' }),
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

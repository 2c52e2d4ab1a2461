/** What the catalog says of tables: columns, types, keys, replica identity. */
import type { CatalogStream } from '../../core/connector.ts';
import type {
  Column,
  ComputedColumn,
  ExistingRows,
  RowIdentity,
  StreamSchema,
} from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { type CatalogType, logicalType } from './types.ts';

export const FAMILY = 'postgres';

/** First version that can publish stored generated columns. */
const PUBLISHES_GENERATED = 180_000;

/**
 * A partition that was attached, with the rows that it had, was made by another statement than the one that put it
 * into the tree: a system column's row in the catalog is as old as its table. A partition that is made as one takes
 * two or three steps of its transaction from the one to the other, an attached one five at the least. One too many is
 * only read again.
 *
 * Sizes are those last counted: to ask for one waits for whoever holds the table, and with it would all streams. So
 * do the partitions of a table, and the expression of a generated column, without which nothing can be known.
 */
const TABLES_SQL = `
SELECT c.oid::text, n.nspname, c.relname, c.relreplident,
  pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT'),
  size.rows::text, size.bytes::text, attached.parts
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT pg_catalog.sum(pg_catalog.greatest(l.reltuples, 0))::int8 AS rows,
    nullif(pg_catalog.sum((l.relpages + coalesce(t.relpages, 0))::int8
      * pg_catalog.current_setting('block_size')::int8)::int8, 0) AS bytes
  FROM pg_catalog.pg_class l LEFT JOIN pg_catalog.pg_class t ON t.oid = l.reltoastrelid
  WHERE l.oid = c.oid OR (c.relkind = 'p'
    AND l.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree(c.oid) t WHERE t.isleaf))
) size
CROSS JOIN LATERAL (
  SELECT pg_catalog.array_agg(h.inhrelid::text || ':' || h.xmin::text ORDER BY h.inhrelid)::text AS parts
  FROM pg_catalog.pg_partition_tree(CASE c.relkind WHEN 'p' THEN c.oid END) t
  JOIN pg_catalog.pg_inherits h ON h.inhrelid = t.relid AND t.parentrelid IS NOT NULL
  JOIN pg_catalog.pg_attribute a ON a.attrelid = t.relid AND a.attnum = -1
  WHERE h.xmin <> a.xmin OR h.cmin::text::int8 - a.cmin::text::int8 > 4
) attached
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', '_forebay')
  AND n.nspname !~ '^pg_(toast|temp)'
  AND ($1::oid IS NULL OR c.oid = $1::oid)
ORDER BY n.nspname, c.relname`.replaceAll('pg_catalog.greatest', 'greatest');

/** \`root\` is a domain's base type, found by following typbasetype; the modifier is the first that is set. */
const COLUMNS_SQL = `
WITH RECURSIVE col AS (
  SELECT a.attrelid, a.attnum, a.attname, a.attnotnull, a.attgenerated, a.attndims, a.atthasmissing,
    a.attmissingval::text AS missing, a.atttypid, a.atttypmod,
    pg_catalog.format_type(a.atttypid, a.atttypmod) AS native,
    CASE a.attgenerated WHEN '' THEN d.oid::text ELSE pg_catalog.pg_get_expr(d.adbin, d.adrelid) END
      AS default_expr, a.attidentity
  FROM pg_catalog.pg_attribute a
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY ($1::oid[])
), root AS (
  SELECT c.attrelid, c.attnum, c.atttypid AS oid, c.atttypmod AS typmod, c.attndims::int4 AS ndims FROM col c
  UNION ALL
  SELECT r.attrelid, r.attnum, t.typbasetype, CASE WHEN r.typmod >= 0 THEN r.typmod ELSE t.typtypmod END,
    CASE WHEN r.ndims > 0 THEN r.ndims ELSE t.typndims END
  FROM root r JOIN pg_catalog.pg_type t ON t.oid = r.oid WHERE t.typtype = 'd'
)
SELECT c.attrelid::text, c.attnum::text, c.attname, c.native, c.attnotnull, c.attgenerated,
  c.default_expr, c.atthasmissing, (c.missing::text[])[1],
  t.oid::text, r.typmod::text, t.typtype, ps.prosrc,
  e.oid::text, e.typtype, es.prosrc, r.ndims::text, c.attidentity
FROM col c
JOIN root r ON r.attrelid = c.attrelid AND r.attnum = c.attnum
JOIN pg_catalog.pg_type t ON t.oid = r.oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_proc ps ON ps.oid = t.typsend
LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND e.typarray = t.oid AND e.typdelim = ','
LEFT JOIN pg_catalog.pg_proc es ON es.oid = e.typsend
ORDER BY c.attrelid, c.attnum`;

/** Key columns: those of the index that is the replica identity, else of an immediate primary key. */
const KEYS_SQL = `
SELECT i.indrelid::text, i.indisprimary, i.indisreplident, k.attnum::text
FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place)
WHERE i.indrelid = ANY ($1::oid[]) AND i.indimmediate AND i.indisvalid
  AND (i.indisprimary OR i.indisreplident) AND k.place <= i.indnkeyatts
ORDER BY i.indrelid, i.indisreplident DESC, i.indexrelid, k.place`;

interface KeyFacts {
  readonly primary: number[];
  readonly replica: number[];
}

function toInt(text: string | null | undefined): number {
  return Number(text ?? 0);
}

function catalogType(row: readonly (string | null)[]): CatalogType {
  const [oid, typmod, kind, send, elementOid, elementKind, elementSend, dimensions] = row.slice(9);
  return {
    oid: toInt(oid),
    typmod: toInt(typmod),
    kind: kind ?? 'b',
    sendFunction: send ?? '',
    dimensions: toInt(dimensions),
    element:
      elementOid === null || elementOid === undefined
        ? null
        : {
            oid: toInt(elementOid),
            typmod: toInt(typmod),
            kind: elementKind ?? 'b',
            sendFunction: elementSend ?? '',
            dimensions: 0,
          },
  };
}

/**
 * attmissingval holds the value that ALTER TABLE ADD COLUMN gave to the rows that were there. A default without
 * it was either computed per row (the table was rewritten) or set later: only reading the rows tells.
 */
function existingRows(row: readonly (string | null)[]): ExistingRows {
  if (row[7] === 't') {
    const text = row[8];
    return text === null || text === undefined ? { kind: 'null' } : { kind: 'value', text };
  }
  const filled = (row[6] ?? null) !== null || (row[17] ?? '') !== '';
  return filled ? { kind: 'unknown' } : { kind: 'null' };
}

function identityOf(
  replicaIdentity: string,
  keys: KeyFacts,
): { identity: RowIdentity; key: number[] } {
  const key = replicaIdentity === 'i' ? keys.replica : keys.primary;
  switch (replicaIdentity) {
    case 'f':
      return keys.primary.length > 0
        ? { identity: 'key', key }
        : { identity: 'whole-row', key: [] };
    case 'n':
      return { identity: 'none', key: [] };
    default:
      return key.length > 0 ? { identity: 'key', key } : { identity: 'none', key: [] };
  }
}

async function readKeys(connection: PgConnection, oids: string): Promise<Map<string, KeyFacts>> {
  const keys = new Map<string, KeyFacts>();
  for (const [table, isPrimary, isReplica, attnum] of (await connection.query(KEYS_SQL, [oids]))
    .rows) {
    const facts = keys.get(table ?? '') ?? { primary: [], replica: [] };
    if (isPrimary === 't') facts.primary.push(toInt(attnum));
    if (isReplica === 't') facts.replica.push(toInt(attnum));
    keys.set(table ?? '', facts);
  }
  return keys;
}

async function readColumns(
  connection: PgConnection,
  oids: string,
): Promise<Map<string, (string | null)[][]>> {
  const byTable = new Map<string, (string | null)[][]>();
  for (const row of (await connection.query(COLUMNS_SQL, [oids])).rows) {
    const table = row[0] ?? '';
    const rows = byTable.get(table) ?? [];
    rows.push(row);
    byTable.set(table, rows);
  }
  return byTable;
}

function splitColumns(
  rows: readonly (readonly (string | null)[])[],
  publishesGenerated: boolean,
): { columns: Column[]; computed: ComputedColumn[] } {
  const columns: Column[] = [];
  const computed: ComputedColumn[] = [];
  for (const row of rows) {
    const name = row[2] ?? '';
    const nativeType = row[3] ?? '';
    const generated = row[5] ?? '';
    if (generated === 'v' || (generated === 's' && !publishesGenerated)) {
      computed.push({ name, nativeType, expression: row[6] ?? '' });
    } else {
      columns.push({
        name,
        nativeType,
        type: logicalType(catalogType(row)),
        nullable: row[4] !== 't',
        ref: row[1] ?? '',
        existingRows: existingRows(row),
      });
    }
  }
  return { columns, computed };
}

/** All tables that are not the system's, or the one with this oid. */
export async function discover(
  connection: PgConnection,
  oid: string | null = null,
): Promise<CatalogStream[]> {
  const tables = (await connection.query(TABLES_SQL, [oid])).rows;
  const oids = `{${tables.map((row) => row[0]).join(',')}}`;
  const columnRows = await readColumns(connection, oids);
  const keys = await readKeys(connection, oids);
  const publishesGenerated = connection.serverVersion >= PUBLISHES_GENERATED;
  return tables.map(
    ([ref, namespace, name, replicaIdentity, readable, rows, bytes, attached]): CatalogStream => {
      const { columns, computed } = splitColumns(
        columnRows.get(ref ?? '') ?? [],
        publishesGenerated,
      );
      const { identity, key } = identityOf(
        replicaIdentity ?? 'd',
        keys.get(ref ?? '') ?? { primary: [], replica: [] },
      );
      const positions = key.map((attnum) =>
        columns.findIndex((column) => column.ref === String(attnum)),
      );
      const usable = positions.every((position) => position >= 0);
      const schema: StreamSchema = {
        stream: { namespace: namespace ?? '', name: name ?? '' },
        ref: ref ?? '',
        version: 1,
        columns,
        computed,
        identity: usable ? identity : 'none',
        key: usable ? positions : [],
        family: FAMILY,
        rawText: connection.hasRawText,
      };
      return {
        schema,
        readable: readable === 't',
        estimatedRows: rows === null || rows === undefined ? null : Number(rows),
        estimatedBytes: bytes === null || bytes === undefined ? null : Number(bytes),
        attached: attached?.slice(1, -1).split(',') ?? [],
      };
    },
  );
}

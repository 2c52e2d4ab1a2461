/** What stands at the destination under a table's name: columns with their types, indexes, size. */
import type { StreamName } from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { quoteName } from './sql.ts';

export interface TargetType {
  readonly oid: number;
  /** For arrays, otherwise 0. */
  readonly elementOid: number;
  /** Name of the receive function of the type below all domains; tells which binary form it takes. */
  readonly receive: string;
  /** The same of the element, for arrays. */
  readonly elementReceive: string;
  /**
   * The type below all domains without length or precision, as SQL writes it. Casts name it and leave lengths and
   * domains to the assignment, because an explicit cast to varchar(3) cuts silently and an assignment refuses.
   */
  readonly bare: string;
  /** Name of the output function, qualified where it must be. */
  readonly output: string;
  /** The type's equality as SQL; types of extensions have theirs in their own schema. */
  readonly equals: string;
}

export interface ExistingColumn extends TargetType {
  readonly name: string;
  /** With length or precision. */
  readonly type: string;
  readonly typmod: number;
  readonly notNull: boolean;
  readonly hasDefault: boolean;
  readonly generated: boolean;
  /** GENERATED ALWAYS AS IDENTITY: an UPDATE may not set it. */
  readonly identityAlways: boolean;
}

export interface ExistingTable {
  readonly name: StreamName;
  readonly oid: number;
  readonly kind: 'table' | 'partitioned' | 'other';
  readonly columns: ReadonlyMap<string, ExistingColumn>;
  /** Column names of each unique index that is valid, whole and without expressions. */
  readonly uniqueKeys: readonly (readonly string[])[];
  readonly hasPrimaryKey: boolean;
  readonly hasForeignKeys: boolean;
  /** Foreign keys elsewhere change rows when one is deleted here. */
  readonly cascades: boolean;
  /** Guess from the size on disk, for choosing a join. */
  readonly roughRows: number;
}

const TYPE_COLUMNS = `
  t.oid::text, coalesce(nullif(b.typelem, 0), 0)::text,
  b.typreceive::text, coalesce(e.typreceive::text, '-'), format_type(b.oid, -1),
  (SELECT format('OPERATOR(%I.=)', n.nspname) FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
   WHERE o.oprname = '=' AND o.oprleft = b.oid AND o.oprright = b.oid AND n.nspname <> 'pg_catalog' LIMIT 1),
  t.typoutput::text`;

/** From a type `t` to the type below its domains `b` and, if that is an array, its element `e`. */
const TYPE_JOINS = `
  CROSS JOIN LATERAL (
    WITH RECURSIVE d(oid, base) AS (
      SELECT t.oid, t.typbasetype
      UNION ALL SELECT n.oid, n.typbasetype FROM d JOIN pg_type n ON n.oid = d.base WHERE d.base <> 0)
    SELECT p.oid, p.typreceive,
      CASE WHEN p.typreceive = 'array_recv'::regproc THEN p.typelem ELSE 0 END AS typelem
    FROM d JOIN pg_type p ON p.oid = d.oid WHERE d.base = 0) b
  LEFT JOIN LATERAL (
    WITH RECURSIVE d(oid, base) AS (
      SELECT x.oid, x.typbasetype FROM pg_type x WHERE x.oid = b.typelem
      UNION ALL SELECT n.oid, n.typbasetype FROM d JOIN pg_type n ON n.oid = d.base WHERE d.base <> 0)
    SELECT p.typreceive FROM d JOIN pg_type p ON p.oid = d.oid WHERE d.base = 0) e ON true`;

function readType(row: readonly (string | null)[], at: number): TargetType {
  return {
    oid: Number(row[at]),
    elementOid: Number(row[at + 1]),
    receive: bareName(row[at + 2]),
    elementReceive: bareName(row[at + 3]),
    bare: row[at + 4] ?? '',
    equals: row[at + 5] ?? '=',
    output: row[at + 6] ?? 'textout',
  };
}

/** Receive functions of extensions are told by name wherever the extension was put. */
function bareName(name: string | null | undefined): string {
  return (name ?? '-').replace(/^.*\./s, '');
}

/** The types that type names stand for here; a name that means nothing here is not in the result. */
export async function resolveTypes(
  connection: PgConnection,
  names: readonly string[],
): Promise<ReadonlyMap<string, TargetType>> {
  const found = new Map<string, TargetType>();
  if (names.length === 0) return found;
  const { rows } = await connection.query(
    `SELECT n.name, ${TYPE_COLUMNS}
     FROM (SELECT DISTINCT j.value AS name FROM jsonb_array_elements_text($1::jsonb) j) n
     JOIN pg_type t ON t.oid = to_regtype(n.name) ${TYPE_JOINS}`,
    [JSON.stringify(names)],
  );
  for (const row of rows) found.set(row[0] ?? '', readType(row, 1));
  return found;
}

async function readColumns(
  connection: PgConnection,
  oid: number,
): Promise<ReadonlyMap<string, ExistingColumn>> {
  const { rows } = await connection.query(
    `SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.atttypmod::text, a.attnotnull::text,
       a.atthasdef::text, a.attgenerated::text, a.attidentity::text, ${TYPE_COLUMNS}
     FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid ${TYPE_JOINS}
     WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [String(oid)],
  );
  const columns = new Map<string, ExistingColumn>();
  for (const row of rows) {
    const name = row[0] ?? '';
    columns.set(name, {
      ...readType(row, 7),
      name,
      type: row[1] ?? '',
      typmod: Number(row[2]),
      notNull: row[3] === 'true',
      hasDefault: row[4] === 'true' || row[6] !== '',
      generated: row[5] !== '',
      identityAlways: row[6] === 'a',
    });
  }
  return columns;
}

/** Average bytes of a row where the server has not counted yet. */
const ROUGH_ROW_BYTES = 100;

export async function readTable(
  connection: PgConnection,
  name: StreamName,
): Promise<ExistingTable | null> {
  const { rows } = await connection.query(
    `SELECT c.oid::text, c.relkind::text,
       (SELECT coalesce(json_agg(k.names), '[]') FROM (
          SELECT (SELECT json_agg(a.attname ORDER BY x.n) FROM unnest(i.indkey::int2[]) WITH ORDINALITY x(attnum, n)
                  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.attnum
                  WHERE x.n <= i.indnkeyatts) AS names
          FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
            AND i.indpred IS NULL AND i.indexprs IS NULL) k)::text,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)::text,
       EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.conrelid = c.oid)::text,
       EXISTS (SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = c.oid
         AND f.confdeltype IN ('c', 'n', 'd'))::text,
       CASE WHEN c.relkind = 'p' THEN
         (SELECT coalesce(sum(pg_relation_size(p.relid)), 0) FROM pg_partition_tree(c.oid) p WHERE p.isleaf)
       ELSE pg_relation_size(c.oid) END::text
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    [name.namespace, name.name],
  );
  const row = rows[0];
  if (row === undefined) return null;
  const oid = Number(row[0]);
  return {
    name,
    oid,
    kind: row[1] === 'r' ? 'table' : row[1] === 'p' ? 'partitioned' : 'other',
    columns: await readColumns(connection, oid),
    uniqueKeys: JSON.parse(row[2] ?? '[]') as string[][],
    hasPrimaryKey: row[3] === 'true',
    hasForeignKeys: row[4] === 'true',
    cascades: row[5] === 'true',
    roughRows: Math.floor(Number(row[6]) / ROUGH_ROW_BYTES),
  };
}

export async function tableIsEmpty(connection: PgConnection, name: StreamName): Promise<boolean> {
  const { rows } = await connection.query(`SELECT FROM ${quoteName(name)} LIMIT 1`);
  return rows.length === 0;
}

/** True if a unique index holds exactly these columns, in whatever order. */
export function hasUniqueKey(table: ExistingTable, key: readonly string[]): boolean {
  return table.uniqueKeys.some(
    (columns) => columns.length === key.length && columns.every((name) => key.includes(name)),
  );
}

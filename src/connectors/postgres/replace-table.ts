/** Load method `replace`: a table is built beside the one in use and takes its place in one transaction. */
import { createHash } from 'node:crypto';
import type { StreamTarget } from '../../core/connector.ts';
import type { StreamName } from '../../core/stream-schema.ts';
import type { PgConnection } from './connection.ts';
import { incompatible } from './destination-plan.ts';
import { quoteIdent, quoteLiteral, quoteName } from './sql.ts';
import { type ExistingTable, readTable } from './target-table.ts';

const SUFFIX = '__forebay_new';
const MAX_NAME_BYTES = 63;

/** The name with the suffix; a long one is cut at a character's end, its hash keeps it apart from its like. */
export function buildingName(table: StreamName): StreamName {
  const { namespace, name } = table;
  if (Buffer.byteLength(name + SUFFIX) <= MAX_NAME_BYTES) return { namespace, name: name + SUFFIX };
  const tail = `_${createHash('sha256').update(name).digest('hex').slice(0, 8)}${SUFFIX}`;
  const characters = Array.from(name);
  while (Buffer.byteLength(characters.join('') + tail) > MAX_NAME_BYTES) characters.pop();
  return { namespace, name: characters.join('') + tail };
}

/** Marks a building table as ours, so that `drop` finds it. */
export function buildingComment(pipeline: string): string {
  return `forebay: built for pipeline ${pipeline}`;
}

export async function markBuilding(
  connection: PgConnection,
  name: StreamName,
  pipeline: string,
): Promise<void> {
  await connection.execute(
    `COMMENT ON TABLE ${quoteName(name)} IS ${quoteLiteral(buildingComment(pipeline))}`,
  );
}

export async function listBuilding(
  connection: PgConnection,
  pipeline: string,
): Promise<StreamName[]> {
  const { rows } = await connection.query(
    `SELECT n.nspname, c.relname FROM pg_description d JOIN pg_class c ON c.oid = d.objoid
     JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE d.classoid = 'pg_class'::regclass AND d.objsubid = 0 AND d.description = $1 AND c.relkind = 'r'`,
    [buildingComment(pipeline)],
  );
  return rows.map(([namespace, name]) => ({ namespace: namespace ?? '', name: name ?? '' }));
}

function writableColumns(table: ExistingTable): { readonly name: string; readonly type: string }[] {
  return [...table.columns.values()].filter((column) => !column.generated);
}

function sameColumns(a: ExistingTable, b: ExistingTable): boolean {
  const types = new Map(writableColumns(a).map((column) => [column.name, column.type]));
  const others = writableColumns(b);
  return (
    others.length === types.size && others.every((column) => types.get(column.name) === column.type)
  );
}

async function hasDependants(connection: PgConnection, table: ExistingTable): Promise<boolean> {
  const { rows } = await connection.query(
    `SELECT FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::oid
     UNION ALL SELECT FROM pg_constraint f WHERE f.contype = 'f' AND f.confrelid = $1::oid LIMIT 1`,
    [String(table.oid)],
  );
  return rows.length > 0;
}

/** Grants of the old table, given again to the one that takes its name. */
async function copyGrants(
  connection: PgConnection,
  from: ExistingTable,
  to: StreamName,
): Promise<void> {
  const { rows } = await connection.query(
    `SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, $2::text,
       CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
       CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
     FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a
     WHERE c.oid = $1::oid AND a.grantee <> c.relowner`,
    [String(from.oid), quoteName(to)],
  );
  for (const [grant] of rows) {
    if (grant != null) await connection.execute(grant);
  }
}

/**
 * Inside a transaction: the built table's rows become the table's. The table in use is refilled where its columns
 * are the same, because views and grants hang on it; otherwise it is exchanged, which views forbid.
 */
export async function swapIn(connection: PgConnection, target: StreamTarget): Promise<void> {
  const building = buildingName(target.table);
  const built = await readTable(connection, building);
  if (built === null) return;
  const table = quoteName(target.table);
  const rename = `ALTER TABLE ${quoteName(building)} RENAME TO ${quoteIdent(target.table.name)};
    COMMENT ON TABLE ${table} IS NULL`;
  const old = await readTable(connection, target.table);
  if (old === null) {
    await connection.execute(rename);
  } else if (sameColumns(old, built)) {
    const columns = writableColumns(old)
      .map((column) => quoteIdent(column.name))
      .join(', ');
    await connection.execute(
      `TRUNCATE ${table};
       INSERT INTO ${table} (${columns}) OVERRIDING SYSTEM VALUE SELECT ${columns} FROM ${quoteName(building)};
       DROP TABLE ${quoteName(building)}`,
    );
  } else if (await hasDependants(connection, old)) {
    throw incompatible(target, [
      'its columns differ from the new ones, and views or foreign keys depend on it',
    ]);
  } else {
    await copyGrants(connection, old, building);
    await connection.execute(`DROP TABLE ${table}; ${rename}`);
  }
}

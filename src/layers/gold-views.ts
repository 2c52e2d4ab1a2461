/** Views on a table of gold, which PostgreSQL would not let be replaced under them. */
import { ForebayError } from '../core/errors.ts';
import { GOLD, quote, quoteTable, type Warehouse } from './warehouse.ts';

interface View {
  readonly name: string;
  readonly sql: string;
}

/** Views of gold that read `name`, directly or through others, each after those it reads. */
async function viewsOn(warehouse: Warehouse, name: string): Promise<readonly View[]> {
  const rows = await warehouse.query(
    `WITH RECURSIVE readers AS (
       SELECT c.oid, 0 AS depth FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2
       UNION
       SELECT r.ev_class, readers.depth + 1
       FROM readers
       JOIN pg_depend d ON d.refobjid = readers.oid AND d.refclassid = 'pg_class'::regclass
         AND d.classid = 'pg_rewrite'::regclass
       JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> readers.oid
     )
     SELECT c.relname AS name, pg_get_viewdef(c.oid) AS sql
     FROM (SELECT oid, max(depth) AS depth FROM readers WHERE depth > 0 GROUP BY oid) v
     JOIN pg_class c ON c.oid = v.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'v' AND n.nspname = $1
     ORDER BY v.depth`,
    [GOLD, name],
  );
  return rows.map((row) => ({ name: row['name'] ?? '', sql: row['sql'] ?? '' }));
}

/**
 * Runs `act` while views of gold on `name` are away, inside a transaction. One that no longer fits what it reads
 * stays away until its own model is built.
 */
export async function withoutViews(
  warehouse: Warehouse,
  name: string,
  act: () => Promise<void>,
): Promise<void> {
  const views = warehouse.dialect === 'postgres' ? await viewsOn(warehouse, name) : [];
  for (const view of views.toReversed()) {
    await warehouse.execute(`DROP VIEW ${quoteTable({ schema: GOLD, name: view.name })}`);
  }
  await act();
  for (const view of views) {
    await warehouse.execute('SAVEPOINT forebay_view');
    try {
      await warehouse.execute(
        `CREATE VIEW ${quote(GOLD)}.${quote(view.name)} AS ${view.sql.replace(/;\s*$/, '')}`,
      );
    } catch (error) {
      if (error instanceof ForebayError && error.class === 'transient') throw error;
      await warehouse.execute('ROLLBACK TO SAVEPOINT forebay_view');
    }
    await warehouse.execute('RELEASE SAVEPOINT forebay_view');
  }
}

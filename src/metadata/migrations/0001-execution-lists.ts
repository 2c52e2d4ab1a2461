/** Indexes of the list of executions. Part of `0001-control-plane.ts`. */
import { type Kysely, sql } from 'kysely';

export type IndexSpec = readonly [name: string, table: string, columns: readonly string[]];

const LIST_TIMES = ['scheduled_at', 'started_at'] as const;

/** Both orders of the list, for one of the combinations of its filters. */
export function executionLists(name: string, filters: readonly string[]): IndexSpec[] {
  return LIST_TIMES.map((time) => [
    `executions_${name}_${time}`,
    'executions',
    ['organization_id', ...filters, time, 'id'],
  ]);
}

/**
 * Rows in all, and how many share the first columns of the index: what ANALYZE would find in a database that has been
 * used for long. Without it SQLite takes an index by chance where days of the start are asked for.
 */
const SELECTIVITY: Readonly<Record<string, string>> = {
  list: '1000000 500000 2 1',
  pipeline: '1000000 500000 1000 1 1',
  status: '1000000 500000 100000 2 1',
  pipeline_status: '1000000 500000 1000 200 1 1',
};

export async function tellSelectivity(db: Kysely<unknown>): Promise<void> {
  await sql`analyze`.execute(db);
  for (const [name, numbers] of Object.entries(SELECTIVITY))
    for (const time of LIST_TIMES)
      await sql`insert into sqlite_stat1 (tbl, idx, stat) values ('executions', ${`executions_${name}_${time}`}, ${numbers})`.execute(
        db,
      );
  await sql`analyze sqlite_schema`.execute(db);
}

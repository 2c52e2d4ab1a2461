/**
 * Which execution read a table of bronze as a whole: what silver has from before and the reading has not is gone at the
 * source. Kept in the warehouse, beside the rows.
 */
import { prepareState, READINGS_SQL } from './layer-state.ts';
import type { Warehouse } from './warehouse.ts';

/** Once all rows of the reading are in bronze; again for the same execution it changes nothing. */
export async function recordReadings(
  warehouse: Warehouse,
  executionId: string,
  tables: readonly string[],
): Promise<void> {
  if (tables.length === 0) return;
  await prepareState(warehouse);
  await warehouse.transaction(async () => {
    for (const table of tables) {
      await warehouse.execute(`DELETE FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text)`, [
        table,
      ]);
      await warehouse.execute(
        `INSERT INTO ${READINGS_SQL} VALUES (CAST($1 AS text), CAST($2 AS text))`,
        [table, executionId],
      );
    }
  });
}

/** After `prepareState`. */
export async function isReading(
  warehouse: Warehouse,
  executionId: string,
  table: string,
): Promise<boolean> {
  const found = await warehouse.query(
    `SELECT 1 AS found FROM ${READINGS_SQL} WHERE table_name = $1 AND execution_id = $2`,
    [table, executionId],
  );
  return found.length > 0;
}

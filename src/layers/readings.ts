/**
 * Which execution read a table of bronze as a whole: what silver has from before and the reading has not is gone at the
 * source. Kept in the warehouse, beside the rows.
 */
import { prepareOwn } from './layer-state.ts';
import { ownType } from './types.ts';
import { ensureTable, OWN, quoteTable, type Warehouse } from './warehouse.ts';

const READINGS = { schema: OWN, name: 'readings' };
const READINGS_SQL = quoteTable(READINGS);

async function prepareReadings(warehouse: Warehouse): Promise<void> {
  await prepareOwn(warehouse);
  const text = ownType(warehouse.dialect, 'text');
  await ensureTable(warehouse, READINGS, [
    { name: 'table_name', type: text },
    { name: 'execution_id', type: text },
  ]);
}

/** Once all rows of the reading are in bronze; again for the same execution it changes nothing. */
export async function recordReadings(
  warehouse: Warehouse,
  executionId: string,
  tables: readonly string[],
): Promise<void> {
  if (tables.length === 0) return;
  await prepareReadings(warehouse);
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

export async function isReading(
  warehouse: Warehouse,
  executionId: string,
  table: string,
): Promise<boolean> {
  await prepareReadings(warehouse);
  const found = await warehouse.query(
    `SELECT 1 AS found FROM ${READINGS_SQL} WHERE table_name = $1 AND execution_id = $2`,
    [table, executionId],
  );
  return found.length > 0;
}

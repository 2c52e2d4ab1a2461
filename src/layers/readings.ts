/**
 * Which execution read a table of bronze as a whole, or all rows with certain values of a column: what silver has of it
 * from before and the reading has not is gone at the source. Kept in the warehouse, beside the rows.
 */
import { LAYERS_SQL, prepareState, READINGS_SQL } from './layer-state.ts';
import type { Warehouse } from './warehouse.ts';

export interface Reading {
  /** As the rows in bronze have it. */
  readonly executionId: string;
  /** Null: the whole table. */
  readonly column: string | null;
}

/** Of a table in bronze, by the execution that is recorded with it. */
export interface BronzeReading extends Pick<Reading, 'column'> {
  readonly table: string;
}

/** Once all rows of the readings are in bronze; again for the same execution it changes nothing. */
export async function recordReadings(
  warehouse: Warehouse,
  executionId: string,
  readings: readonly BronzeReading[],
): Promise<void> {
  if (readings.length === 0) return;
  await prepareState(warehouse);
  await warehouse.transaction(async () => {
    for (const { table, column } of readings) {
      // What was read before a reading of all of it says nothing more.
      await warehouse.execute(
        `DELETE FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text)
           AND (execution_id = CAST($2 AS text) OR CAST($3 AS text) IS NULL)`,
        [table, executionId, column],
      );
      await warehouse.execute(
        `INSERT INTO ${READINGS_SQL} (table_name, execution_id, column_name, sequence)
         SELECT CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), coalesce(max(sequence), 0) + 1
         FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text)`,
        [table, executionId, column],
      );
    }
  });
}

/** Whether it read all of the table. After `prepareState`. */
export async function isReading(
  warehouse: Warehouse,
  executionId: string,
  table: string,
): Promise<boolean> {
  const found = await warehouse.query(
    `SELECT 1 AS found FROM ${READINGS_SQL}
     WHERE table_name = $1 AND execution_id = $2 AND column_name IS NULL`,
    [table, executionId],
  );
  return found.length > 0;
}

/** Those that silver has not taken, in the order in which they came. After `prepareState`. */
export async function openReadings(
  warehouse: Warehouse,
  { bronze, table }: { readonly bronze: string; readonly table: string },
): Promise<readonly Reading[]> {
  const rows = await warehouse.query(
    `SELECT r.execution_id, r.column_name FROM ${READINGS_SQL} r
     WHERE r.table_name = $1 AND NOT EXISTS (SELECT 1 FROM ${LAYERS_SQL} l
       WHERE l.layer = 'silver' AND l.table_name = $2 AND l.execution_id = r.execution_id)
     ORDER BY r.sequence`,
    [bronze, table],
  );
  return rows.map((row) => ({
    executionId: row['execution_id'] ?? '',
    column: row['column_name'] ?? null,
  }));
}

/** Silver has taken them; the last one of the whole table stays to be seen. */
export async function forgetReadings(
  warehouse: Warehouse,
  table: string,
  readings: readonly Reading[],
): Promise<void> {
  for (const { executionId, column } of readings) {
    if (column === null) continue;
    await warehouse.execute(
      `DELETE FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text) AND execution_id = CAST($2 AS text)`,
      [table, executionId],
    );
  }
}

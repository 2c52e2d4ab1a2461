/**
 * Which execution read a table of bronze as a whole, or a range of a column's values: what silver has of it from before
 * and the reading has not is gone at the source. Kept in the warehouse, beside the rows. A reading is written down before
 * it begins, so that rows of one that never came to its end are known as such.
 */
import { LAYERS_SQL, READINGS_SQL } from './layer-state.ts';
import type { Warehouse } from './warehouse.ts';

/** Values as text, in a form that reads as the column's type. */
export interface ReadRange {
  readonly column: string;
  /** The least; null: there is none. */
  readonly from: string | null;
  /** The first that is not in it; null: there is none. */
  readonly to: string | null;
  /** Rows without a value are in it. */
  readonly withNulls: boolean;
}

export interface Reading {
  /** As the rows in bronze have it. */
  readonly executionId: string;
  /** Null: the whole table. */
  readonly range: ReadRange | null;
  readonly isComplete: boolean;
}

/** Of a table in bronze, by the execution that is recorded with it. */
export interface BronzeReading extends Pick<Reading, 'range'> {
  readonly table: string;
}

const OWN = `table_name = CAST($1 AS text) AND execution_id = CAST($2 AS text)`;

/** Before rows of them come into bronze. Again for the same execution they begin anew. After `prepareState`. */
export async function beginReadings(
  warehouse: Warehouse,
  executionId: string,
  readings: readonly BronzeReading[],
): Promise<void> {
  if (readings.length === 0) return;
  await warehouse.transaction(async () => {
    for (const { table, range } of readings) {
      await warehouse.execute(`DELETE FROM ${READINGS_SQL} WHERE ${OWN}`, [table, executionId]);
      await warehouse.execute(
        `INSERT INTO ${READINGS_SQL}
           (table_name, execution_id, column_name, from_value, to_value, with_nulls, is_complete, sequence)
         SELECT CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), CAST($4 AS text), CAST($5 AS text),
           CAST($6 AS boolean), false, coalesce(max(sequence), 0) + 1
         FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text)`,
        [
          table,
          executionId,
          range?.column ?? null,
          range?.from ?? null,
          range?.to ?? null,
          String(range?.withNulls ?? true),
        ],
      );
    }
  });
}

/** Once all rows of them are in bronze. */
export async function completeReadings(
  warehouse: Warehouse,
  executionId: string,
  readings: readonly BronzeReading[],
): Promise<void> {
  if (readings.length === 0) return;
  await warehouse.transaction(async () => {
    for (const { table, range } of readings) {
      await warehouse.execute(`UPDATE ${READINGS_SQL} SET is_complete = true WHERE ${OWN}`, [
        table,
        executionId,
      ]);
      if (range !== null) continue;
      // What was read before all of it was says nothing more.
      await warehouse.execute(
        `DELETE FROM ${READINGS_SQL} WHERE table_name = CAST($1 AS text)
           AND execution_id <> CAST($2 AS text) AND coalesce(sequence, 0) <
             (SELECT max(sequence) FROM ${READINGS_SQL} WHERE ${OWN})`,
        [table, executionId],
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
     WHERE table_name = $1 AND execution_id = $2 AND column_name IS NULL AND is_complete`,
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
    `SELECT r.execution_id, r.column_name, r.from_value, r.to_value,
       CAST(r.with_nulls AS text) AS with_nulls, CAST(r.is_complete AS text) AS is_complete
     FROM ${READINGS_SQL} r
     WHERE r.table_name = $1 AND NOT EXISTS (SELECT 1 FROM ${LAYERS_SQL} l
       WHERE l.layer = 'silver' AND l.table_name = $2 AND l.execution_id = r.execution_id)
     ORDER BY coalesce(r.sequence, 0)`,
    [bronze, table],
  );
  return rows.map((row): Reading => {
    const column = row['column_name'] ?? null;
    const [from, to] = [row['from_value'] ?? null, row['to_value'] ?? null];
    const withNulls = row['with_nulls'] === 'true';
    return {
      executionId: row['execution_id'] ?? '',
      range: column === null ? null : { column, from, to, withNulls },
      isComplete: row['is_complete'] === 'true',
    };
  });
}

/** Silver has taken them; the last one of the whole table stays to be seen. */
export async function forgetReadings(
  warehouse: Warehouse,
  table: string,
  readings: readonly Reading[],
): Promise<void> {
  for (const { executionId, range } of readings)
    if (range !== null)
      await warehouse.execute(`DELETE FROM ${READINGS_SQL} WHERE ${OWN}`, [table, executionId]);
}

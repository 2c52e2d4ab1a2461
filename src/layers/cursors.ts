/**
 * Where streams with a cursor column go on. An execution writes down where it begins before it reads, so that it begins
 * there again after a crash at any place, and where it has come once all of that is in bronze. Kept in the warehouse,
 * beside the rows.
 */
import { CURSORS_SQL } from './layer-state.ts';
import type { Warehouse } from './warehouse.ts';

export interface CursorKey {
  readonly pipelineId: string;
  readonly stream: string;
}

export interface CursorBegin extends CursorKey {
  readonly column: string;
  readonly executionId: string;
  /** From the beginning, whatever is known. */
  readonly restarts: boolean;
}

/** The least value that is to be read; null: all rows. After `prepareState`. */
export async function beginCursor(
  warehouse: Warehouse,
  { pipelineId, stream, column, executionId, restarts }: CursorBegin,
): Promise<string | null> {
  const place = `pipeline_id = CAST($1 AS text) AND stream = CAST($2 AS text)`;
  return await warehouse.transaction(async () => {
    const [known] = await warehouse.query(
      `SELECT column_name, execution_id, from_value, position FROM ${CURSORS_SQL} WHERE ${place}`,
      [pipelineId, stream],
    );
    // Values of another column say nothing about this one.
    const own = known?.['column_name'] === column ? known : undefined;
    const isAgain = own?.['execution_id'] === executionId;
    if (isAgain) return own['from_value'] ?? null;
    // What the one before has not come to the end of is read again.
    const from = restarts ? null : (own?.['position'] ?? own?.['from_value'] ?? null);
    await warehouse.execute(`DELETE FROM ${CURSORS_SQL} WHERE ${place}`, [pipelineId, stream]);
    await warehouse.execute(
      `INSERT INTO ${CURSORS_SQL} (pipeline_id, stream, column_name, execution_id, from_value)
       VALUES (CAST($1 AS text), CAST($2 AS text), CAST($3 AS text), CAST($4 AS text), CAST($5 AS text))`,
      [pipelineId, stream, column, executionId, from],
    );
    return from;
  });
}

/** All that it read is in bronze. Null where no row had a value. */
export async function endCursor(
  warehouse: Warehouse,
  { pipelineId, stream }: CursorKey,
  given: { readonly executionId: string; readonly position: string | null },
): Promise<void> {
  await warehouse.execute(
    `UPDATE ${CURSORS_SQL} SET position = coalesce(CAST($4 AS text), from_value)
     WHERE pipeline_id = CAST($1 AS text) AND stream = CAST($2 AS text) AND execution_id = CAST($3 AS text)`,
    [pipelineId, stream, given.executionId, given.position],
  );
}

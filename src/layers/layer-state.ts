/** What each table of a layer has taken in, kept in the warehouse and written in the transaction that takes it. */
import {
  byteOrder,
  count,
  createTemporary,
  ensureSchemas,
  ensureTable,
  OWN,
  quoteTable,
  type Warehouse,
} from './warehouse.ts';
import { ownType, READS_AS } from './types.ts';

const LAYERS = { schema: OWN, name: 'layers' };
const READINGS = { schema: OWN, name: 'readings' };
const CURSORS = { schema: OWN, name: 'cursors' };
const MODEL_INPUTS = { schema: OWN, name: 'model_inputs' };
export const LAYERS_SQL: string = quoteTable(LAYERS);
export const READINGS_SQL: string = quoteTable(READINGS);
export const CURSORS_SQL: string = quoteTable(CURSORS);
const INPUTS_SQL = quoteTable(MODEL_INPUTS);

/** Several may come at once, and each may be the first. */
export function prepareState(warehouse: Warehouse): Promise<void> {
  return warehouse.transaction(async () => {
    await lockTable(warehouse, 'state');
    await makeState(warehouse);
  });
}

async function makeState(warehouse: Warehouse): Promise<void> {
  const { dialect } = warehouse;
  await ensureSchemas(warehouse, [OWN]);
  if (dialect === 'postgres') await warehouse.execute(READS_AS);
  const text = ownType(dialect, 'text');
  const int64 = ownType(dialect, 'int64');
  await ensureTable(warehouse, LAYERS, [
    { name: 'layer', type: text },
    { name: 'table_name', type: text },
    { name: 'execution_id', type: text },
    // The last one taken of what this execution had appended.
    { name: 'position', type: text },
    // Of the run that took it, one more with each run on the table.
    { name: 'sequence', type: int64 },
    // JSON; only in the row of the execution that ran.
    { name: 'result', type: text },
  ]);
  await ensureTable(warehouse, READINGS, [
    { name: 'table_name', type: text },
    { name: 'execution_id', type: text },
    // By whose values was read; NULL: the whole table was.
    { name: 'column_name', type: text },
    { name: 'from_value', type: text },
    { name: 'to_value', type: text },
    { name: 'with_nulls', type: ownType(dialect, 'boolean') },
    { name: 'is_complete', type: ownType(dialect, 'boolean') },
    // One more with each reading of the table.
    { name: 'sequence', type: int64 },
  ]);
  await ensureTable(warehouse, CURSORS, [
    { name: 'pipeline_id', type: text },
    { name: 'stream', type: text },
    { name: 'column_name', type: text },
    // Which one read last, or reads, and from where.
    { name: 'execution_id', type: text },
    { name: 'from_value', type: text },
    // How far it has come; NULL until then.
    { name: 'position', type: text },
  ]);
  await ensureTable(warehouse, MODEL_INPUTS, [
    { name: 'model', type: text },
    { name: 'input', type: text },
    { name: 'sequence', type: int64 },
  ]);
}

/** One run at a time on a table; until the transaction ends. DuckDB ends one of two that write the same rows. */
export async function lockTable(warehouse: Warehouse, name: string): Promise<void> {
  if (warehouse.dialect !== 'postgres') return;
  await warehouse.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0)) IS NULL AS locked', [
    `forebay ${name}`,
  ]);
}

export interface TakenState {
  readonly sequence: number;
  /** The highest position taken so far; empty before the first. */
  readonly position: string;
  /** Of the execution that asks, if it ran before. */
  readonly result: string | null;
}

export async function readTaken(
  warehouse: Warehouse,
  table: string,
  executionId: string,
): Promise<TakenState> {
  const position = byteOrder(warehouse.dialect, 'position');
  const rows = await warehouse.query(
    `SELECT coalesce(max(sequence), 0) AS sequence, coalesce(max(${position}), '') AS position,
            max(CASE WHEN execution_id = $2 THEN result END) AS result
     FROM ${LAYERS_SQL} WHERE layer = 'silver' AND table_name = $1`,
    [table, executionId],
  );
  const row = rows[0];
  return {
    sequence: Number(row?.['sequence'] ?? 0),
    position: row?.['position'] ?? '',
    result: row?.['result'] ?? null,
  };
}

/** `staged` has a row per row taken, with `_forebay_execution_id` and `_forebay_position`. */
export async function writeTaken(
  warehouse: Warehouse,
  given: {
    readonly table: string;
    readonly executionId: string;
    readonly staged: string;
    readonly sequence: number;
    readonly result: string;
    /** A table of executions that have nothing to take any more, whether rows of theirs are staged or not. */
    readonly also: string | null;
  },
): Promise<void> {
  const { dialect } = warehouse;
  const { table, executionId, staged, sequence, result, also } = given;
  const text = ownType(dialect, 'text');
  const taken = await createTemporary(warehouse, '_forebay_taken', [
    { name: 'execution_id', type: text },
    { name: 'position', type: text },
  ]);
  const position = byteOrder(dialect, 'position');
  await warehouse.execute(
    `INSERT INTO ${taken}
     SELECT execution_id, max(${position}) FROM (
       SELECT _forebay_execution_id AS execution_id, _forebay_position AS position FROM ${staged}
       UNION ALL SELECT CAST($1 AS text), ''
       ${also === null ? '' : `UNION ALL SELECT execution_id, '' FROM ${also}`}
       UNION ALL SELECT execution_id, position FROM ${LAYERS_SQL}
         WHERE layer = 'silver' AND table_name = CAST($2 AS text)
           AND (execution_id = CAST($1 AS text)
             OR execution_id IN (SELECT _forebay_execution_id FROM ${staged}))
     ) everything GROUP BY execution_id`,
    [executionId, table],
  );
  // Results of other executions stay.
  await warehouse.execute(
    `INSERT INTO ${LAYERS_SQL} (layer, table_name, execution_id, position, sequence, result)
     SELECT 'silver', CAST($1 AS text), t.execution_id, t.position, CAST($2 AS bigint),
            CASE WHEN t.execution_id = CAST($3 AS text) THEN CAST($4 AS text)
                 ELSE (SELECT max(l.result) FROM ${LAYERS_SQL} l WHERE l.layer = 'silver'
                       AND l.table_name = CAST($1 AS text) AND l.execution_id = t.execution_id) END
     FROM ${taken} t`,
    [table, String(sequence), executionId, result],
  );
  await warehouse.execute(
    `DELETE FROM ${LAYERS_SQL} WHERE layer = 'silver' AND table_name = CAST($1 AS text)
       AND sequence < CAST($2 AS bigint) AND execution_id IN (SELECT execution_id FROM ${taken})`,
    [table, String(sequence)],
  );
}

/** Results of the last runs on a table, the newest first. */
export async function recentResults(
  warehouse: Warehouse,
  table: string,
  limit: number,
): Promise<readonly string[]> {
  const rows = await warehouse.query(
    `SELECT result FROM ${LAYERS_SQL}
     WHERE layer = 'silver' AND table_name = $1 AND result IS NOT NULL
     ORDER BY sequence DESC LIMIT ${Math.trunc(limit)}`,
    [table],
  );
  return rows.flatMap((row) => row['result'] ?? []);
}

/** How often a silver table has changed so far. */
export function silverSequence(warehouse: Warehouse, table: string): Promise<number> {
  return count(
    warehouse,
    `SELECT coalesce(max(sequence), 0) AS n FROM ${LAYERS_SQL} WHERE layer = 'silver' AND table_name = $1`,
    [table],
  );
}

/** Up to which change of each input a model was built. */
export async function readModelInputs(
  warehouse: Warehouse,
  model: string,
): Promise<ReadonlyMap<string, number>> {
  const rows = await warehouse.query(`SELECT input, sequence FROM ${INPUTS_SQL} WHERE model = $1`, [
    model,
  ]);
  return new Map(rows.map((row) => [row['input'] ?? '', Number(row['sequence'] ?? 0)]));
}

export async function writeModelInputs(
  warehouse: Warehouse,
  model: string,
  inputs: ReadonlyMap<string, number>,
): Promise<void> {
  await warehouse.execute(`DELETE FROM ${INPUTS_SQL} WHERE model = $1`, [model]);
  for (const [input, sequence] of inputs) {
    await warehouse.execute(
      `INSERT INTO ${INPUTS_SQL} (model, input, sequence)
       VALUES (CAST($1 AS text), CAST($2 AS text), CAST($3 AS bigint))`,
      [model, input, String(sequence)],
    );
  }
}

/**
 * Streams without a key: nothing tells their rows apart, so what is read again takes the place of what was read before.
 * A reading has the whole table, or for each value of a column that it has all rows with that value.
 */
import type { Reading } from './readings.ts';
import type { SilverPlan } from './silver-plan.ts';
import { ownType } from './types.ts';
import { createTemporary, quote, temporary, type Warehouse } from './warehouse.ts';

const TABLE = '_forebay_readings';
/** Of readings of the whole table. */
const WHOLE = 0;

/** Columns by whose values was read; their place is the kind of reading, counted from 1. */
function columnsOf({ readings, columns }: SilverPlan): readonly string[] {
  const known = new Set(columns.map(({ name }) => name));
  const named = readings.flatMap(({ column }) => column ?? []);
  return [...new Set(named)].filter((name) => known.has(name));
}

/** Puts the plan's readings into a table of the session. */
export async function stageReadings(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  if (plan.readings.length === 0) return;
  const int64 = ownType(plan.dialect, 'int64');
  const table = await createTemporary(warehouse, TABLE, [
    { name: 'place', type: int64 },
    { name: 'kind', type: int64 },
    { name: 'execution_id', type: ownType(plan.dialect, 'text') },
  ]);
  const columns = columnsOf(plan);
  for (const [index, { executionId, column }] of plan.readings.entries()) {
    const kind = column === null ? WHOLE : columns.indexOf(column) + 1;
    // What it was read by is no column any more.
    if (column !== null && kind === WHOLE) continue;
    await warehouse.execute(
      `INSERT INTO ${table} VALUES (${index + 1}, ${kind}, CAST($1 AS text))`,
      [executionId],
    );
  }
}

function isWhole({ readings }: SilverPlan): boolean {
  return readings.some(({ column }: Reading) => column === null);
}

/** Marks as stale what a later reading has again, or has no more. */
export async function markSuperseded(
  warehouse: Warehouse,
  plan: SilverPlan,
  checked: string,
): Promise<void> {
  if (plan.readings.length === 0) return;
  const readings = temporary(plan.dialect, TABLE);
  const place = `coalesce((SELECT max(p.place) FROM ${readings} p WHERE p.execution_id = c._forebay_execution_id), 0)`;
  const mark = (where: string): Promise<number> =>
    warehouse.execute(`UPDATE ${checked} SET _forebay_stale = true
      WHERE _forebay_n IN (SELECT c._forebay_n FROM ${checked} c ${where})`);
  if (isWhole(plan))
    await mark(`WHERE ${place} < (SELECT max(w.place) FROM ${readings} w WHERE w.kind = ${WHOLE})`);
  for (const [index, name] of columnsOf(plan).entries()) {
    const column = quote(name);
    const last = `(SELECT x.${column} AS value, max(r.place) AS place
      FROM ${checked} x JOIN ${readings} r ON r.execution_id = x._forebay_execution_id
      WHERE r.kind = ${index + 1} GROUP BY x.${column}) l`;
    await mark(`JOIN ${last} ON l.value = c.${column} WHERE ${place} < l.place`);
    await mark(`JOIN ${last} ON l.value IS NULL AND c.${column} IS NULL WHERE ${place} < l.place`);
  }
}

/** SQL for whether a row of silver, by its alias, makes room for what was read again; false where nothing was. */
export function displaced(plan: SilverPlan, checked: string, alias: string): string {
  if (isWhole(plan)) return 'true';
  const readings = temporary(plan.dialect, TABLE);
  const parts = columnsOf(plan).map((name, index) => {
    const column = quote(name);
    const read = (where: string): string =>
      `SELECT x.${column} FROM ${checked} x WHERE x.${column} ${where} AND x._forebay_execution_id IN (
         SELECT r.execution_id FROM ${readings} r WHERE r.kind = ${index + 1})`;
    const own = `${alias}.${column}`;
    return `(CASE WHEN ${own} IS NULL THEN EXISTS (${read('IS NULL')}) ELSE ${own} IN (${read('IS NOT NULL')}) END)`;
  });
  return parts.length === 0 ? 'false' : parts.join(' OR ');
}

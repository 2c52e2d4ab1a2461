/**
 * Streams without a key: nothing tells their rows apart, so what is read again takes the place of what was read before.
 * A reading has the whole table, or all rows in a range of a column's values.
 */
import type { Reading } from './readings.ts';
import type { SilverColumn, SilverPlan } from './silver-plan.ts';
import { ownType } from './types.ts';
import { createTemporary, quote, temporary, type Warehouse } from './warehouse.ts';

const TABLE = '_forebay_readings';
const UNFINISHED = -1;
/** All of the table. A range has the place of its column, counted from 1. */
const WHOLE = 0;
/** Types whose values every system orders alike. */
const ORDERED =
  /^(?:smallint|integer|bigint|hugeint|tinyint|u[a-z]*int|numeric|decimal|double|real|float|date|time)/iu;

interface ReadColumn {
  readonly kind: number;
  readonly column: SilverColumn;
  /** Ranges of it are compared; else the values that a reading has rows of. */
  readonly isOrdered: boolean;
}

function readColumns({ readings, columns }: SilverPlan): readonly ReadColumn[] {
  const names = new Set(readings.flatMap(({ range }) => range?.column ?? []));
  return [...names].flatMap((name, index) => {
    const column = columns.find((known) => known.name === name);
    if (column === undefined) return [];
    const isOrdered = column.type === column.bronzeType && ORDERED.test(column.bronzeType);
    return [{ kind: index + 1, column, isOrdered }];
  });
}

function kindOf(reading: Reading, columns: readonly ReadColumn[]): number {
  const { range, isComplete } = reading;
  if (!isComplete) return UNFINISHED;
  if (range === null || (range.from === null && range.to === null)) return WHOLE;
  // What it was read by may be no column any more.
  return columns.find(({ column }) => column.name === range.column)?.kind ?? UNFINISHED;
}

function hasWhole(plan: SilverPlan): boolean {
  return plan.readings.some((reading) => kindOf(reading, []) === WHOLE);
}

/** The session's table of them; null where the plan has none. */
export function readingsTable({ dialect, readings }: SilverPlan): string | null {
  return readings.length === 0 ? null : temporary(dialect, TABLE);
}

/** Puts the plan's readings into a table of the session. */
export async function stageReadings(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  if (plan.readings.length === 0) return;
  const text = ownType(plan.dialect, 'text');
  const int64 = ownType(plan.dialect, 'int64');
  const table = await createTemporary(warehouse, TABLE, [
    { name: 'place', type: int64 },
    { name: 'kind', type: int64 },
    { name: 'execution_id', type: text },
    { name: 'from_value', type: text },
    { name: 'to_value', type: text },
    { name: 'with_nulls', type: ownType(plan.dialect, 'boolean') },
  ]);
  const columns = readColumns(plan);
  for (const [index, reading] of plan.readings.entries()) {
    const { executionId, range } = reading;
    await warehouse.execute(
      `INSERT INTO ${table} VALUES (${index + 1}, ${kindOf(reading, columns)}, CAST($1 AS text),
         CAST($2 AS text), CAST($3 AS text), CAST($4 AS boolean))`,
      [executionId, range?.from ?? null, range?.to ?? null, String(range?.withNulls ?? true)],
    );
  }
}

/** SQL for whether the value, of a row called so, is in the range of the reading `r`. */
function within({ column, isOrdered }: ReadColumn, checked: string, row: string): string {
  const value = `${row}.${quote(column.name)}`;
  const bound = (name: string): string => `CAST(r.${name} AS ${column.type})`;
  const inRange = isOrdered
    ? `(r.from_value IS NULL OR ${value} >= ${bound('from_value')})
       AND (r.to_value IS NULL OR ${value} < ${bound('to_value')})`
    : `${value} IN (SELECT x.${quote(column.name)} FROM ${checked} x
         WHERE x._forebay_execution_id = r.execution_id AND x.${quote(column.name)} IS NOT NULL)`;
  return `CASE WHEN ${value} IS NULL THEN r.with_nulls ELSE (${inRange}) END`;
}

/**
 * Marks as stale what a later reading has again or has no more, and rows of readings that never came to their end. Gives
 * their number.
 */
export async function markSuperseded(
  warehouse: Warehouse,
  plan: SilverPlan,
  checked: string,
): Promise<number> {
  const readings = readingsTable(plan);
  if (readings === null) return 0;
  const place = `coalesce((SELECT max(p.place) FROM ${readings} p WHERE p.execution_id = c._forebay_execution_id), 0)`;
  const mark = (where: string): Promise<number> =>
    warehouse.execute(`UPDATE ${checked} SET _forebay_stale = true
      WHERE _forebay_n IN (SELECT c._forebay_n FROM ${checked} c WHERE NOT c._forebay_stale AND ${where})`);
  let marked = await mark(
    `c._forebay_execution_id IN (SELECT r.execution_id FROM ${readings} r WHERE r.kind = ${UNFINISHED})`,
  );
  // Changes of the same execution are in the reading already.
  marked += await mark(
    `c._forebay_op <> 'r' AND c._forebay_execution_id IN (SELECT r.execution_id FROM ${readings} r)`,
  );
  if (hasWhole(plan))
    marked += await mark(
      `${place} < (SELECT max(w.place) FROM ${readings} w WHERE w.kind = ${WHOLE})`,
    );
  for (const read of readColumns(plan))
    marked += await mark(
      `EXISTS (SELECT 1 FROM ${readings} r
         WHERE r.kind = ${read.kind} AND r.place > ${place} AND ${within(read, checked, 'c')})`,
    );
  return marked;
}

/** SQL for whether a row of silver, by its alias, makes room for what was read again; false where nothing was. */
export function displaced(plan: SilverPlan, checked: string, alias: string): string {
  const readings = readingsTable(plan);
  if (readings === null) return 'false';
  if (hasWhole(plan)) return 'true';
  const parts = readColumns(plan).map(
    (read) =>
      `EXISTS (SELECT 1 FROM ${readings} r WHERE r.kind = ${read.kind} AND ${within(read, checked, alias)})`,
  );
  return parts.length === 0 ? 'false' : `(${parts.join(' OR ')})`;
}

/** Checked rows into silver: a row per key, or every row. */
import type { SilverPlan } from './silver-plan.ts';
import { displaced } from './silver-readings.ts';
import { ownType } from './types.ts';
import {
  analyze,
  byteOrder,
  count,
  createTemporary,
  quote,
  quoteTable,
  type Warehouse,
} from './warehouse.ts';

export interface Applied {
  readonly checked: string;
  readonly sequence: number;
  readonly executionId: string;
}

/** So many runs back a model that is built by changed keys can catch up; beyond, it is built anew. */
export const KEPT_RUNS = 100;

export function dataColumns(plan: SilverPlan, alias: string): string {
  return plan.columns.map(({ name }) => `${alias}.${quote(name)}`).join(', ');
}

export function sameKey(plan: SilverPlan, a: string, b: string): string {
  return plan.key.map(({ name }) => `${a}.${quote(name)} = ${b}.${quote(name)}`).join(' AND ');
}

/**
 * Rows as they were and as they become, for models that follow changes. The first run writes none: there is nothing
 * built yet that could follow.
 */
export async function recordChanges(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly select: string; readonly sequence: number },
): Promise<void> {
  if (given.sequence === 1) return;
  const names = plan.columns.map(({ name }) => quote(name)).join(', ');
  const changes = quoteTable(plan.changes);
  await warehouse.execute(
    `INSERT INTO ${changes} (${names}, _forebay_sequence)
     SELECT x.*, CAST($1 AS bigint) FROM (${given.select}) x`,
    [String(given.sequence)],
  );
}

export async function forgetOldChanges(
  warehouse: Warehouse,
  plan: SilverPlan,
  sequence: number,
): Promise<void> {
  await warehouse.execute(
    `DELETE FROM ${quoteTable(plan.changes)} WHERE _forebay_sequence <= CAST($1 AS bigint)`,
    [String(sequence - KEPT_RUNS)],
  );
}

/** The last event of each key that counts, in a table of the session; the number of them. */
async function pickLast(
  warehouse: Warehouse,
  plan: SilverPlan,
  checked: string,
): Promise<{ readonly sql: string; readonly rows: number }> {
  const last = await createTemporary(warehouse, '_forebay_last', [
    { name: '_forebay_n', type: ownType(plan.dialect, 'int64') },
    { name: '_forebay_op', type: ownType(plan.dialect, 'text') },
    ...plan.key.map(({ name, type }) => ({ name, type })),
  ]);
  const keys = plan.key.map(({ name }) => quote(name)).join(', ');
  const rows = await warehouse.execute(
    `INSERT INTO ${last}
     SELECT _forebay_n, _forebay_op, ${keys} FROM (
       SELECT _forebay_n, _forebay_op, ${keys},
              row_number() OVER (PARTITION BY ${keys} ORDER BY _forebay_n DESC) AS place
       FROM ${checked}
       WHERE NOT _forebay_out AND NOT _forebay_stale AND _forebay_op <> 't'
         AND _forebay_n > (${lastTruncation(checked)})
     ) x WHERE place = 1`,
  );
  await analyze(warehouse, last);
  return { sql: last, rows };
}

export function lastTruncation(checked: string): string {
  return `SELECT coalesce(max(_forebay_n), 0) FROM ${checked} WHERE _forebay_op = 't' AND NOT _forebay_stale`;
}

export function truncations(warehouse: Warehouse, checked: string): Promise<number> {
  return count(
    warehouse,
    `SELECT count(*) AS n FROM ${checked} WHERE _forebay_op = 't' AND NOT _forebay_stale`,
  );
}

/** Empties silver up to the last truncation, and returns how many there were. */
async function applyTruncation(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: Applied,
): Promise<number> {
  const found = await truncations(warehouse, given.checked);
  if (found === 0) return 0;
  const { dialect } = plan;
  const position = byteOrder(dialect, 's._forebay_position');
  const highest = `max(${byteOrder(dialect, '_forebay_position')})`;
  const before = `${position} < (SELECT ${highest} FROM ${given.checked} WHERE _forebay_op = 't' AND NOT _forebay_stale)`;
  const silver = quoteTable(plan.silver);
  await recordChanges(warehouse, plan, {
    select: `SELECT ${dataColumns(plan, 's')} FROM ${silver} s WHERE ${before}`,
    sequence: given.sequence,
  });
  await warehouse.execute(`DELETE FROM ${silver} s WHERE ${before}`);
  return found;
}

/** Returns how many records took effect. */
export async function applyCurrent(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: Applied,
): Promise<number> {
  const { checked, sequence, executionId } = given;
  const truncated = await applyTruncation(warehouse, plan, given);
  const last = await pickLast(warehouse, plan, checked);
  const silver = quoteTable(plan.silver);
  const replaced = `EXISTS (SELECT 1 FROM ${last.sql} l WHERE ${sameKey(plan, 'l', 's')})`;
  const kept = `FROM ${checked} c JOIN ${last.sql} l ON l._forebay_n = c._forebay_n
    WHERE l._forebay_op IN ('r', 'i', 'u')`;
  await recordChanges(warehouse, plan, {
    select: `SELECT ${dataColumns(plan, 's')} FROM ${silver} s WHERE ${replaced}
      UNION ALL SELECT ${dataColumns(plan, 'c')} ${kept}`,
    sequence,
  });
  await warehouse.execute(`DELETE FROM ${silver} s WHERE ${replaced}`);
  await insertRows(warehouse, plan, { from: kept, executionId });
  await forgetOldChanges(warehouse, plan, sequence);
  return truncated + last.rows;
}

function insertRows(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly from: string; readonly executionId: string },
): Promise<number> {
  const names = plan.columns.map(({ name }) => quote(name)).join(', ');
  return warehouse.execute(
    `INSERT INTO ${quoteTable(plan.silver)} (${names}, _forebay_position, _forebay_execution_id)
     SELECT ${dataColumns(plan, 'c')}, c._forebay_position, CAST($1 AS text) ${given.from}`,
    [given.executionId],
  );
}

/** Streams without a key: what comes is added, in the place of what it is read again for; a truncation empties the table. */
export async function applyAppend(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: Applied,
): Promise<number> {
  const { checked, sequence, executionId } = given;
  const truncated = await applyTruncation(warehouse, plan, given);
  if (plan.readings.length > 0) await makeRoom(warehouse, plan, given);
  const kept = `FROM ${checked} c
    WHERE NOT c._forebay_out AND NOT c._forebay_stale AND c._forebay_op IN ('r', 'i', 'u') AND c._forebay_n > (${lastTruncation(checked)})`;
  await recordChanges(warehouse, plan, {
    select: `SELECT ${dataColumns(plan, 'c')} ${kept}`,
    sequence,
  });
  const added = await insertRows(warehouse, plan, { from: kept, executionId });
  await forgetOldChanges(warehouse, plan, sequence);
  return truncated + added;
}

async function makeRoom(
  warehouse: Warehouse,
  plan: SilverPlan,
  { checked, sequence }: Applied,
): Promise<void> {
  const silver = quoteTable(plan.silver);
  const where = displaced(plan, checked, 's');
  await recordChanges(warehouse, plan, {
    select: `SELECT ${dataColumns(plan, 's')} FROM ${silver} s WHERE ${where}`,
    sequence,
  });
  await warehouse.execute(`DELETE FROM ${silver} s WHERE ${where}`);
}

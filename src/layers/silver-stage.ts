/** Rows of bronze that silver has not taken yet, brought into a session's table in the order of their events. */
import { LAYERS_SQL } from './layer-state.ts';
import type { SilverColumn, SilverPlan } from './silver-plan.ts';
import { castOrNull, ownType } from './types.ts';
import {
  analyze,
  byteOrder,
  count,
  createTemporary,
  quote,
  quoteTable,
  type Warehouse,
} from './warehouse.ts';

/** As bronze has the value; the column's own name holds it in silver's type. */
export function rawName(index: number): string {
  return quote(`_forebay_raw_${index}`);
}

/** SQL for a bronze value in silver's type; NULL where it does not read as that. */
export function typed(plan: SilverPlan, column: SilverColumn, expression: string): string {
  return column.type === column.bronzeType
    ? expression
    : castOrNull(plan.dialect, expression, column.type);
}

/** Rows of bronze called `b`. The last word is their place in the table: bronze is only ever appended to. */
function ordered(plan: SilverPlan): string {
  const position = byteOrder(plan.dialect, 'b._forebay_position');
  const place = plan.dialect === 'duckdb' ? 'b.rowid' : 'b._forebay_place';
  return `${position}, b._forebay_loaded_at, CAST(b._forebay_execution_id AS text), ${place}`;
}

/** What was taken before, of bronze rows called `b`. */
function takenBefore(plan: SilverPlan, table: string): string {
  const position = byteOrder(plan.dialect, 'b._forebay_position');
  return `EXISTS (SELECT 1 FROM ${LAYERS_SQL} l WHERE l.layer = 'silver' AND l.table_name = ${table}
    AND l.execution_id = CAST(b._forebay_execution_id AS text) AND ${position} <= l.position)`;
}

/**
 * For PostgreSQL, by the index that silver makes on bronze: executions are found by stepping from one to the next, and
 * what is taken of each is compared with its last row. Those that bring something, and behind which position; a
 * statement of its own, so that the planner knows how few they are.
 */
async function findUntaken(warehouse: Warehouse, plan: SilverPlan): Promise<string> {
  const { dialect } = plan;
  const text = ownType(dialect, 'text');
  const bronze = quoteTable(plan.bronze);
  const untaken = await createTemporary(warehouse, '_forebay_untaken', [
    { name: 'id', type: text },
    { name: 'position', type: text },
  ]);
  await warehouse.execute(
    `INSERT INTO ${untaken}
     WITH RECURSIVE executions AS (
       (SELECT _forebay_execution_id AS id FROM ${bronze}
        WHERE _forebay_execution_id IS NOT NULL ORDER BY 1 LIMIT 1)
       UNION ALL
       SELECT (SELECT _forebay_execution_id FROM ${bronze}
               WHERE _forebay_execution_id > e.id ORDER BY 1 LIMIT 1)
       FROM executions e WHERE e.id IS NOT NULL
     ), taken AS (
       SELECT execution_id, max(${byteOrder(dialect, 'position')}) AS position FROM ${LAYERS_SQL}
       WHERE layer = 'silver' AND table_name = CAST($1 AS text) GROUP BY execution_id
     )
     SELECT CAST(e.id AS text), t.position
     FROM executions e LEFT JOIN taken t ON t.execution_id = CAST(e.id AS text)
     WHERE e.id IS NOT NULL AND (t.position IS NULL OR t.position < (
       SELECT max(${byteOrder(dialect, 'b._forebay_position')}) FROM ${bronze} b
       WHERE b._forebay_execution_id = e.id))`,
    [plan.stream.table],
  );
  await analyze(warehouse, untaken);
  return untaken;
}

/** Rows that silver has not taken, as `b`; their place in the table with them. In DuckDB the parameter is silver's table. */
async function untakenRows(warehouse: Warehouse, plan: SilverPlan): Promise<string> {
  const bronze = quoteTable(plan.bronze);
  if (plan.dialect === 'duckdb')
    return `${bronze} b WHERE NOT ${takenBefore(plan, 'CAST($1 AS text)')}`;
  const untaken = await findUntaken(warehouse, plan);
  const position = byteOrder(plan.dialect, 'b._forebay_position');
  const rows = (where: string): string =>
    `SELECT b.ctid AS _forebay_place, b.* FROM ${bronze} b ${where}`;
  return `(
    ${rows(`JOIN ${untaken} u ON b._forebay_execution_id = u.id WHERE ${position} > coalesce(u.position, '')`)}
    UNION ALL ${rows(`JOIN ${untaken} u ON b._forebay_execution_id = u.id AND u.position IS NULL WHERE ${position} = ''`)}
    UNION ALL ${rows('WHERE b._forebay_execution_id IS NULL')}
  ) b`;
}

export interface Stage {
  readonly sql: string;
  readonly rows: number;
}

/** Fills the stage: one row per event, `_forebay_n` numbers them in order. */
export async function fillStage(warehouse: Warehouse, plan: SilverPlan): Promise<Stage> {
  const { dialect } = plan;
  const text = ownType(dialect, 'text');
  const time = ownType(dialect, 'timestamptz');
  const stage = await createTemporary(warehouse, '_forebay_stage', [
    { name: '_forebay_n', type: ownType(dialect, 'int64') },
    { name: '_forebay_op', type: text },
    { name: '_forebay_position', type: text },
    { name: '_forebay_at', type: time },
    { name: '_forebay_execution_id', type: text },
    { name: '_forebay_unchanged', type: text },
    ...plan.columns.map(({ bronzeType }, index) => ({
      name: `_forebay_raw_${index}`,
      type: bronzeType,
    })),
  ]);
  const values = plan.columns.map(({ name }) => `, b.${quote(name)}`).join('');
  const from = await untakenRows(warehouse, plan);
  const rows = await warehouse.execute(
    `INSERT INTO ${stage}
     SELECT row_number() OVER (ORDER BY ${ordered(plan)}), b._forebay_op, b._forebay_position,
            coalesce(b._forebay_committed_at, b._forebay_loaded_at), CAST(b._forebay_execution_id AS text),
            ${plan.tellsUnchanged ? 'b._forebay_unchanged' : 'NULL'}${values}
     FROM ${from}`,
    dialect === 'duckdb' ? [plan.stream.table] : [],
  );
  if (plan.tellsUnchanged && plan.key.length > 0) await fillUnchanged(warehouse, plan, stage);
  return { sql: stage, rows };
}

/**
 * A reading of a whole table tells what is gone by leaving it out: for each row of silver that it has not, a delete is
 * put behind it. Gives their number.
 */
export async function stageVanished(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly stage: string; readonly executionId: string; readonly now: string },
): Promise<number> {
  const { stage, executionId, now } = given;
  const { dialect } = plan;
  const position = (expression: string): string => `max(${byteOrder(dialect, expression)})`;
  const keys = plan.key.map((column) => ({
    ...column,
    raw: rawName(rawIndex(plan, column.name)),
    quoted: quote(column.name),
  }));
  const list = (of: (key: (typeof keys)[number]) => string, glue = ', '): string =>
    keys.map(of).join(glue);
  const value = (key: (typeof keys)[number]): string => typed(plan, key, `x.${key.raw}`);
  const isRow = `x._forebay_op IN ('r', 'i', 'u')`;
  const current = plan.stream.load === 'history' ? 'WHERE s._forebay_is_current' : '';
  // Behind everything that was ever taken, and behind the reading itself.
  const behind = `coalesce((SELECT ${position('p.position')} FROM (
      SELECT _forebay_position AS position FROM ${stage}
      UNION ALL SELECT _forebay_position FROM ${quoteTable(plan.silver)}) p), '') || '~'`;
  return warehouse.execute(
    `INSERT INTO ${stage} (_forebay_n, _forebay_op, _forebay_position, _forebay_at, _forebay_execution_id,
       ${list(({ raw }) => raw)})
     SELECT (SELECT coalesce(max(_forebay_n), 0) FROM ${stage}) + row_number() OVER (), 'd', ${behind},
       CAST($2 AS ${ownType(dialect, 'timestamptz')}), CAST($1 AS text),
       ${list(({ quoted, bronzeType }) => `CAST(k.${quoted} AS ${bronzeType})`)}
     FROM (
       SELECT ${list(({ quoted }) => `s.${quoted}`)} FROM ${quoteTable(plan.silver)} s ${current}
       UNION
       SELECT ${list((key) => `${value(key)} AS ${key.quoted}`)} FROM ${stage} x
       WHERE ${isRow} AND x._forebay_execution_id <> CAST($1 AS text)
         AND ${list((key) => `${value(key)} IS NOT NULL`, ' AND ')}
     ) k
     WHERE NOT EXISTS (SELECT 1 FROM ${stage} x
       WHERE x._forebay_execution_id = CAST($1 AS text) AND ${isRow}
         AND ${list((key) => `${value(key)} = k.${key.quoted}`, ' AND ')})`,
    [executionId, now],
  );
}

function isUnchanged(list: string, name: string): string {
  return `coalesce(strpos(',' || ${list} || ',', ${name}), 0) > 0`;
}

/**
 * An update may leave out large values that it did not change. The value is that of the last event of the row before
 * it that has one, wherever in bronze that is.
 */
async function fillUnchanged(warehouse: Warehouse, plan: SilverPlan, stage: string): Promise<void> {
  const lists = await warehouse.query(
    `SELECT DISTINCT _forebay_unchanged AS list FROM ${stage} WHERE _forebay_unchanged IS NOT NULL`,
  );
  const names = new Set(lists.flatMap((row) => (row['list'] ?? '').split(',')));
  const position = byteOrder(plan.dialect, 'b._forebay_position');
  for (const [index, column] of plan.columns.entries()) {
    if (!names.has(column.name)) continue;
    const sameKey = plan.key
      .map(({ name }) => `b.${quote(name)} = s.${rawName(rawIndex(plan, name))}`)
      .join(' AND ');
    const marked = `,${column.name},`;
    await warehouse.execute(
      `UPDATE ${stage} SET ${rawName(index)} = x.value
       FROM (
         SELECT DISTINCT ON (s._forebay_n) s._forebay_n AS n, b.${quote(column.name)} AS value
         FROM ${stage} s JOIN ${quoteTable(plan.bronze)} b ON ${sameKey}
         WHERE ${isUnchanged('s._forebay_unchanged', 'CAST($1 AS text)')}
           AND b._forebay_op IN ('r', 'i', 'u') AND ${position} < s._forebay_position
           ${plan.tellsUnchanged ? `AND NOT (${isUnchanged('b._forebay_unchanged', 'CAST($1 AS text)')})` : ''}
         ORDER BY s._forebay_n, ${position} DESC, b._forebay_loaded_at DESC
       ) x
       WHERE _forebay_n = x.n`,
      [marked],
    );
  }
}

function rawIndex(plan: SilverPlan, name: string): number {
  return plan.columns.findIndex((column) => column.name === name);
}

/**
 * Marks, in `checked`, events that come late: a later one of their row, or a truncation, was taken in an earlier
 * run, or they were themselves. Rows that were read stay where nothing later is known: the newer reading counts.
 */
export async function markStale(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly checked: string; readonly position: string },
): Promise<void> {
  if (plan.key.length === 0 || given.position === '') return;
  const { checked, position } = given;
  const own = byteOrder(plan.dialect, 'c._forebay_position');
  const late = await count(
    warehouse,
    `SELECT count(*) AS n FROM ${checked} c WHERE ${own} <= CAST($1 AS text)`,
    [position],
  );
  if (late === 0) return;
  const table = 'CAST($1 AS text)';
  const highest = `max(${byteOrder(plan.dialect, 'b._forebay_position')})`;
  const keys = plan.key.map((column) => ({
    name: quote(column.name),
    value: typed(plan, column, `b.${quote(column.name)}`),
  }));
  const selected = keys.map(({ value }, index) => `${value} AS k${index}`).join(', ');
  const equal = keys.map(({ name }, index) => `c.${name} = h.k${index}`).join(' AND ');
  const after = `(h.highest > ${own} OR (h.highest = ${own} AND c._forebay_op <> 'r'))`;
  await warehouse.execute(
    `UPDATE ${checked} SET _forebay_stale = true
     FROM (
       SELECT c._forebay_n AS n FROM ${checked} c JOIN (
         SELECT ${keys.map((_, index) => `k${index}`).join(', ')}, max(${byteOrder(plan.dialect, 'position')}) AS highest
         FROM (
           SELECT ${selected}, b._forebay_position AS position FROM ${quoteTable(plan.bronze)} b
           WHERE b._forebay_op <> 't' AND ${takenBefore(plan, table)}
         ) taken GROUP BY ${keys.map((_, index) => `k${index}`).join(', ')}
       ) h ON ${equal}
       WHERE ${after}
     ) x
     WHERE _forebay_n = x.n`,
    [plan.stream.table],
  );
  await warehouse.execute(
    `UPDATE ${checked} SET _forebay_stale = true
     WHERE ${byteOrder(plan.dialect, '_forebay_position')} <= (
       SELECT ${highest} FROM ${quoteTable(plan.bronze)} b
       WHERE b._forebay_op = 't' AND ${takenBefore(plan, table)})`,
    [plan.stream.table],
  );
}

/** Holds staged rows against the table's rules, as they would stand in the table. */
import { ACT_DELETE, ACT_INSERT, ACT_PATCH, ACT_REPLACE } from '../../core/folded-rows.ts';
import { ACT_OLD_KEY, alive, keyJoin, removeByKey } from './apply.ts';
import type { Connection } from './database.ts';
import type { Rule } from './rules.ts';
import type { Stage } from './stage.ts';
import { type BoundTable, sameName, type TableColumn } from './tables.ts';
import { printColumnType, quoteName } from './types.ts';

export interface StagedRows {
  readonly connection: Connection;
  readonly table: BoundTable;
  readonly stage: Stage;
  /** Unchanged columns per mask number. */
  readonly masks: readonly ReadonlySet<number>[];
  /**
   * `keyed`  rows replace those with their key; `rekey` one row moves, and its old key is staged beside it;
   * `added`  rows stand beside all that are there
   */
  readonly manner: 'keyed' | 'rekey' | 'added';
}

/** A staged row that may not be written. */
export interface Violation {
  readonly place: number;
  readonly reason: string;
}

const CANDIDATES = 'temp.main.forebay_candidates';
const PLACE = '_forebay_place';
const WHOLE_ROWS = `${ACT_INSERT}, ${ACT_REPLACE}`;

/** Rules that such a write can break. Rows that replace those with their key cannot break the key itself. */
export function breakableRules(
  table: BoundTable,
  rules: readonly Rule[],
  manner: StagedRows['manner'],
): readonly Rule[] {
  if (manner === 'added') return rules;
  const key = table.target.schema.key.map((index) =>
    quoteName(table.columns[index]?.name ?? '').toLowerCase(),
  );
  return rules.filter((rule) => {
    if (rule.kind === 'check') return true;
    const parts = new Set(rule.expressions.map((expression) => expression.toLowerCase()));
    return key.some((name) => !parts.has(name));
  });
}

/** Takes rows that a rule forbids out of the stage, and tells which they were. */
export async function removeViolations(
  rows: StagedRows,
  rules: readonly Rule[],
): Promise<Violation[]> {
  const { connection } = rows;
  await connection.run(`CREATE OR REPLACE TEMP TABLE forebay_candidates AS ${candidates(rows)}`);
  const found: Violation[] = [];
  for (const rule of rules) {
    if (rule.kind === 'check') found.push(...(await remove(rows, rule.reason, brokenCheck(rule))));
  }
  // A row that is left out leaves its old values in the table, which may be in the way of another.
  for (let before = -1; before < found.length;) {
    before = found.length;
    for (const rule of rules) {
      if (rule.kind === 'unique')
        found.push(...(await remove(rows, rule.reason, takenValues(rows, rule))));
    }
  }
  return found;
}

/**
 * Writes the rows that were held against rules as they will stand, all old ones away before any new one comes: in
 * any other order a value would still be taken that its row is about to give up. Returns the places of updates that
 * found no row.
 */
export async function applyCandidates(rows: StagedRows): Promise<number[]> {
  const { connection, table, stage } = rows;
  const held = `place IN (SELECT ${PLACE} FROM ${CANDIDATES})`;
  const missing = await connection.all(
    `SELECT place FROM ${stage.sql} WHERE act = ${ACT_PATCH} AND NOT ${held}`,
  );
  await removeByKey(rows, ACT_DELETE);
  await connection.run(
    `DELETE FROM ${table.sql} AS t USING (SELECT * FROM ${stage.sql} WHERE ${held}) AS s
     WHERE ${keyJoin(table)}`,
  );
  const names = table.physical.map(({ name }) => quoteName(name)).join(', ');
  await connection.run(`INSERT INTO ${table.sql} (${names}) SELECT ${names} FROM ${CANDIDATES}`);
  return missing.map(([place]) => Number(place));
}

async function remove(
  { connection, stage }: StagedRows,
  reason: string,
  places: string,
): Promise<Violation[]> {
  const rows = await connection.all(places);
  if (rows.length === 0) return [];
  const list = rows.map(([place]) => String(place)).join(', ');
  await connection.run(`DELETE FROM ${CANDIDATES} WHERE ${PLACE} IN (${list})`);
  await connection.run(`DELETE FROM ${stage.sql} WHERE place IN (${list})`);
  return rows.map(([place]) => ({ place: Number(place), reason }));
}

/** A check forbids what is false, and what it cannot be asked of; NULL passes. */
function brokenCheck(rule: Rule & { kind: 'check' }): string {
  return `SELECT ${PLACE} FROM ${CANDIDATES}
    WHERE TRY(CASE WHEN CAST((${rule.expression}) AS BOOLEAN) IS FALSE THEN 0 ELSE 1 END) IS DISTINCT FROM 1`;
}

/** Of candidates with the same values the first may stay. */
function takenValues(rows: StagedRows, rule: Rule & { kind: 'unique' }): string {
  const names = rule.expressions.map((_, index) => `k${index}`);
  const list = rule.expressions.map((expression, index) => `${expression} AS k${index}`).join(', ');
  const some = names.map((name) => `${name} IS NOT NULL`).join(' AND ');
  return `WITH wanted AS (
      SELECT * FROM (SELECT ${PLACE} AS place, ${list} FROM ${CANDIDATES}) WHERE ${some}),
    taken AS (SELECT ${list} FROM (${staying(rows)}))
    SELECT place FROM wanted SEMI JOIN taken USING (${names.join(', ')})
    UNION SELECT place FROM (
      SELECT place, row_number() OVER (PARTITION BY ${names.join(', ')} ORDER BY place) AS nth FROM wanted)
    WHERE nth > 1`;
}

/** Rows of the table that this write leaves as they are. */
function staying({ table, stage, manner }: StagedRows): string {
  if (manner === 'added') return `SELECT * FROM ${table.sql}`;
  const hard = table.target.deletes === 'hard' ? `, ${ACT_DELETE}` : '';
  const acts = `${WHOLE_ROWS}, ${ACT_PATCH}, ${ACT_OLD_KEY}${hard}`;
  return `SELECT t.* FROM ${table.sql} AS t
    ANTI JOIN (SELECT * FROM ${stage.sql} WHERE act IN (${acts})) AS s ON ${keyJoin(table)}`;
}

/** Rows as they would be written, under the table's names. */
function candidates(rows: StagedRows): string {
  const { table, stage, masks, manner } = rows;
  if (manner === 'rekey') return movedRow(rows);
  const joined = manner === 'keyed' && table.hasForeign;
  const whole = select(table, (index, column) => {
    if (index !== null) return `s.c${index}`;
    const filled = `CAST(${column.defaultSql ?? 'NULL'} AS ${printColumnType(column.type)})`;
    return joined
      ? `CASE WHEN t.rowid IS NULL THEN ${filled} ELSE t.${quoteName(column.name)} END`
      : filled;
  });
  const join = joined ? ` LEFT JOIN ${table.sql} AS t ON ${keyJoin(table)}` : '';
  const patches = masks.map(
    (unchanged, mask) => `${select(table, patched(unchanged))} FROM ${stage.sql} AS s
      JOIN ${table.sql} AS t ON ${keyJoin(table)}${alive(table)} WHERE s.act = ${ACT_PATCH} AND s.mask = ${mask}`,
  );
  return [`${whole} FROM ${stage.sql} AS s${join} WHERE s.act IN (${WHOLE_ROWS})`, ...patches].join(
    ' UNION ALL ',
  );
}

/** From the row that has the new key, or else from the one that has the old. */
function movedRow({ table, stage, masks }: StagedRows): string {
  const columns = select(table, patched(masks[0] ?? new Set()));
  const staged = (act: number): string => `(SELECT * FROM ${stage.sql} WHERE act = ${act})`;
  const there = `FROM ${staged(ACT_PATCH)} AS s JOIN ${table.sql} AS t ON ${keyJoin(table)}${alive(table)}`;
  return `${columns} ${there} UNION ALL
    ${columns} FROM ${staged(ACT_PATCH)} AS s CROSS JOIN ${staged(ACT_OLD_KEY)} AS o
    JOIN ${table.sql} AS t ON ${keyJoin(table, 'o')}${alive(table)} WHERE NOT EXISTS (SELECT 1 ${there})`;
}

type Expression = (index: number | null, column: TableColumn) => string;

const patched =
  (unchanged: ReadonlySet<number>): Expression =>
  (index, column) =>
    index === null || unchanged.has(index) ? `t.${quoteName(column.name)}` : `s.c${index}`;

function select(table: BoundTable, expression: Expression): string {
  const columns = table.physical.map((column) => {
    const index = table.columns.findIndex(({ name }) => sameName(name, column.name));
    return `${expression(index < 0 ? null : index, column)} AS ${quoteName(column.name)}`;
  });
  return `SELECT s.place AS ${PLACE}, ${columns.join(', ')}`;
}

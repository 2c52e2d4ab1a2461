/** Looks at staged rows with all rules, marks those that are left out, and counts. */
import {
  METRIC_TYPES,
  type MetricType,
  type QualityRule,
  type RuleAction,
} from './quality-rules.ts';
import { freshnessSql, rowRuleSql, uniqueRuleSql } from './quality-sql.ts';
import { recentResults } from './layer-state.ts';
import { type PlannedRule, plannedRules, type SilverPlan } from './silver-plan.ts';
import { markSuperseded } from './silver-readings.ts';
import { rawName, type Stage, typed } from './silver-stage.ts';
import { ownType } from './types.ts';
import {
  createTemporary,
  ensureTable,
  QUARANTINE,
  quote,
  quoteTable,
  readColumns,
  Values,
  type Warehouse,
  type WarehouseRow,
} from './warehouse.ts';

/** One count of `data_quality_metrics`. */
export interface QualityMetric {
  readonly stream: string;
  /** Null for totals. */
  readonly rule: string | null;
  readonly metricType: MetricType;
  readonly count: number;
  readonly severity: RuleAction | 'info';
}

export interface QualityOutcome {
  readonly metrics: readonly QualityMetric[];
  /** Rules of action `fail` that were broken. */
  readonly failed: readonly string[];
  /** Rows that a rule of action `filter` leaves out. */
  readonly filtered: number;
  /** The session's table of typed and marked rows. */
  readonly checked: string;
}

interface NumberedRule extends PlannedRule {
  /** The column of `checked` that marks rows which break it. */
  readonly mark: string;
}

/** Of rules that only warn or stop, so many rows are kept to be looked at, per rule and run. */
const SAMPLE_ROWS = 100;

async function createChecked(
  warehouse: Warehouse,
  plan: SilverPlan,
  rules: readonly NumberedRule[],
): Promise<string> {
  const { dialect } = plan;
  const text = ownType(dialect, 'text');
  const truth = ownType(dialect, 'boolean');
  return createTemporary(warehouse, '_forebay_checked', [
    { name: '_forebay_n', type: ownType(dialect, 'int64') },
    { name: '_forebay_op', type: text },
    { name: '_forebay_position', type: text },
    { name: '_forebay_at', type: ownType(dialect, 'timestamptz') },
    { name: '_forebay_execution_id', type: text },
    { name: '_forebay_stale', type: truth },
    { name: '_forebay_out', type: truth },
    ...plan.columns.map(({ name, type }) => ({ name, type })),
    ...rules.map(({ mark }) => ({ name: mark, type: truth })),
  ]);
}

/** All rules about single rows in one pass. */
async function fillChecked(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: {
    readonly stage: string;
    readonly checked: string;
    readonly rules: readonly NumberedRule[];
  },
): Promise<void> {
  const values = new Values();
  const marks = given.rules.map(({ rule, name }) => {
    const broken = rowRuleSql(rule, plan, values);
    if (broken === null) return 'false';
    const ops = name === 'key_present' ? `<> 't'` : `IN ('r', 'i', 'u')`;
    return `t._forebay_op ${ops} AND coalesce((${broken}), false)`;
  });
  const columns = plan.columns.map(
    (column, index) => `, ${typed(plan, column, `s.${rawName(index)}`)} AS ${quote(column.name)}`,
  );
  await warehouse.execute(
    `INSERT INTO ${given.checked}
     SELECT t._forebay_n, t._forebay_op, t._forebay_position, t._forebay_at, t._forebay_execution_id, false, false
       ${plan.columns.map(({ name }) => `, t.${quote(name)}`).join('')}
       ${marks.map((mark) => `, ${mark}`).join('')}
     FROM (SELECT s.*${columns.join('')} FROM ${given.stage} s) t`,
    values.list,
  );
}

async function leaveOut(
  warehouse: Warehouse,
  checked: string,
  rules: readonly NumberedRule[],
): Promise<void> {
  const filters = rules.filter(({ rule }) => rule.action === 'filter');
  if (filters.length === 0) return;
  const broken = filters.map(({ mark }) => mark).join(' OR ');
  await warehouse.execute(`UPDATE ${checked} SET _forebay_out = true WHERE ${broken}`);
}

async function markRepeats(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly checked: string; readonly rules: readonly NumberedRule[] },
): Promise<void> {
  for (const { rule, mark } of given.rules) {
    if (rule.rule !== 'unique') continue;
    const repeated = uniqueRuleSql(rule, plan, given.checked);
    await warehouse.execute(
      `UPDATE ${given.checked} SET ${mark} = true WHERE _forebay_n IN (${repeated})`,
    );
  }
}

/** Records of earlier runs, as their results say. */
async function drifts(
  warehouse: Warehouse,
  plan: SilverPlan,
  rule: Extract<QualityRule, { readonly rule: 'row_count_drift' }>,
  rows: number,
): Promise<boolean> {
  const results = await recentResults(warehouse, plan.stream.table, rule.executions);
  const counts = results.map((text) => Number(/"recordsIn":(\d+)/.exec(text)?.[1] ?? 0));
  if (counts.length === 0) return false;
  const mean = counts.reduce((sum, value) => sum + value, 0) / counts.length;
  if (mean === 0) return rows > 0;
  return (Math.abs(rows - mean) / mean) * 100 > rule.max_percent;
}

async function tableBroken(
  warehouse: Warehouse,
  plan: SilverPlan,
  rule: QualityRule,
  given: { readonly checked: string; readonly rows: number; readonly now: string },
): Promise<boolean> {
  if (rule.rule === 'row_count_drift') return drifts(warehouse, plan, rule, given.rows);
  if (rule.rule !== 'freshness') return false;
  const values = new Values();
  const sql = freshnessSql(rule, plan, { checked: given.checked, now: given.now, values });
  const rows = await warehouse.query(sql, values.list);
  return rows[0]?.['broken'] === 'true';
}

function isAboutTable(rule: QualityRule): boolean {
  return rule.rule === 'freshness' || rule.rule === 'row_count_drift';
}

async function countMarks(
  warehouse: Warehouse,
  checked: string,
  rules: readonly NumberedRule[],
): Promise<{ readonly row: WarehouseRow; readonly filtered: number; readonly invalid: number }> {
  const strict = rules.filter(({ rule }) => rule.action !== 'warn').map(({ mark }) => mark);
  const counts = rules.map(({ mark }) => `count(*) FILTER (WHERE ${mark}) AS ${mark}`);
  const rows = await warehouse.query(
    `SELECT ${[
      `count(*) FILTER (WHERE _forebay_out) AS filtered`,
      `count(*) FILTER (WHERE ${strict.length === 0 ? 'false' : strict.join(' OR ')}) AS invalid`,
      ...counts,
    ].join(', ')} FROM ${checked} WHERE NOT _forebay_stale`,
  );
  const row = rows[0] ?? {};
  return { row, filtered: Number(row['filtered'] ?? 0), invalid: Number(row['invalid'] ?? 0) };
}

/** Rules that come with types and keys are counted only where they found something. */
function isTold(rule: NumberedRule, found: number): boolean {
  return !rule.implied || found > 0;
}

/** Makes and fills `checked`. Nothing outside the session's own tables changes. */
export async function checkQuality(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly stage: Stage; readonly now: string },
): Promise<QualityOutcome> {
  const { stage, now } = given;
  const rules = plannedRules(plan).map((rule, index): NumberedRule => ({
    ...rule,
    mark: `_forebay_mark_${index}`,
  }));
  const checked = await createChecked(warehouse, plan, rules);
  await fillChecked(warehouse, plan, { stage: stage.sql, checked, rules });
  const superseded = await markSuperseded(warehouse, plan, checked);
  const considered = stage.rows - superseded;
  await leaveOut(warehouse, checked, rules);
  await markRepeats(warehouse, plan, { checked, rules });
  await leaveOut(warehouse, checked, rules);
  const counted = await countMarks(warehouse, checked, rules);
  const { stream } = plan.stream;
  const metrics: QualityMetric[] = [
    total(stream, 'total_records', considered),
    total(stream, 'valid_records', considered - counted.invalid),
  ];
  const failed: string[] = [];
  for (const rule of rules) {
    const table = { checked, rows: considered, now };
    const found = isAboutTable(rule.rule)
      ? Number(await tableBroken(warehouse, plan, rule.rule, table))
      : Number(counted.row[rule.mark] ?? 0);
    if (found > 0 && rule.rule.action === 'fail') failed.push(rule.name);
    if (!isTold(rule, found)) continue;
    const metricType = METRIC_TYPES[rule.rule.rule];
    const severity = rule.rule.action;
    metrics.push({ stream, rule: rule.name, metricType, count: found, severity });
  }
  await quarantine(warehouse, plan, { stage: stage.sql, checked, rules, now });
  return { metrics, failed, filtered: counted.filtered, checked };
}

function total(stream: string, metricType: MetricType, found: number): QualityMetric {
  return { stream, rule: null, metricType, count: found, severity: 'info' };
}

/** The quarantine has bronze's columns and types: a value that is no number stays to be seen. */
export async function prepareQuarantine(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  const text = ownType(plan.dialect, 'text');
  await ensureTable(warehouse, plan.quarantine, [
    ...plan.columns.map(({ name, bronzeType }) => ({ name, type: bronzeType })),
    { name: '_forebay_op', type: text },
    { name: '_forebay_position', type: text },
    { name: '_forebay_execution_id', type: text },
    { name: '_forebay_rule', type: text },
    { name: '_forebay_action', type: text },
    { name: '_forebay_quarantined_at', type: ownType(plan.dialect, 'timestamptz') },
  ]);
}

/** A row per row and rule that it breaks; of rules that filter nothing, a sample. */
async function quarantine(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: {
    readonly stage: string;
    readonly checked: string;
    readonly rules: readonly NumberedRule[];
    readonly now: string;
  },
): Promise<void> {
  const names = plan.columns.map(({ name }) => quote(name)).join(', ');
  const raws = plan.columns.map((_, index) => `s.${rawName(index)}`).join(', ');
  const time = ownType(plan.dialect, 'timestamptz');
  for (const { rule, name, mark } of given.rules) {
    if (isAboutTable(rule)) continue;
    const values = new Values();
    await warehouse.execute(
      `INSERT INTO ${quoteTable(plan.quarantine)} (${names}, _forebay_op, _forebay_position,
         _forebay_execution_id, _forebay_rule, _forebay_action, _forebay_quarantined_at)
       SELECT ${raws}, s._forebay_op, s._forebay_position, s._forebay_execution_id,
         ${values.add(name)}, ${values.add(rule.action)}, ${values.add(given.now, time)}
       FROM ${given.stage} s JOIN ${given.checked} c ON c._forebay_n = s._forebay_n
       WHERE c.${mark} AND NOT c._forebay_stale ORDER BY s._forebay_n
       ${rule.action === 'filter' ? '' : `LIMIT ${SAMPLE_ROWS}`}`,
      values.list,
    );
  }
}

/** Samples of a run that was stopped are taken anew when it runs again. */
export async function clearFailedSamples(
  warehouse: Warehouse,
  plan: SilverPlan,
  stage: string,
): Promise<void> {
  await warehouse.execute(
    `DELETE FROM ${quoteTable(plan.quarantine)}
     WHERE (_forebay_execution_id, _forebay_position) IN (
       SELECT _forebay_execution_id, _forebay_position FROM ${stage})`,
  );
}

/** Of a value that is shown; a row is looked at to know what is wrong with it, not to have it. */
const SHOWN_CHARACTERS = 4096;

/**
 * Rows that broke a rule (null: any), the newest first, all values as text. They are data: show them to people, never
 * log them. None where nothing was ever kept.
 */
export async function failedRows(
  warehouse: Warehouse,
  given: { readonly table: string; readonly rule: string | null; readonly limit: number },
): Promise<readonly WarehouseRow[]> {
  const table = { schema: QUARANTINE, name: given.table };
  const columns = await readColumns(warehouse, table);
  if (columns.length === 0) return [];
  const list = columns.map(
    ({ name }) => `left(CAST(${quote(name)} AS text), ${SHOWN_CHARACTERS}) AS ${quote(name)}`,
  );
  return warehouse.query(
    `SELECT ${list.join(', ')} FROM ${quoteTable(table)}
     ${given.rule === null ? '' : 'WHERE _forebay_rule = $1'}
     ORDER BY ${quoteTable(table)}._forebay_quarantined_at DESC, ${quoteTable(table)}._forebay_position
     LIMIT ${Math.max(0, Math.trunc(given.limit))}`,
    given.rule === null ? [] : [given.rule],
  );
}

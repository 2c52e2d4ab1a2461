/** Quality rules as SQL. Rules about a row become one truth value per row, `true` where the row breaks the rule. */
import { durationSeconds, type QualityRule } from './quality-rules.ts';
import { rawName } from './silver-stage.ts';
import type { SilverPlan } from './silver-plan.ts';
import { displaced } from './silver-readings.ts';
import { castOrNull, sqlType } from './types.ts';
import { quote, quoteTable, type Values } from './warehouse.ts';

/** Where rules find their columns: `t.name` in silver's type, `t._forebay_raw_<n>` as in bronze. */
interface RuleColumn {
  readonly typed: string;
  readonly raw: string;
  readonly type: string;
  readonly index: number;
}

function columnOf(plan: SilverPlan, name: string): RuleColumn {
  const index = plan.columns.findIndex((column) => column.name === name);
  return {
    typed: `t.${quote(name)}`,
    raw: `t.${rawName(index)}`,
    type: plan.columns[index]?.type ?? 'text',
    index,
  };
}

function rangeBroken(
  rule: Extract<QualityRule, { readonly rule: 'range' }>,
  column: RuleColumn,
  values: Values,
): string {
  const sides: string[] = [];
  if (rule.min !== undefined)
    sides.push(`${column.typed} < ${values.add(String(rule.min), column.type)}`);
  if (rule.max !== undefined)
    sides.push(`${column.typed} > ${values.add(String(rule.max), column.type)}`);
  return sides.join(' OR ');
}

function referenceBroken(
  rule: Extract<QualityRule, { readonly rule: 'foreign_key' }>,
  plan: SilverPlan,
): string {
  const { references } = rule;
  const pairs = rule.columns.map((name, index) => ({
    own: columnOf(plan, name).typed,
    other: `f.${quote(references.columns[index] ?? '')}`,
  }));
  const present = pairs.map(({ own }) => `${own} IS NOT NULL`).join(' AND ');
  const equal = pairs.map(({ own, other }) => `${other} = ${own}`).join(' AND ');
  const table = quoteTable({ schema: references.schema, name: references.table });
  return `${present} AND NOT EXISTS (SELECT 1 FROM ${table} f WHERE ${equal})`;
}

/** Null for rules that need more than the row itself. */
export function rowRuleSql(rule: QualityRule, plan: SilverPlan, values: Values): string | null {
  const { dialect } = plan;
  switch (rule.rule) {
    case 'not_null':
      return rule.columns.map((name) => `${columnOf(plan, name).raw} IS NULL`).join(' OR ');
    case 'type': {
      const { raw } = columnOf(plan, rule.column);
      const type = sqlType(dialect, rule.type) ?? rule.type;
      return `${raw} IS NOT NULL AND ${castOrNull(dialect, raw, type)} IS NULL`;
    }
    case 'range':
      return rangeBroken(rule, columnOf(plan, rule.column), values);
    case 'regex': {
      const text = `CAST(${columnOf(plan, rule.column).typed} AS text)`;
      const pattern = values.add(rule.pattern);
      return dialect === 'duckdb'
        ? `NOT regexp_matches(${text}, ${pattern})`
        : `${text} !~ ${pattern}`;
    }
    case 'accepted_values': {
      const column = columnOf(plan, rule.column);
      const list = rule.values.map((value) => values.add(String(value), column.type));
      return `${column.typed} NOT IN (${list.join(', ')})`;
    }
    case 'foreign_key':
      return referenceBroken(rule, plan);
    case 'sql':
      return `NOT (${rule.expression}\n)`;
    case 'unique':
    case 'freshness':
    case 'row_count_drift':
      return null;
  }
}

/**
 * Numbers of the rows of `checked` that repeat values which must be unique. Repeats of the stream's own key are what
 * updates are made of; there it is only asked that one reading gives each row once. Otherwise the last event of each
 * key counts, against each other and against rows of silver that stay. Of rows that repeat each other the first is good.
 */
export function uniqueRuleSql(
  rule: Extract<QualityRule, { readonly rule: 'unique' }>,
  plan: SilverPlan,
  checked: string,
): string {
  const names = rule.columns.map(quote);
  const { key } = plan.stream;
  const ofKey = key.length === names.length && key.every((name) => rule.columns.includes(name));
  const usable = `NOT _forebay_out AND NOT _forebay_stale AND _forebay_op IN ('r', 'i', 'u')`;
  if (ofKey) {
    return `SELECT _forebay_n FROM (
      SELECT _forebay_n, row_number() OVER (
        PARTITION BY ${names.join(', ')}, _forebay_execution_id ORDER BY _forebay_n DESC) AS place
      FROM ${checked} WHERE ${usable} AND _forebay_op = 'r'
    ) x WHERE place > 1`;
  }
  const keys = plan.key.map(({ name }) => quote(name));
  const last =
    keys.length === 0
      ? `SELECT *, 1 AS _forebay_place FROM ${checked} WHERE ${usable}`
      : `SELECT *, row_number() OVER (PARTITION BY ${keys.join(', ')} ORDER BY _forebay_n DESC) AS _forebay_place
         FROM ${checked} WHERE NOT _forebay_out AND NOT _forebay_stale AND _forebay_op <> 't'`;
  const present = names.map((name) => `c.${name} IS NOT NULL`).join(' AND ');
  const same = names.map((name) => `s.${name} = c.${name}`).join(' AND ');
  const current = plan.stream.load === 'history' ? 'AND s._forebay_is_current' : '';
  const stays =
    keys.length === 0
      ? `AND NOT (${displaced(plan, checked, 's')})`
      : `AND NOT EXISTS (SELECT 1 FROM lasts o WHERE o._forebay_place = 1 AND ${keys
          .map((name) => `o.${name} = s.${name}`)
          .join(' AND ')})`;
  return `WITH lasts AS (${last})
    SELECT n FROM (
      SELECT c._forebay_n AS n, row_number() OVER (PARTITION BY ${names.map((name) => `c.${name}`).join(', ')} ORDER BY c._forebay_n) AS place,
        EXISTS (SELECT 1 FROM ${quoteTable(plan.silver)} s WHERE ${same} ${current} ${stays}) AS held
      FROM lasts c WHERE c._forebay_place = 1 AND c._forebay_op IN ('r', 'i', 'u') AND ${present}
    ) x WHERE place > 1 OR held`;
}

/** One truth value: whether the newest value, or the newest event of bronze, is older than allowed. Nothing at all is not stale. */
export function freshnessSql(
  rule: Extract<QualityRule, { readonly rule: 'freshness' }>,
  plan: SilverPlan,
  given: { readonly checked: string; readonly now: string; readonly values: Values },
): string {
  // Without its calendar extension DuckDB neither casts dates to zoned times nor reckons with those; all here is UTC.
  const time = plan.dialect === 'duckdb' ? 'TIMESTAMP' : 'timestamp with time zone';
  const oldest = new Date(Date.parse(given.now) - durationSeconds(rule.max_age) * 1000);
  const newest =
    rule.column === undefined
      ? `SELECT CAST(max(coalesce(_forebay_committed_at, _forebay_loaded_at)) AS ${time}) AS moment FROM ${quoteTable(plan.bronze)}`
      : `SELECT max(${castOrNull(plan.dialect, 'value', time)}) AS moment FROM (
           SELECT ${quote(rule.column)} AS value FROM ${given.checked} WHERE NOT _forebay_out
           UNION ALL SELECT ${quote(rule.column)} FROM ${quoteTable(plan.silver)}) both_sides`;
  return `SELECT CAST(coalesce(moment < ${given.values.add(oldest.toISOString(), time)}, false) AS text) AS broken FROM (${newest}) newest`;
}

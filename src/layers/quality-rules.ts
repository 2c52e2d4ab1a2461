/** Quality rules as a pipeline's configuration holds them. */
import { RE2JS } from 're2js';
import { z } from 'zod';
import { sqlStatementFlaw } from './sql-statement.ts';
import { columnTypeSchema } from './types.ts';

const name = z.string().min(1).max(63);
const columns = z.array(name).min(1).max(32);
const scalar = z.union([z.string(), z.number(), z.boolean()]);

const common = { name: name.optional() };
/** What happens to rows that break it. */
const rowAction = { action: z.enum(['warn', 'filter', 'fail']).default('warn') };
/** Rules about the table as a whole have no row to filter. */
const tableAction = { action: z.enum(['warn', 'fail']).default('warn') };

/** Backslash letters and groups that RE2 and PostgreSQL read in different ways. */
const DIALECT_BOUND = /\\[bBpPQECzZA]|\(\?(?!:)/;

function regexFlaw(pattern: string): string | null {
  if (DIALECT_BOUND.test(pattern.replaceAll('\\\\', ''))) {
    return 'Write it without \\b, \\p, \\Q, \\A, \\z and groups that begin with (? other than (?:';
  }
  try {
    RE2JS.compile(pattern);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : 'It is no regular expression';
  }
}

const regex = z
  .string()
  .min(1)
  .max(1000)
  .superRefine((pattern, context) => {
    const flaw = regexFlaw(pattern);
    if (flaw !== null) context.addIssue({ code: 'custom', message: flaw });
  });

const expression = z
  .string()
  .min(1)
  .max(10_000)
  .superRefine((sql, context) => {
    const flaw = sqlStatementFlaw(sql);
    if (flaw !== null) context.addIssue({ code: 'custom', message: flaw });
  });

const DURATION = /^(\d{1,6})(s|m|h|d)$/;
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90m`, in seconds. */
export function durationSeconds(text: string): number {
  const [, number = '0', unit = 's'] = DURATION.exec(text) ?? [];
  return Number(number) * (SECONDS[unit] ?? 1);
}

export const qualityRuleSchema = z.discriminatedUnion('rule', [
  z.strictObject({ rule: z.literal('not_null'), columns, ...common, ...rowAction }),
  z.strictObject({ rule: z.literal('unique'), columns, ...common, ...rowAction }),
  z.strictObject({
    rule: z.literal('type'),
    column: name,
    type: columnTypeSchema,
    ...common,
    ...rowAction,
  }),
  z
    .strictObject({
      rule: z.literal('range'),
      column: name,
      min: scalar.optional(),
      max: scalar.optional(),
      ...common,
      ...rowAction,
    })
    .refine((rule) => rule.min !== undefined || rule.max !== undefined, {
      error: 'Give min, max or both',
    }),
  z.strictObject({
    rule: z.literal('regex'),
    column: name,
    pattern: regex,
    ...common,
    ...rowAction,
  }),
  z.strictObject({
    rule: z.literal('accepted_values'),
    column: name,
    values: z.array(scalar).min(1).max(1000),
    ...common,
    ...rowAction,
  }),
  z
    .strictObject({
      rule: z.literal('foreign_key'),
      columns,
      references: z.strictObject({ table: name, columns, schema: name.default('silver') }),
      ...common,
      ...rowAction,
    })
    .refine((rule) => rule.columns.length === rule.references.columns.length, {
      error: 'Name as many columns on both sides',
    }),
  z.strictObject({
    rule: z.literal('freshness'),
    column: name.optional(),
    max_age: z.string().regex(DURATION, { error: 'Write a number and s, m, h or d' }),
    ...common,
    ...tableAction,
  }),
  z.strictObject({
    rule: z.literal('row_count_drift'),
    max_percent: z.number().positive(),
    /** How many executions before this one make the mean. */
    executions: z.int().min(1).max(100).default(10),
    ...common,
    ...tableAction,
  }),
  z.strictObject({ rule: z.literal('sql'), expression, ...common, ...rowAction }),
]);

export type QualityRule = z.infer<typeof qualityRuleSchema>;
export type RuleAction = QualityRule['action'];

export const qualityRulesSchema = z
  .array(qualityRuleSchema)
  .max(200)
  .superRefine((rules, context) => {
    const seen = new Set<string>();
    for (const [index, rule] of rules.entries()) {
      const label = ruleName(rule);
      if (seen.has(label)) {
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: `Another rule is called ${label} too: give it a name`,
        });
      }
      seen.add(label);
    }
  });

/** The name it was given, or one made of what it says. */
export function ruleName(rule: QualityRule): string {
  if (rule.name !== undefined) return rule.name;
  if ('columns' in rule) return `${rule.rule}:${rule.columns.join(',')}`;
  if ('column' in rule && rule.column !== undefined) return `${rule.rule}:${rule.column}`;
  return rule.rule;
}

/** What is counted in `data_quality_metrics.metric_type`. */
export const METRIC_TYPES = {
  not_null: 'missing_fields',
  unique: 'duplicates',
  type: 'invalid_types',
  range: 'out_of_range',
  regex: 'pattern_mismatches',
  accepted_values: 'unaccepted_values',
  foreign_key: 'missing_references',
  freshness: 'stale',
  row_count_drift: 'row_count_drift',
  sql: 'failed_expressions',
} as const satisfies Record<QualityRule['rule'], string>;

export type MetricType =
  | (typeof METRIC_TYPES)[keyof typeof METRIC_TYPES]
  | 'total_records'
  | 'valid_records';

/** A stream's way from bronze to silver: its columns, types and rules, before any row is looked at. */
import { z } from 'zod';
import { ForebayError } from '../core/errors.ts';
import { type QualityRule, qualityRulesSchema, ruleName } from './quality-rules.ts';
import type { Reading } from './readings.ts';
import { columnTypeSchema, ownType, sqlType } from './types.ts';
import {
  BRONZE,
  CHANGES,
  QUARANTINE,
  readColumns,
  SILVER,
  type TableColumn,
  type TableName,
  type Warehouse,
  type WarehouseDialect,
} from './warehouse.ts';

/** What a pipeline's configuration says of a stream's silver table. */
export const silverOptionsSchema = z.strictObject({
  /** `current`: a row per key; `history`: a row per version of it; `append`: every row that comes, without a key. */
  load: z.enum(['current', 'history', 'append']).default('current'),
  /** Types of columns that are to be other ones than in bronze. */
  columns: z.record(z.string().min(1), columnTypeSchema).default({}),
  rules: qualityRulesSchema.default([]),
});

export type SilverOptions = z.infer<typeof silverOptionsSchema>;

export interface SilverStream extends SilverOptions {
  /** The stream's id, for metrics. */
  readonly stream: string;
  /** Table in schema `bronze`. */
  readonly bronze: string;
  /** Table in schema `silver`. */
  readonly table: string;
  readonly key: readonly string[];
}

export interface SilverColumn {
  readonly name: string;
  readonly bronzeType: string;
  readonly type: string;
}

/** A rule as it is carried out; `implied` ones come with types and keys. */
export interface PlannedRule {
  readonly name: string;
  readonly rule: QualityRule;
  readonly implied: boolean;
}

export interface SilverPlan {
  readonly stream: SilverStream;
  readonly dialect: WarehouseDialect;
  readonly bronze: TableName;
  readonly silver: TableName;
  readonly quarantine: TableName;
  readonly changes: TableName;
  readonly columns: readonly SilverColumn[];
  readonly key: readonly SilverColumn[];
  /** Of a stream without a key, in their order: what was read again and silver has not taken. Known in its transaction. */
  readonly readings: readonly Reading[];
  /** Bronze tells which columns an update left as they were. */
  readonly tellsUnchanged: boolean;
}

/** Columns of ours in silver beside those of the source. */
export function silverOwnColumns(plan: SilverPlan): readonly TableColumn[] {
  const text = ownType(plan.dialect, 'text');
  const time = ownType(plan.dialect, 'timestamptz');
  return [
    { name: '_forebay_position', type: text },
    { name: '_forebay_execution_id', type: text },
    ...(plan.stream.load === 'history'
      ? [
          { name: '_forebay_valid_from', type: time },
          { name: '_forebay_valid_to', type: time },
          { name: '_forebay_is_current', type: ownType(plan.dialect, 'boolean') },
        ]
      : []),
  ];
}

function columnMissing(stream: SilverStream, names: readonly string[], what: string): ForebayError {
  return new ForebayError('column_missing', {
    message: `${what} of ${stream.stream} names columns that ${BRONZE}.${stream.bronze} does not have`,
    why: names.join(', '),
    fix: 'Correct the names in the configuration of the pipeline.',
    stream: stream.stream,
  });
}

function requireColumns(
  stream: SilverStream,
  present: ReadonlySet<string>,
  what: string,
  names: readonly string[],
): void {
  const missing = names.filter((name) => !present.has(name));
  if (missing.length > 0) throw columnMissing(stream, missing, what);
}

function namesOf(rule: QualityRule): readonly string[] {
  if ('columns' in rule) return rule.columns;
  return 'column' in rule && rule.column !== undefined ? [rule.column] : [];
}

/** Throws `table_missing`, `column_missing`, `no_key`. */
export async function planSilver(warehouse: Warehouse, stream: SilverStream): Promise<SilverPlan> {
  const bronze = { schema: BRONZE, name: stream.bronze };
  const present = await readColumns(warehouse, bronze);
  if (present.length === 0) {
    throw new ForebayError('table_missing', {
      message: `Table ${BRONZE}.${stream.bronze} does not exist`,
      fix: 'Run the pipeline: its bronze layer makes the table.',
      stream: stream.stream,
    });
  }
  if (stream.key.length === 0 && stream.load !== 'append') {
    throw new ForebayError('no_key', {
      message: `Stream ${stream.stream} has no key by which its rows could be told apart`,
      fix: 'Give the stream a key, or set `load: append` for its silver table.',
      stream: stream.stream,
    });
  }
  const { dialect } = warehouse;
  const columns = present
    .filter(({ name }) => !name.startsWith('_forebay_'))
    .map(({ name, type }): SilverColumn => {
      const declared = stream.columns[name];
      const wanted = declared === undefined ? null : sqlType(dialect, declared);
      return { name, bronzeType: type, type: wanted ?? type };
    });
  const names = new Set(columns.map(({ name }) => name));
  requireColumns(stream, names, 'The key', stream.key);
  requireColumns(stream, names, 'A type', Object.keys(stream.columns));
  for (const rule of stream.rules) requireColumns(stream, names, 'A quality rule', namesOf(rule));
  return {
    stream,
    dialect,
    bronze,
    silver: { schema: SILVER, name: stream.table },
    quarantine: { schema: QUARANTINE, name: stream.table },
    changes: { schema: CHANGES, name: stream.table },
    columns,
    key: columns
      .filter(({ name }) => stream.key.includes(name))
      .toSorted((a, b) => stream.key.indexOf(a.name) - stream.key.indexOf(b.name)),
    readings: [],
    tellsUnchanged: present.some(({ name }) => name === '_forebay_unchanged'),
  };
}

/** The configured rules, and those that a declared type and a key bring with them. */
export function plannedRules(plan: SilverPlan): readonly PlannedRule[] {
  const { stream } = plan;
  const given = stream.rules.map((rule): PlannedRule => ({
    name: ruleName(rule),
    rule,
    implied: false,
  }));
  const types = Object.entries(stream.columns).flatMap(([column, type]): PlannedRule[] => {
    const covered = stream.rules.some(
      (rule) =>
        rule.rule === 'type' &&
        rule.column === column &&
        rule.type === type &&
        rule.action !== 'warn',
    );
    if (covered) return [];
    const rule: QualityRule = { rule: 'type', column, type, action: 'filter' };
    return [{ name: `declared_type:${column}`, rule, implied: true }];
  });
  if (stream.key.length === 0) return [...given, ...types];
  const key: QualityRule = { rule: 'not_null', columns: [...stream.key], action: 'filter' };
  return [...given, ...types, { name: 'key_present', rule: key, implied: true }];
}

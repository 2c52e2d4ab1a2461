/**
 * Silver: typed rows that pass the rules, from what bronze has and silver has not. One transaction takes the rows and
 * records that they are taken, so that a run that is repeated after a crash changes nothing more.
 */
import { ForebayError } from '../core/errors.ts';
import { forgetReadings, isReading, openReadings } from './readings.ts';
import { lockTable, prepareState, readTaken, writeTaken } from './layer-state.ts';
import {
  checkQuality,
  clearFailedSamples,
  prepareQuarantine,
  type QualityMetric,
} from './quality.ts';
import { applyAppend, applyCurrent } from './silver-apply.ts';
import { applyHistory } from './silver-history.ts';
import { planSilver, type SilverPlan, type SilverStream, silverOwnColumns } from './silver-plan.ts';
import { readingsTable, stageReadings } from './silver-readings.ts';
import { fillStage, markStale, stageVanished } from './silver-stage.ts';
import { ownType } from './types.ts';
import {
  CHANGES,
  count,
  dropTemporaries,
  ensureSchemas,
  ensureTable,
  QUARANTINE,
  quote,
  quoteTable,
  SILVER,
  type Warehouse,
} from './warehouse.ts';

export interface SilverCounts {
  /** Rows of bronze that were looked at. */
  readonly recordsIn: number;
  /** Rows that silver took: `recordsIn` less the two below. */
  readonly records: number;
  readonly recordsFiltered: number;
  readonly recordsDeduplicated: number;
}

export type SilverResult =
  | ({
      readonly kind: 'completed';
      readonly table: string;
      readonly metrics: readonly QualityMetric[];
    } & SilverCounts)
  /** Nothing of silver has changed. */
  | {
      readonly kind: 'failed';
      readonly table: string;
      readonly metrics: readonly QualityMetric[];
      readonly error: ForebayError;
    };

export interface SilverRun {
  readonly executionId: string;
  /** RFC 3339; when rows were quarantined, and what freshness is measured against. */
  readonly now: string;
}

const SESSION_TABLES = [
  '_forebay_untaken',
  '_forebay_stage',
  '_forebay_checked',
  '_forebay_last',
  '_forebay_events',
  '_forebay_versions',
  '_forebay_taken',
  '_forebay_readings',
];

async function prepareTables(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  await ensureSchemas(warehouse, [SILVER, QUARANTINE, CHANGES]);
  const columns = plan.columns.map(({ name, type }) => ({ name, type }));
  await ensureTable(warehouse, plan.silver, [...columns, ...silverOwnColumns(plan)]);
  await ensureTable(warehouse, plan.changes, [
    ...columns,
    { name: '_forebay_sequence', type: ownType(plan.dialect, 'int64') },
  ]);
  await prepareQuarantine(warehouse, plan);
  if (plan.dialect !== 'postgres') return;
  if (plan.key.length > 0) await indexKey(warehouse, plan);
  await warehouse.transaction(() => indexBronze(warehouse, plan));
}

/** So that a run reads what is new and not all that ever came; made after the first load, which is faster without. */
async function indexBronze(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  const { schema, name } = plan.bronze;
  await lockTable(warehouse, `bronze.${name}`);
  const found = await warehouse.query(
    `SELECT 1 AS found FROM pg_index i
     JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attname = '_forebay_execution_id' AND i.indisvalid`,
    [schema, name],
  );
  if (found.length > 0) return;
  await warehouse.execute(
    `CREATE INDEX ON ${quoteTable(plan.bronze)} (_forebay_execution_id, _forebay_position COLLATE "C")`,
  );
}

/** Rows are replaced by key. No unique index: bronze may hold what a constraint of ours would stop at. */
async function indexKey(warehouse: Warehouse, plan: SilverPlan): Promise<void> {
  const found = await warehouse.query(
    'SELECT 1 AS found FROM pg_indexes WHERE schemaname = $1 AND tablename = $2',
    [plan.silver.schema, plan.silver.name],
  );
  if (found.length > 0) return;
  const columns = plan.key.map(({ name }) => quote(name)).join(', ');
  await warehouse.execute(`CREATE INDEX ON ${quoteTable(plan.silver)} (${columns})`);
}

async function assertFollowable(
  plan: SilverPlan,
  warehouse: Warehouse,
  checked: string,
): Promise<void> {
  if (plan.key.length > 0) return;
  const changes = await count(
    warehouse,
    `SELECT count(*) AS n FROM ${checked} WHERE NOT _forebay_stale AND _forebay_op IN ('u', 'd', 'b')`,
  );
  if (changes === 0) return;
  throw new ForebayError('no_key', {
    message: `Stream ${plan.stream.stream} has no key, and ${changes} updates or deletes that need one`,
    stream: plan.stream.stream,
  });
}

function apply(
  warehouse: Warehouse,
  plan: SilverPlan,
  given: { readonly checked: string; readonly sequence: number; readonly executionId: string },
): Promise<number> {
  switch (plan.stream.load) {
    case 'current':
      return applyCurrent(warehouse, plan, given);
    case 'history':
      return applyHistory(warehouse, plan, given);
    case 'append':
      return applyAppend(warehouse, plan, given);
  }
}

function qualityFailure(plan: SilverPlan, rules: readonly string[]): ForebayError {
  return new ForebayError('quality_failed', {
    message: `Stream ${plan.stream.stream} breaks quality rules that stop it`,
    why: rules.join(', '),
    stream: plan.stream.stream,
  });
}

async function take(
  warehouse: Warehouse,
  planned: SilverPlan,
  run: SilverRun,
): Promise<SilverResult> {
  const { table, bronze } = planned.stream;
  await lockTable(warehouse, `silver.${table}`);
  const readings = await openReadings(warehouse, planned.stream);
  const plan = planned.key.length === 0 ? { ...planned, readings } : planned;
  const taken = await readTaken(warehouse, table, run.executionId);
  const stage = await fillStage(warehouse, plan);
  if (stage.rows === 0 && taken.result !== null) return readResult(taken.result, plan);
  const { executionId } = run;
  const vanished =
    plan.key.length > 0 && (await isReading(warehouse, executionId, bronze))
      ? await stageVanished(warehouse, plan, { stage: stage.sql, executionId, now: run.now })
      : 0;
  await stageReadings(warehouse, plan);
  await clearFailedSamples(warehouse, plan, stage.sql);
  const quality = await checkQuality(warehouse, plan, { stage, now: run.now });
  const { checked, metrics } = quality;
  await assertFollowable(plan, warehouse, checked);
  if (quality.failed.length > 0) {
    return { kind: 'failed', table, metrics, error: qualityFailure(plan, quality.failed) };
  }
  await markStale(warehouse, plan, { checked, position: taken.position });
  const sequence = taken.sequence + 1;
  // Rows that are gone are none that bronze has.
  const records = (await apply(warehouse, plan, { checked, sequence, executionId })) - vanished;
  const earlier = taken.result === null ? null : readResult(taken.result, plan);
  const result: SilverResult = addUp(earlier, {
    kind: 'completed',
    table,
    metrics,
    recordsIn: stage.rows,
    records,
    recordsFiltered: quality.filtered,
    recordsDeduplicated: stage.rows - quality.filtered - records,
  });
  await writeTaken(warehouse, {
    table,
    executionId,
    staged: stage.sql,
    sequence,
    result: JSON.stringify(result),
    also: readingsTable(plan),
  });
  await forgetReadings(warehouse, bronze, readings);
  return result;
}

type Completed = Extract<SilverResult, { readonly kind: 'completed' }>;

/** Written by `take` of this or an earlier release in the same form. */
function readResult(text: string, plan: SilverPlan): Completed {
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && 'recordsIn' in value) {
    // Nobody else writes this column.
    return value as Completed;
  }
  throw new ForebayError('internal', {
    message: `_forebay.layers holds no result for silver.${plan.stream.table}`,
  });
}

/** An execution that brings rows in several rounds has one result. */
function addUp(earlier: Completed | null, round: Completed): Completed {
  if (earlier === null) return round;
  const keyOf = ({ rule, metricType }: QualityMetric): string => `${metricType} ${rule ?? ''}`;
  const metrics = new Map(earlier.metrics.map((metric) => [keyOf(metric), metric]));
  for (const metric of round.metrics) {
    const before = metrics.get(keyOf(metric))?.count ?? 0;
    metrics.set(keyOf(metric), { ...metric, count: metric.count + before });
  }
  return {
    ...round,
    metrics: [...metrics.values()],
    recordsIn: earlier.recordsIn + round.recordsIn,
    records: earlier.records + round.records,
    recordsFiltered: earlier.recordsFiltered + round.recordsFiltered,
    recordsDeduplicated: earlier.recordsDeduplicated + round.recordsDeduplicated,
  };
}

/**
 * Brings silver up to what bronze holds. Run again for the same execution it gives the same result.
 * Throws `table_missing`, `column_missing`, `no_key`, and what the warehouse throws.
 */
export async function runSilver(
  warehouse: Warehouse,
  stream: SilverStream,
  run: SilverRun,
): Promise<SilverResult> {
  await prepareState(warehouse);
  const plan = await planSilver(warehouse, stream);
  await prepareTables(warehouse, plan);
  return warehouse.transaction(async () => {
    const result = await take(warehouse, plan, run);
    await dropTemporaries(warehouse, SESSION_TABLES);
    return result;
  });
}

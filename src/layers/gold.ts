/** Gold: models built in the warehouse, in the order of what they read. Each one is a transaction of its own. */
import { ForebayError, type ErrorReport, reportError } from '../core/errors.ts';
import { type BuildPlan, CHANGED, concerned, planBuild } from './gold-changes.ts';
import { withoutViews } from './gold-views.ts';
import { prepareState, writeModelInputs } from './layer-state.ts';
import type { Model } from './model-file.ts';
import { type PlannedModel, planModels } from './model-graph.ts';
import { type KnownTables, type ModelTestResult, runModelTests } from './model-tests.ts';
import {
  count,
  dropTemporaries,
  ensureSchemas,
  GOLD,
  quote,
  quoteTable,
  readColumns,
  readRelations,
  SILVER,
  temporary,
  type Warehouse,
} from './warehouse.ts';

export interface ModelResult {
  readonly name: string;
  readonly materialization: Model['materialization'];
  readonly status: 'completed' | 'failed' | 'skipped';
  /** How it was built; null where it was not. */
  readonly build: 'table' | 'view' | 'incremental' | 'unchanged' | null;
  /** Rows of the table, or those written by an incremental build; null for views and where nothing was built. */
  readonly rows: number | null;
  readonly durationMs: number;
  readonly tests: readonly ModelTestResult[];
  readonly error: ErrorReport | null;
  /** The models because of which it was skipped. */
  readonly because: readonly string[];
}

export interface GoldResult {
  readonly models: readonly ModelResult[];
  /** Names of the tables that hold other rows now, without their schema. */
  readonly tablesUpdated: readonly string[];
}

/** Whether its table holds other rows now. */
export function isUpdated({ build }: Pick<ModelResult, 'build'>): boolean {
  return build === 'table' || build === 'incremental';
}

export interface GoldRun {
  readonly signal: AbortSignal;
  /** Milliseconds, for durations. */
  readonly now: () => number;
  readonly onModel?: (result: ModelResult) => void;
}

type Built = Pick<ModelResult, 'build' | 'rows' | 'tests'>;

const NEW = '__forebay_new';

async function drop(warehouse: Warehouse, name: string): Promise<void> {
  const kind = (await readRelations(warehouse, GOLD)).get(name);
  if (kind === undefined) return;
  const what = kind === 'view' ? 'VIEW' : 'TABLE';
  await warehouse.execute(`DROP ${what} ${quoteTable({ schema: GOLD, name })}`);
}

/** Readers see the table of before until the commit. */
async function buildTable(warehouse: Warehouse, planned: PlannedModel): Promise<number> {
  const { name } = planned.model;
  const beside = { schema: GOLD, name: `${name.slice(0, 63 - NEW.length)}${NEW}` };
  await drop(warehouse, beside.name);
  await warehouse.execute(`CREATE TABLE ${quoteTable(beside)} AS ${planned.sql}`);
  await withoutViews(warehouse, name, async () => {
    await drop(warehouse, name);
    await warehouse.execute(`ALTER TABLE ${quoteTable(beside)} RENAME TO ${quote(name)}`);
  });
  return count(warehouse, `SELECT count(*) AS n FROM ${quoteTable({ schema: GOLD, name })}`);
}

async function buildView(warehouse: Warehouse, planned: PlannedModel): Promise<void> {
  const { name } = planned.model;
  await withoutViews(warehouse, name, async () => {
    await drop(warehouse, name);
    await warehouse.execute(`CREATE VIEW ${quoteTable({ schema: GOLD, name })} AS ${planned.sql}`);
  });
}

async function sameColumns(warehouse: Warehouse, name: string, stage: string): Promise<boolean> {
  const there = await readColumns(warehouse, { schema: GOLD, name });
  const wanted = await warehouse.query(
    warehouse.dialect === 'duckdb'
      ? `SELECT column_name AS name, data_type AS type FROM duckdb_columns()
         WHERE database_name = 'temp' AND table_name = $1 ORDER BY column_index`
      : `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
         WHERE attrelid = to_regclass('pg_temp.' || $1) AND attnum > 0 ORDER BY attnum`,
    [stage],
  );
  const print = (columns: readonly { name?: string | null; type?: string | null }[]): string =>
    JSON.stringify(columns.map(({ name: column, type }) => [column, type]));
  return print(there) === print(wanted);
}

const STAGE = '_forebay_model';

/** Null where the table is missing or has other columns than the model. */
async function buildIncrement(
  warehouse: Warehouse,
  planned: PlannedModel,
  changed: string,
): Promise<number | null> {
  const { name, keys = [] } = planned.model;
  if ((await readRelations(warehouse, GOLD)).get(name) !== 'table') return null;
  const stage = temporary(warehouse.dialect, STAGE);
  await warehouse.execute(`DROP TABLE IF EXISTS ${stage}`);
  await warehouse.execute(
    `CREATE TEMPORARY TABLE ${STAGE} AS SELECT * FROM (${planned.sql}\n) m WHERE ${concerned(keys, changed, 'm')}`,
  );
  if (!(await sameColumns(warehouse, name, STAGE))) return null;
  const table = quoteTable({ schema: GOLD, name });
  await warehouse.execute(`DELETE FROM ${table} g WHERE ${concerned(keys, changed, 'g')}`);
  return warehouse.execute(`INSERT INTO ${table} SELECT * FROM ${stage}`);
}

async function buildIncremental(
  warehouse: Warehouse,
  planned: PlannedModel,
  plan: BuildPlan,
): Promise<Omit<Built, 'tests'>> {
  if (plan.kind === 'unchanged') {
    const kind = (await readRelations(warehouse, GOLD)).get(planned.model.name);
    if (kind === 'table') return { build: 'unchanged', rows: 0 };
  } else if (plan.kind === 'incremental') {
    const rows = await buildIncrement(warehouse, planned, plan.changed);
    if (rows !== null) return { build: 'incremental', rows };
  }
  return { build: 'table', rows: await buildTable(warehouse, planned) };
}

async function materialize(
  warehouse: Warehouse,
  planned: PlannedModel,
): Promise<Omit<Built, 'tests'>> {
  const { model } = planned;
  if (model.materialization === 'view') {
    await buildView(warehouse, planned);
    return { build: 'view', rows: null };
  }
  if (model.materialization === 'table') {
    return { build: 'table', rows: await buildTable(warehouse, planned) };
  }
  const plan = await planBuild(warehouse, planned);
  const built = await buildIncremental(warehouse, planned, plan);
  if (plan.kind !== 'unchanged') await writeModelInputs(warehouse, model.name, plan.inputs);
  return built;
}

function testFailure(model: Model, tests: readonly ModelTestResult[]): ForebayError | null {
  const broken = tests.filter(({ action, failures }) => action === 'fail' && failures > 0);
  if (broken.length === 0) return null;
  return new ForebayError('model_failed', {
    message: `Model ${model.name} does not pass its tests, and is left as it was`,
    why: broken.map(({ name, failures }) => `${name} (${failures})`).join(', '),
  });
}

/** Carries the counts of tests out of the transaction that they end. */
class TestsFailed extends Error {
  readonly tests: readonly ModelTestResult[];
  readonly failure: ForebayError;

  constructor(failure: ForebayError, tests: readonly ModelTestResult[]) {
    super(failure.message);
    this.name = 'TestsFailed';
    this.failure = failure;
    this.tests = tests;
  }
}

function buildModel(
  warehouse: Warehouse,
  planned: PlannedModel,
  known: KnownTables,
): Promise<Built> {
  return warehouse.transaction(async () => {
    const built = await materialize(warehouse, planned);
    const tests = await runModelTests(warehouse, planned.model, known);
    const failure = testFailure(planned.model, tests);
    if (failure !== null) throw new TestsFailed(failure, tests);
    if (built.build === 'incremental') await dropTemporaries(warehouse, [STAGE, CHANGED]);
    return { ...built, tests };
  });
}

/** What is wrong with the model is its own failure; a warehouse that is away ends the run. */
function modelError(error: unknown, model: Model): ForebayError {
  if (error instanceof TestsFailed) return error.failure;
  if (!(error instanceof ForebayError)) throw error;
  if (error.class === 'transient' || error.class === 'timeout') throw error;
  return new ForebayError('model_failed', {
    message: `Model ${model.name} (${model.file}) could not be built`,
    why: error.why ?? error.message,
    cause: error,
  });
}

async function runModel(
  warehouse: Warehouse,
  planned: PlannedModel,
  given: {
    readonly known: KnownTables;
    readonly run: GoldRun;
    readonly stopped: readonly string[];
  },
): Promise<ModelResult> {
  const { model } = planned;
  const { known, run, stopped } = given;
  const about = { name: model.name, materialization: model.materialization };
  const nothing = { build: null, rows: null, tests: [], error: null, because: [] };
  if (stopped.length > 0) {
    return { ...about, ...nothing, status: 'skipped', durationMs: 0, because: stopped };
  }
  const startedAt = run.now();
  const elapsed = (): number => Math.round(run.now() - startedAt);
  try {
    const built = await buildModel(warehouse, planned, known);
    return { ...about, ...nothing, ...built, status: 'completed', durationMs: elapsed() };
  } catch (error) {
    const failure = reportError(modelError(error, model));
    const tests = error instanceof TestsFailed ? error.tests : [];
    return { ...about, ...nothing, tests, error: failure, status: 'failed', durationMs: elapsed() };
  }
}

/**
 * Builds all models. A model that fails keeps what it made before and stops only what reads it. Throws
 * `model_invalid`, `interrupted`, and failures of the warehouse that have nothing to do with a model.
 */
export async function runGold(
  warehouse: Warehouse,
  models: readonly Model[],
  run: GoldRun,
): Promise<GoldResult> {
  await prepareState(warehouse);
  await ensureSchemas(warehouse, [GOLD]);
  const silver = new Set((await readRelations(warehouse, SILVER)).keys());
  const known = { models: new Set(models.map(({ name }) => name)), silver };
  const results: ModelResult[] = [];
  for (const planned of planModels(models, silver)) {
    if (run.signal.aborted) {
      throw new ForebayError('interrupted', { message: 'building of models was interrupted' });
    }
    const stopped = results
      .filter(({ name, status }) => status !== 'completed' && planned.dependsOn.includes(name))
      .map(({ name }) => name);
    const result = await runModel(warehouse, planned, { known, run, stopped });
    results.push(result);
    run.onModel?.(result);
  }
  return { models: results, tablesUpdated: results.filter(isUpdated).map(({ name }) => name) };
}

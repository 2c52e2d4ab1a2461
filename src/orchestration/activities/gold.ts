/** Business tables from models, in the warehouse. A model that fails stops only what reads it. */
import { asForebayError, ForebayError } from '../../core/errors.ts';
import type { Warehouse } from '../../core/warehouse.ts';
import { type GoldResult, isUpdated, type ModelResult, runGold } from '../../layers/gold.ts';
import { duckdbParser, goldLineage } from '../../layers/lineage.ts';
import { type Model, readModels } from '../../layers/model-file.ts';
import { type PlannedModel, planModels } from '../../layers/model-graph.ts';
import { readRelations, SILVER } from '../../layers/warehouse.ts';
import { recordColumnLineage } from '../../metadata/column-lineage.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import type { ExecutionLog } from './execution-log.ts';
import { type LayerOutcome, layerStep } from './layer-step.ts';
import { openWarehouse } from './warehouses.ts';

interface GoldWork {
  readonly deps: ActivityDeps;
  readonly ref: ExecutionRef;
  readonly setup: PipelineSetup;
  readonly warehouse: Warehouse;
  readonly log: ExecutionLog;
  readonly signal: AbortSignal;
}

export function gold(
  deps: ActivityDeps,
  ref: ExecutionRef,
  context: ActivityContext,
): Promise<null> {
  return layerStep(deps, ref, { layer: 'gold', context }, async (log) => {
    const setup = await loadPipeline(deps, ref);
    const { signal } = context;
    return withSystem(deps, setup.destination, turnOf(ref, setup, { log, signal }), async () => {
      await using warehouse = await openWarehouse(setup.destination, signal);
      return await build({ deps, ref, setup, warehouse, log, signal });
    });
  });
}

/** Those that are asked for and all that they read; all where none is named. */
function chosenModels(
  models: readonly Model[],
  planned: readonly PlannedModel[],
  names: readonly string[] | null,
): readonly Model[] {
  if (names === null) return models;
  const unknown = names.find((name) => !models.some((model) => model.name === name));
  if (unknown !== undefined)
    throw new ForebayError('model_invalid', { message: `there is no model ${unknown}` });
  const wanted = new Set(names);
  // Whoever reads comes after what is read.
  for (const { model, dependsOn } of planned.toReversed())
    if (wanted.has(model.name)) for (const name of dependsOn) wanted.add(name);
  return models.filter(({ name }) => wanted.has(name));
}

async function build(work: GoldWork): Promise<LayerOutcome> {
  const { deps, setup, warehouse, log, signal } = work;
  const all = await readModels(deps.modelsFolder);
  const silver = new Set((await readRelations(warehouse, SILVER)).keys());
  const models = chosenModels(all, planModels(all, silver), setup.config.layers.models ?? null);
  const tables: string[] = [];
  let result: GoldResult;
  try {
    result = await runGold(warehouse, models, {
      signal,
      now: () => performance.now(),
      onModel: (model) => {
        if (isUpdated(model)) tables.push(model.name);
        tell(log, model);
      },
    });
  } catch (error) {
    signal.throwIfAborted();
    return { tables, failure: asForebayError(error) };
  }
  await recordLineage(work, planModels(models, silver), result);
  return { tables, failure: failureOf(result) };
}

function failureOf({ models }: GoldResult): ForebayError | null {
  const failed = models.find(({ status }) => status === 'failed');
  if (failed === undefined) return null;
  const { code = 'internal', message = '', fix = '' } = failed.error ?? {};
  return new ForebayError(code, { message: `model ${failed.name}: ${message}`, fix });
}

function tell(
  log: ExecutionLog,
  { name, status, build: how, rows, error, because }: ModelResult,
): void {
  if (status === 'failed') log.add('error', `Model ${name}: ${error?.message ?? 'failed'}`);
  else if (status === 'skipped') log.add('warning', `Model ${name} skipped: ${because.join(', ')}`);
  else log.add('info', `Model ${name}: ${how ?? 'built'}${rows === null ? '' : `, ${rows} rows`}`);
}

async function recordLineage(
  { deps, ref, setup, warehouse }: GoldWork,
  planned: readonly PlannedModel[],
  { models }: GoldResult,
): Promise<void> {
  const built = new Set(
    models.filter(({ status }) => status === 'completed').map(({ name }) => name),
  );
  const parse = warehouse.dialect === 'duckdb' ? duckdbParser(warehouse) : null;
  const edges = [];
  for (const one of planned) {
    if (!built.has(one.model.name)) continue;
    for (const edge of await goldLineage(warehouse, one, parse))
      edges.push({
        table_name: edge.tableName,
        column_name: edge.columnName,
        source_table: edge.sourceTable,
        source_column: edge.sourceColumn,
      });
  }
  const place = { executionId: ref.executionId, layer: 'gold' } as const;
  await recordColumnLineage(deps.metadata.db, setup.scope, place, edges);
}

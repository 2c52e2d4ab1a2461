/** Typed, cleaned rows from what bronze has and silver has not. A stream that fails does not stop the others. */
import { asForebayError, type ForebayError } from '../../core/errors.ts';
import { runSilver, type SilverResult } from '../../layers/silver.ts';
import type { Warehouse } from '../../core/warehouse.ts';
import { recordColumnLineage } from '../../metadata/column-lineage.ts';
import { findExecution } from '../../metadata/executions.ts';
import { recordQualityMetrics } from '../../metadata/quality-metrics.ts';
import { appendEvents } from '../../metadata/events-outbox.ts';
import { inTransaction, timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import type { ExecutionLog } from './execution-log.ts';
import {
  landedAndSelected,
  landedStreams,
  type LandedStream,
  silverKey,
  streamConfigOf,
} from './extract.ts';
import { type LayerOutcome, layerStep } from './layer-step.ts';
import { rulesOf } from './pipeline-config.ts';
import { openWarehouse } from './warehouses.ts';

interface SilverWork {
  readonly deps: ActivityDeps;
  readonly ref: ExecutionRef;
  readonly setup: PipelineSetup;
  readonly log: ExecutionLog;
  readonly warehouse: Warehouse;
}

export function silver(
  deps: ActivityDeps,
  ref: ExecutionRef,
  context: ActivityContext,
): Promise<null> {
  return layerStep(deps, ref, { layer: 'silver', context }, async (log) => {
    const setup = await loadPipeline(deps, ref);
    const { signal } = context;
    return withSystem(deps, setup.destination, turnOf(ref, setup, { log, signal }), async () => {
      const streams = await streamsOf(deps, ref, setup, signal);
      await using warehouse = await openWarehouse(setup.destination, signal);
      return await refine({ deps, ref, setup, log, warehouse }, streams, signal);
    });
  });
}

/** All of them have rows in bronze: an execution reads every stream of its pipeline. */
async function streamsOf(
  deps: ActivityDeps,
  ref: ExecutionRef,
  { scope, source, destination: warehouse, config, pipeline }: PipelineSetup,
  signal: AbortSignal,
): Promise<readonly LandedStream[]> {
  const execution = await findExecution(deps.metadata.db, scope, ref.executionId);
  if (execution?.workflow !== 'BackfillWorkflow')
    return landedStreams(warehouse, pipeline.id, signal);
  return landedAndSelected({ warehouse, pipelineId: pipeline.id, source, config, signal });
}

async function refine(
  work: SilverWork,
  streams: readonly LandedStream[],
  signal: AbortSignal,
): Promise<LayerOutcome> {
  const { log } = work;
  const sums = { records: 0, records_filtered: 0, records_deduplicated: 0 };
  const done: LandedStream[] = [];
  let failure: ForebayError | null = null;
  const outcome = (): LayerOutcome => ({
    ...sums,
    tables: done.map(({ schema }) => schema.stream.name),
    failure,
  });
  for (const stream of streams) {
    signal.throwIfAborted();
    const result = await refineStream(work, stream);
    if (result.kind === 'failed') {
      const { error } = result;
      failure = endsLayer(error) ? error : (failure ?? error);
      if (endsLayer(error)) return outcome();
      log.add('error', error.message, { stream: stream.stream, code: error.code });
      continue;
    }
    done.push(stream);
    sums.records += result.records;
    sums.records_filtered += result.recordsFiltered;
    sums.records_deduplicated += result.recordsDeduplicated;
  }
  if (sums.records_filtered > 0)
    log.add('warning', `${sums.records_filtered} records filtered due to data quality issues`);
  await recordLineage(work, { bronze: streams, silver: done });
  log.add('info', `Silver has ${sums.records} records more`);
  return outcome();
}

/** A failure of the data or of the table is one stream's; all else would stop the next one, too. */
function endsLayer(failure: ForebayError): boolean {
  return failure.class !== 'schema' && failure.class !== 'data';
}

async function refineStream(work: SilverWork, stream: LandedStream): Promise<SilverResult> {
  const { setup, ref, warehouse } = work;
  const { config } = setup;
  const own = streamConfigOf(config, stream.stream);
  const table = stream.schema.stream.name;
  const key = silverKey(config, stream.stream, stream.schema);
  const load = key.length === 0 ? 'append' : config.layers.silver_mode;
  try {
    const result = await runSilver(
      warehouse,
      {
        stream: stream.stream,
        bronze: table,
        table,
        key,
        load,
        columns: own?.columns ?? {},
        rules: rulesOf(config, own),
      },
      { executionId: ref.executionId, now: timeOf() },
    );
    await recordMetrics(work, stream, result);
    return result;
  } catch (error) {
    return { kind: 'failed', table, metrics: [], error: asForebayError(error) };
  }
}

async function recordMetrics(
  { deps, ref, setup }: SilverWork,
  stream: LandedStream,
  { metrics }: SilverResult,
): Promise<void> {
  const { scope } = setup;
  const { pipelineId, executionId } = ref;
  await inTransaction(deps.metadata.db, async (transaction) => {
    const place = { pipelineId, executionId, layer: 'silver', stream: stream.stream } as const;
    await recordQualityMetrics(transaction, scope, place, {
      at: timeOf(),
      metrics: metrics.map(({ rule, metricType, count, severity }) => ({
        rule,
        metric_type: metricType,
        count,
        severity,
        details: null,
      })),
    });
    const broken = metrics.filter(({ rule, count }) => rule !== null && count > 0);
    await appendEvents(
      transaction,
      scope,
      broken.map(({ rule, metricType, count, severity }) => ({
        type: 'quality.issue_detected',
        subject: executionId,
        data: JSON.stringify({
          execution_id: executionId,
          pipeline_id: pipelineId,
          stream: stream.stream,
          rule,
          metric_type: metricType,
          count,
          severity,
        }),
      })),
    );
  });
}

/** Columns keep their names up to silver. */
async function recordLineage(
  { deps, ref, setup }: SilverWork,
  streams: Readonly<Record<'bronze' | 'silver', readonly LandedStream[]>>,
): Promise<void> {
  const { executionId } = ref;
  for (const layer of ['bronze', 'silver'] as const) {
    const edges = streams[layer].flatMap(({ stream, schema }) =>
      schema.columns.map(({ name }) => ({
        table_name: schema.stream.name,
        column_name: name,
        source_table: layer === 'bronze' ? stream : `bronze.${schema.stream.name}`,
        source_column: name,
      })),
    );
    await recordColumnLineage(deps.metadata.db, setup.scope, { executionId, layer }, edges);
  }
}

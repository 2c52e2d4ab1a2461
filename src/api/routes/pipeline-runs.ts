/** What a pipeline does by hand: executions, replication, comparison. */
import { z } from 'zod';
import { findExecution } from '../../metadata/executions.ts';
import { listPipelineStreams } from '../../metadata/pipeline-streams.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import type { MetadataTransaction } from '../../metadata/transaction.ts';
import { requireDatedStreams, requiredPipeline } from '../pipeline-view.ts';
import { plannedBackfill, plannedRanges } from '../backfill-request.ts';
import { readIdempotencyKey } from '../idempotency.ts';
import { upstreamError } from '../problem.ts';
import { type Call, type Caller, changeRoute, type Effect, type Route } from '../route.ts';
import type { ControlServices, ScheduledExecution } from '../services.ts';
import {
  type BackfillInput,
  backfillInput,
  type BackfillPreview,
  backfillPreviewSchema,
} from '../schemas/backfills.ts';
import { type IdParams, idParams, noBody } from '../schemas/fields.ts';
import {
  compareInput,
  comparisonSchema,
  executeInput,
  type ExecutionParameters,
  type PipelineState,
  pipelineStateSchema,
  resyncedSchema,
  resyncInput,
  scheduledSchema,
} from '../schemas/pipelines.ts';

const PATH = '/api/v1/pipelines/{id}';
/** Whole tables are read on both sides. */
const COMPARE_MS = 1_800_000;
/** Rows are counted. */
const PREVIEW_MS = 300_000;

const audit = (
  action: string,
  row: PipelinesTable,
  details: Record<string, unknown> = {},
): Effect['audit'] => ({
  action: `pipeline.${action}`,
  resourceType: 'pipeline',
  resourceId: row.id,
  details: { name: row.name, ...details },
});

interface Trigger {
  readonly caller: Caller;
  readonly services: ControlServices;
  readonly transaction: MetadataTransaction;
}

export function scheduledEffect(
  { services }: Trigger,
  row: PipelinesTable,
  scheduled: ScheduledExecution,
  action: string,
): Effect {
  const { executionId, estimatedStart } = scheduled;
  return {
    status: 200,
    body: { execution_id: executionId, status: 'scheduled', estimated_start: estimatedStart },
    headers: { location: `/api/v1/etl/executions/${executionId}` },
    audit: audit(action, row, { execution_id: executionId }),
    afterCommit: () => services.executionScheduled(executionId),
  };
}

export async function triggerPipeline(
  trigger: Trigger,
  pipeline: PipelinesTable,
  parameters: ExecutionParameters = { force: false },
): Promise<Effect> {
  const { transaction, caller, services } = trigger;
  if (parameters.date_range !== undefined) {
    const streams = await listPipelineStreams(transaction, caller.scope, pipeline.id);
    requireDatedStreams(pipeline, streams);
  }
  const request = { pipeline, parameters };
  const scheduled = await services.triggerExecution(transaction, caller.scope, request);
  return scheduledEffect(trigger, pipeline, scheduled, 'execute');
}

const execute = changeRoute({
  method: 'POST',
  path: `${PATH}/execute`,
  operation: 'executePipeline',
  summary: 'Starts an execution, also of a disabled pipeline; while one runs, the next one waits.',
  tag: 'Pipelines',
  permission: 'operate',
  params: idParams,
  body: executeInput,
  example: { parameters: { force: true } },
  replies: { 200: scheduledSchema },
  failures: ['execution_waits', 'request_unprocessable'],
  change: async (call, transaction) => {
    const { caller, context, body } = call;
    const row = await requiredPipeline(transaction, call);
    const trigger = { caller, services: context.services, transaction };
    return triggerPipeline(trigger, row, body?.parameters);
  },
});

async function preview(call: Call<IdParams, unknown, BackfillInput>): Promise<BackfillPreview> {
  const { caller, context, body } = call;
  const row = await requiredPipeline(context.db, call);
  const planned = await plannedBackfill(context.db, caller.scope, row, body);
  const ranges = plannedRanges(planned).map(({ start, end }) => ({ start, end }));
  const request = { backfill: planned, signal: call.signal() };
  try {
    const streams = await context.services.previewBackfill(caller.scope, row, request);
    return { preview: true, total_ranges: ranges.length, ranges, streams };
  } catch (error) {
    throw upstreamError(error);
  }
}

const backfill = changeRoute({
  method: 'POST',
  path: `${PATH}/backfill`,
  operation: 'backfillPipeline',
  summary:
    'Reads days or keys of the past again, in ranges; those that failed can be tried again alone.',
  tag: 'Pipelines',
  permission: 'operate',
  params: idParams,
  body: backfillInput,
  example: { date_range: { start: '2026-01-01', end: '2026-03-31' }, range_days: 7, parallel: 2 },
  replies: { 200: z.union([scheduledSchema, backfillPreviewSchema]) },
  failures: ['execution_waits', 'request_unprocessable'],
  upstream: true,
  timeoutMs: PREVIEW_MS,
  prepare: async (call) => (call.body.preview ? await preview(call) : null),
  change: async (call, transaction, previewed) => {
    const { caller, context, body } = call;
    const row = await requiredPipeline(transaction, call);
    if (previewed !== null)
      return { status: 200, body: previewed, audit: audit('backfill_preview', row) };
    const planned = await plannedBackfill(transaction, caller.scope, row, body);
    const scheduled = await context.services.triggerBackfill(transaction, caller.scope, {
      pipeline: row,
      backfill: planned,
    });
    const trigger = { caller, services: context.services, transaction };
    return scheduledEffect(trigger, row, scheduled, 'backfill');
  },
});

const compare = changeRoute({
  method: 'POST',
  path: `${PATH}/compare`,
  operation: 'comparePipeline',
  summary: 'Compares source and destination row by row.',
  tag: 'Pipelines',
  permission: 'operate',
  params: idParams,
  body: compareInput,
  example: { streams: ['public.orders'] },
  replies: { 200: comparisonSchema },
  failures: ['capability_missing', 'request_unprocessable'],
  upstream: true,
  timeoutMs: COMPARE_MS,
  prepare: async (call) => {
    const row = await requiredPipeline(call.context.db, call);
    const options = { streams: call.body?.streams ?? null, signal: call.signal() };
    try {
      return await call.context.services.comparePipeline(call.caller.scope, row, options);
    } catch (error) {
      throw upstreamError(error);
    }
  },
  change: async (call, transaction, comparison) => {
    const row = await requiredPipeline(transaction, call);
    const { identical } = comparison;
    return { status: 200, body: comparison, audit: audit('compare', row, { identical }) };
  },
});

const resync = changeRoute({
  method: 'POST',
  path: `${PATH}/resync`,
  operation: 'resyncPipeline',
  summary:
    'Reads streams of a replication again in full while it goes on; their tables stay in use meanwhile.',
  tag: 'Pipelines',
  permission: 'operate',
  params: idParams,
  body: resyncInput,
  example: { streams: ['public.orders'] },
  replies: { 200: resyncedSchema },
  failures: ['stream_not_found', 'request_unprocessable', 'orchestrator_unreachable'],
  upstream: true,
  prepare: async (call) => {
    const row = await requiredPipeline(call.context.db, call);
    const { streams } = call.body;
    const request = { streams, key: readIdempotencyKey(call.headers), signal: call.signal() };
    try {
      return await call.context.services.resyncPipeline(call.caller.scope, row, request);
    } catch (error) {
      throw upstreamError(error);
    }
  },
  change: async (call, transaction, resynced) => {
    const row = await requiredPipeline(transaction, call);
    const { streams, execution_id } = resynced;
    return { status: 200, body: resynced, audit: audit('resync', row, { streams, execution_id }) };
  },
});

const ACTIONS = {
  start:
    'Starts the replication of the pipeline, or goes on where it stopped; a pipeline of another kind is executed.',
  stop: 'Stops the replication after what is in hand; of a pipeline of another kind, cancels what runs or waits.',
  pause: 'Halts the replication; it keeps its place.',
  resume: 'Lets a paused replication go on.',
} as const;

type Action = keyof typeof ACTIONS;

function act(action: Action, call: Call<IdParams, unknown, unknown>, row: PipelinesTable) {
  const { services } = call.context;
  const { scope } = call.caller;
  switch (action) {
    case 'start':
      return services.startPipeline(scope, row);
    case 'stop':
      return services.stopPipeline(scope, row);
    case 'pause':
      return services.pausePipeline(scope, row);
    case 'resume':
      return services.resumePipeline(scope, row);
  }
}

/** As `execute` without parameters, under the key of the request like that. */
async function startedExecution(trigger: Trigger, row: PipelinesTable): Promise<Effect> {
  const { transaction, caller, services } = trigger;
  const request = { pipeline: row, parameters: { force: false } };
  const scheduled = await services.triggerExecution(transaction, caller.scope, request);
  const execution = await findExecution(transaction, caller.scope, scheduled.executionId);
  const body: PipelineState = {
    pipeline_id: row.id,
    state: 'starting',
    workflow_id: execution?.workflow_id ?? row.id,
    execution_id: scheduled.executionId,
  };
  return { ...scheduledEffect(trigger, row, scheduled, 'start'), body };
}

const isExecuted = (action: Action, row: PipelinesTable): boolean =>
  action === 'start' && row.kind !== 'replication';

function control(action: Action): Route {
  return changeRoute({
    method: 'POST',
    path: `${PATH}/${action}`,
    operation: `${action}Pipeline`,
    summary: ACTIONS[action],
    tag: 'Pipelines',
    permission: 'operate',
    params: idParams,
    body: noBody,
    replies: { 200: pipelineStateSchema },
    failures: [
      'request_unprocessable',
      'orchestrator_unreachable',
      ...(action === 'start' ? (['execution_waits'] as const) : []),
    ],
    prepare: async (call) => {
      const row = await requiredPipeline(call.context.db, call);
      return isExecuted(action, row) ? null : act(action, call, row);
    },
    change: async (call, transaction, state) => {
      const row = await requiredPipeline(transaction, call);
      if (state === null) {
        const { caller, context } = call;
        return startedExecution({ caller, services: context.services, transaction }, row);
      }
      return { status: 200, body: state, audit: audit(action, row, { state: state.state }) };
    },
  });
}

export const pipelineRunRoutes: readonly Route[] = [
  control('start'),
  control('stop'),
  control('pause'),
  control('resume'),
  execute,
  backfill,
  compare,
  resync,
];

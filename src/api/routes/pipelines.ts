import { z } from 'zod';
import { ERROR_TABLE, ForebayError } from '../../core/errors.ts';
import { setPipelineBenthosConfigurations } from '../../metadata/benthos-configurations.ts';
import {
  createPipeline,
  deletePipeline,
  listPipelines,
  type NewPipeline,
  requireIdle,
  updatePipeline,
} from '../../metadata/pipelines.ts';
import {
  createSchedule,
  findPipelineSchedule,
  MANUAL_PLAN,
  updateSchedule,
} from '../../metadata/schedules.ts';
import type { PipelinesTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import type { MetadataTransaction } from '../../metadata/transaction.ts';
import { demandVersion } from '../etag.ts';
import { mergePatch } from '../merge-patch.ts';
import { listed, pageOf } from '../page.ts';
import { checkPipeline } from '../pipeline-rules.ts';
import {
  pipelineInputOf,
  pipelineParts,
  pipelineView,
  planOf,
  requiredPipeline,
  scheduleContent,
  type StoredPipeline,
  storedPipeline,
} from '../pipeline-view.ts';
import { RequestError } from '../problem.ts';
import { readPart } from '../read-request.ts';
import {
  type Call,
  type Caller,
  type ChangeCall,
  changeRoute,
  type Effect,
  type Reply,
  readRoute,
  type Route,
} from '../route.ts';
import { type IdParams, idParams, noBody, pageQuery } from '../schemas/fields.ts';
import {
  deletedPipelineSchema,
  deletePipelineQuery,
  type KeptPart,
  type PipelineInput,
  pipelineInput,
  pipelineListSchema,
  pipelineSchema,
} from '../schemas/pipelines.ts';
import { withoutReplacedDelays } from '../schemas/retry-policy.ts';

const PATH = '/api/v1/pipelines';
const EXAMPLE: z.input<typeof pipelineInput> = {
  name: 'shop to warehouse',
  source_connection_id: '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49',
  destination_connection_id: '01980c8e-6b7c-7e2f-9b64-1e5a2d3c4b5a',
  streams: ['public.customers', { stream: 'public.orders', cursor_column: 'updated_at' }],
  layers: { bronze: true, silver: true, gold: true },
  quality_rules: [{ rule: 'not_null', columns: ['id'], action: 'filter' }],
  schedule_type: 'cron',
  cron_expression: '0 6 * * *',
  time_zone: 'Europe/Berlin',
};

async function shown(
  db: MetadataDb,
  caller: Caller,
  row: PipelinesTable,
  status: number,
): Promise<Reply> {
  const parts = await pipelineParts(db, caller.scope, [row]);
  return { status, body: pipelineView(row, parts(row)), version: row.version };
}

const audit = (action: string, row: PipelinesTable): Effect['audit'] => ({
  action: `pipeline.${action}`,
  resourceType: 'pipeline',
  resourceId: row.id,
  details: { name: row.name, kind: row.kind, version: row.version },
});

function contentOf(input: PipelineInput, stored: StoredPipeline): NewPipeline {
  return {
    name: input.name,
    kind: input.kind,
    source_connection_id: input.source_connection_id,
    destination_connection_id: input.destination_connection_id,
    config: stored.config,
    is_active: input.is_active ? 1 : 0,
    streams: stored.streams,
  };
}

/** The schedule is changed only where that makes a difference: its version and next time stay otherwise. */
async function adjustSchedule(
  transaction: MetadataTransaction,
  caller: Caller,
  row: PipelinesTable,
  plan: StoredPipeline['plan'] | null,
): Promise<void> {
  const schedule = await findPipelineSchedule(transaction, caller.scope, row.id);
  if (schedule === null) {
    // Of a pipeline that an earlier release made by onboarding.
    const nowMs = Date.now();
    const state = { anchorMs: nowMs, isPaused: false, isActive: row.is_active === 1 };
    const content = scheduleContent(plan ?? MANUAL_PLAN, state, nowMs);
    await createSchedule(transaction, caller.scope, { pipeline_id: row.id, ...content }, nowMs);
    return;
  }
  const changes = scheduleContent(plan ?? planOf(schedule), {
    anchorMs: Date.parse(schedule.created_at),
    isPaused: schedule.is_paused === 1,
    isActive: row.is_active === 1,
  });
  const isSame = Object.entries(changes).every(
    ([name, value]) => Object.entries(schedule).find(([known]) => known === name)?.[1] === value,
  );
  if (isSame) return;
  const { id, version } = schedule;
  await updateSchedule(transaction, caller.scope, { id, version, changes });
}

const create = changeRoute({
  method: 'POST',
  path: PATH,
  operation: 'createPipeline',
  summary: 'Makes a pipeline with its streams and its schedule.',
  tag: 'Pipelines',
  permission: 'edit',
  body: pipelineInput,
  example: EXAMPLE,
  replies: { 201: pipelineSchema },
  failures: ['already_exists', 'schedule_invalid', 'request_unprocessable'],
  change: async ({ body, caller, context }, transaction) => {
    const { services } = context;
    await checkPipeline({ transaction, caller, services }, body);
    const stored = storedPipeline(body);
    const row = await createPipeline(transaction, caller.scope, contentOf(body, stored));
    await setPipelineBenthosConfigurations(transaction, caller.scope, {
      pipelineId: row.id,
      configurationIds: body.benthos_configuration_ids ?? [],
    });
    const nowMs = Date.now();
    const state = { anchorMs: nowMs, isPaused: false, isActive: body.is_active };
    const schedule = { pipeline_id: row.id, ...scheduleContent(stored.plan, state, nowMs) };
    await createSchedule(transaction, caller.scope, schedule, nowMs);
    return {
      ...(await shown(transaction, caller, row, 201)),
      headers: { location: `${PATH}/${row.id}` },
      audit: audit('create', row),
      afterCommit: () => services.pipelineChanged(row.id),
    };
  },
});

async function replace(
  call: ChangeCall<IdParams, unknown, unknown>,
  transaction: MetadataTransaction,
  row: PipelinesTable,
  input: PipelineInput,
): Promise<Effect> {
  const { caller, context } = call;
  const { services } = context;
  const version = demandVersion(call.precondition, row.version);
  await checkPipeline({ transaction, caller, services }, input);
  const stored = storedPipeline(input);
  const changes = contentOf(input, stored);
  const after = await updatePipeline(transaction, caller.scope, { id: row.id, version, changes });
  await setPipelineBenthosConfigurations(transaction, caller.scope, {
    pipelineId: row.id,
    configurationIds: input.benthos_configuration_ids ?? [],
  });
  await adjustSchedule(transaction, caller, after, stored.plan);
  return {
    ...(await shown(transaction, caller, after, 200)),
    audit: audit('update', after),
    afterCommit: () => services.pipelineChanged(after.id),
  };
}

const change = {
  path: `${PATH}/{id}`,
  tag: 'Pipelines',
  permission: 'edit',
  conditional: true,
  params: idParams,
  replies: { 200: pipelineSchema },
  failures: ['already_exists', 'schedule_invalid', 'request_unprocessable'],
} as const;

const put = changeRoute({
  ...change,
  method: 'PUT',
  operation: 'replacePipeline',
  summary: 'Replaces a pipeline; what is left out is as in a new one.',
  body: pipelineInput,
  example: EXAMPLE,
  change: async (call, transaction) =>
    replace(call, transaction, await requiredPipeline(transaction, call), call.body),
});

const patch = changeRoute({
  ...change,
  method: 'PATCH',
  operation: 'changePipeline',
  summary: 'Changes what is named, as a JSON merge patch.',
  body: z.record(z.string(), z.unknown()),
  example: { schedule_type: 'interval', cron_expression: null, interval_seconds: 3600 },
  change: async (call, transaction) => {
    const row = await requiredPipeline(transaction, call);
    const parts = await pipelineParts(transaction, call.caller.scope, [row]);
    const before = withoutReplacedDelays(pipelineInputOf(row, parts(row)), call.body);
    const merged = mergePatch(before, call.body);
    const input = readPart('body', pipelineInput, merged) as PipelineInput;
    return replace(call, transaction, row, input);
  },
});

interface Ended {
  readonly left: readonly KeptPart[];
  /** Of the run whose traces were removed. */
  readonly lastRunAt: string | null;
}

/** A system that is gone for good must not keep the pipeline. */
function notEnded(error: unknown, kept: readonly KeptPart[]): unknown {
  if (!(error instanceof ForebayError) || ERROR_TABLE[error.code].class === 'bug') return error;
  const names = kept.map(({ kind, name, at }) => `${kind} ${name} at the ${at}`).join(', ');
  return new RequestError(error.code, {
    message: error.message,
    fix: `${error.fix} Then delete it again; or delete it with ?leave=true (--leave), which leaves where it is: ${names}.`,
    status: 424,
    cause: error,
    ...(error.why === null ? {} : { why: error.why }),
  });
}

/** Before the row is gone: what names the slot is known from it alone. Whatever breaks off, it can be deleted again. */
async function ended(
  call: ChangeCall<IdParams, z.output<typeof deletePipelineQuery>, unknown>,
): Promise<Ended> {
  const { services, db } = call.context;
  const { scope } = call.caller;
  const row = await requiredPipeline(db, call);
  demandVersion(call.precondition, row.version);
  await requireIdle(db, scope, row);
  const { last_run_at: lastRunAt } = row;
  if (lastRunAt === null) return { left: [], lastRunAt };
  const kept = await services.keptParts(scope, row);
  if (call.query.leave === 'true') return { left: kept, lastRunAt };
  try {
    await services.dropPipeline(scope, { pipeline: row, signal: call.signal() });
  } catch (error) {
    throw notEnded(error, kept);
  }
  return { left: [], lastRunAt };
}

const remove = changeRoute({
  ...change,
  method: 'DELETE',
  operation: 'deletePipeline',
  summary:
    'Deletes a pipeline that nothing runs of, with what it keeps at its source (slot, publications). What it wrote and what it did stays.',
  query: deletePipelineQuery,
  replies: { 200: deletedPipelineSchema, 204: null },
  failures: ['in_use'],
  upstream: true,
  prepare: ended,
  change: async (call, transaction, { left, lastRunAt }) => {
    const row = await requiredPipeline(transaction, call);
    const version = demandVersion(call.precondition, row.version);
    await deletePipeline(transaction, call.caller.scope, { id: row.id, version });
    if (row.last_run_at !== lastRunAt) {
      throw new ForebayError('in_use', {
        message: `the pipeline ${row.name} was executed meanwhile`,
        fix: 'Delete it again.',
      });
    }
    const noted = audit('delete', row);
    return {
      ...(left.length === 0 ? { status: 204 } : { status: 200, body: { id: row.id, left } }),
      audit: left.length === 0 ? noted : { ...noted, details: { ...noted.details, left } },
      afterCommit: () => call.context.services.pipelineChanged(row.id),
    };
  },
});

function activation(action: 'enable' | 'disable', isActive: 0 | 1): Route {
  return changeRoute({
    method: 'POST',
    path: `${PATH}/{id}/${action}`,
    operation: `${action}Pipeline`,
    summary:
      action === 'enable'
        ? 'Lets the schedule start it again.'
        : 'Keeps the schedule from starting it; it can still be started by hand.',
    tag: 'Pipelines',
    permission: 'operate',
    params: idParams,
    body: noBody,
    replies: { 200: pipelineSchema },
    change: async (call, transaction) => {
      const { caller, context } = call;
      const row = await requiredPipeline(transaction, call);
      const changes = { is_active: isActive };
      const { id, version } = row;
      const after =
        row.is_active === isActive
          ? row
          : await updatePipeline(transaction, caller.scope, { id, version, changes });
      await adjustSchedule(transaction, caller, after, null);
      return {
        ...(await shown(transaction, caller, after, 200)),
        audit: audit(action, after),
        afterCommit: () => context.services.pipelineChanged(id),
      };
    },
  });
}

export const pipelineRoutes: readonly Route[] = [
  readRoute({
    path: PATH,
    operation: 'listPipelines',
    summary: 'Pipelines, newest first.',
    tag: 'Pipelines',
    permission: 'read',
    query: z.strictObject(pageQuery),
    replies: { 200: pipelineListSchema },
    handle: async (call) => {
      const { context, caller } = call;
      const found = await listPipelines(context.db, caller.scope, pageOf('pipelines', call));
      const { rows, nextCursor } = listed('pipelines', call, found);
      const parts = await pipelineParts(context.db, caller.scope, rows);
      const pipelines = rows.map((row) => pipelineView(row, parts(row)));
      return { status: 200, body: { pipelines, next_cursor: nextCursor } };
    },
  }),
  create,
  readRoute({
    path: `${PATH}/{id}`,
    operation: 'getPipeline',
    summary: 'One pipeline.',
    tag: 'Pipelines',
    permission: 'read',
    params: idParams,
    replies: { 200: pipelineSchema },
    handle: async (call: Call<IdParams, unknown, unknown>) => {
      const { db } = call.context;
      return shown(db, call.caller, await requiredPipeline(db, call), 200);
    },
  }),
  put,
  patch,
  remove,
  activation('enable', 1),
  activation('disable', 0),
];

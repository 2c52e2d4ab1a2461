import { readColumnLineage } from '../../metadata/column-lineage.ts';
import { findExecution } from '../../metadata/executions.ts';
import { listExecutionLayers } from '../../metadata/execution-layers.ts';
import { listExecutions } from '../../metadata/execution-list.ts';
import { readLogs } from '../../metadata/execution-logs.ts';
import { findPipeline } from '../../metadata/pipelines.ts';
import type { ExecutionsTable } from '../../metadata/tables.ts';
import type { MetadataDb } from '../../metadata/database.ts';
import { executionDetail, executionView } from '../execution-view.ts';
import { cursorAt, pageOf } from '../page.ts';
import { notFound } from '../problem.ts';
import { type Call, changeRoute, type Feed, readRoute, type Route } from '../route.ts';
import { type IdParams, idParams, noBody, storedId } from '../schemas/fields.ts';
import {
  executionDetailSchema,
  executionListSchema,
  executionsQuery,
  lineageQuery,
  lineageSchema,
  logsQuery,
  logsSchema,
  triggerInput,
} from '../schemas/executions.ts';
import { scheduledSchema } from '../schemas/pipelines.ts';
import { triggerPipeline } from './pipeline-runs.ts';

const PATH = '/api/v1/etl';
const TAG = 'Executions';
const FEED_LINES = 500;
const ENDED = new Set(['completed', 'failed', 'cancelled']);

async function required(
  db: MetadataDb,
  { caller, params }: Pick<Call<IdParams, unknown, unknown>, 'caller' | 'params'>,
): Promise<ExecutionsTable> {
  const id = storedId(params.id);
  const row = id === null ? null : await findExecution(db, caller.scope, id);
  if (row === null) throw notFound('execution');
  return row;
}

type LogRow = Awaited<ReturnType<typeof readLogs>>[number];

const lineView = ({ timestamp, level, layer, message }: LogRow): Record<string, unknown> => ({
  timestamp,
  level,
  layer,
  message,
});

/** Whether it has ended is asked before the lines are: what it wrote last is not missed. */
function logFeed(
  { context: { db }, caller: { scope } }: Call<IdParams, unknown, unknown>,
  id: string,
): Feed {
  return {
    next: async (after) => {
      const execution = await findExecution(db, scope, id);
      const page = { after: Number(after ?? 0), limit: FEED_LINES };
      const lines = await readLogs(db, scope, id, page);
      const events = lines.map((line) => ({
        id: String(line.id),
        event: 'log',
        data: lineView(line),
      }));
      const isOver = execution === null || ENDED.has(execution.status);
      return { events, ended: isOver && lines.length === 0 };
    },
  };
}

const logs = readRoute({
  path: `${PATH}/executions/{id}/logs`,
  operation: 'getExecutionLogs',
  summary: 'Lines of the log, oldest first; live where text/event-stream is accepted.',
  tag: TAG,
  permission: 'read',
  params: idParams,
  query: logsQuery,
  replies: { 200: logsSchema },
  handle: async (call) => {
    const { context, caller, query } = call;
    const { id } = await required(context.db, call);
    const list = `logs:${id}`;
    const { after, limit } = pageOf(list, call);
    const found = await readLogs(context.db, caller.scope, id, {
      after: Number(after?.id ?? 0),
      limit,
    });
    const lines = found.slice(0, query.limit);
    const last = found.length > lines.length ? lines.at(-1) : undefined;
    const next = last === undefined ? null : { sort: '', id: String(last.id) };
    const next_cursor = cursorAt(list, call, next);
    return { status: 200, body: { logs: lines.map(lineView), next_cursor } };
  },
  feed: async (call) => logFeed(call, (await required(call.context.db, call)).id),
});

const lineage = readRoute({
  path: `${PATH}/executions/{id}/lineage`,
  operation: 'getExecutionLineage',
  summary: 'Of which columns each column that it wrote was made: bronze, silver, gold.',
  tag: TAG,
  permission: 'read',
  params: idParams,
  query: lineageQuery,
  replies: { 200: lineageSchema },
  handle: async (call) => {
    const { context, caller, query } = call;
    const { id } = await required(context.db, call);
    const list = `lineage:${id}`;
    const { after, limit } = pageOf(list, call);
    // What an execution recorded stays as it is, so that a place in it is a number of rows.
    const begin = Number(after?.id ?? 0);
    const found = await readColumnLineage(context.db, caller.scope, id, { after: begin, limit });
    const rows = found.slice(0, query.limit);
    const next = found.length > rows.length ? { sort: '', id: String(begin + rows.length) } : null;
    const edges = rows.map(({ table_name: table, column_name: column, ...rest }) => ({
      ...rest,
      table,
      column,
    }));
    return { status: 200, body: { lineage: edges, next_cursor: cursorAt(list, call, next) } };
  },
});

const trigger = changeRoute({
  method: 'POST',
  path: `${PATH}/trigger`,
  operation: 'triggerExecution',
  summary: 'Starts an execution of a pipeline by hand.',
  tag: TAG,
  permission: 'operate',
  body: triggerInput,
  example: {
    pipeline_id: '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49',
    parameters: { date_range: { start: '2026-06-01', end: '2026-06-03' }, force: false },
  },
  replies: { 200: scheduledSchema },
  failures: ['not_found', 'execution_waits', 'request_unprocessable'],
  change: async ({ caller, context, body }, transaction) => {
    const pipeline = await findPipeline(transaction, caller.scope, body.pipeline_id);
    if (pipeline === null) throw notFound('pipeline');
    const { services } = context;
    return triggerPipeline({ caller, services, transaction }, pipeline, body.parameters);
  },
});

const cancel = changeRoute({
  method: 'POST',
  path: `${PATH}/executions/{id}/cancel`,
  operation: 'cancelExecution',
  summary: 'Asks for the end of an execution; it ends after what is in hand.',
  tag: TAG,
  permission: 'operate',
  params: idParams,
  body: noBody,
  replies: { 202: executionDetailSchema },
  failures: ['orchestrator_unreachable'],
  prepare: async (call) => {
    const { id } = await required(call.context.db, call);
    await call.context.services.cancelExecution(call.caller.scope, id);
  },
  change: async (call, transaction) => {
    const row = await required(transaction, call);
    const layers = await listExecutionLayers(transaction, call.caller.scope, [row.id]);
    return {
      status: 202,
      body: executionDetail(row, layers),
      audit: {
        action: 'execution.cancel',
        resourceType: 'execution',
        resourceId: row.id,
        details: { pipeline_id: row.pipeline_id, status: row.status },
      },
    };
  },
});

export const executionRoutes: readonly Route[] = [
  readRoute({
    path: `${PATH}/executions`,
    operation: 'listExecutions',
    summary: 'Executions, newest first. Filters hold together.',
    tag: TAG,
    permission: 'read',
    query: executionsQuery,
    replies: { 200: executionListSchema },
    handle: async (call) => {
      const { context, caller, query } = call;
      const filter = {
        pipelineId: query.pipeline_id,
        status: query.status,
        dateFrom: query.date_from,
        dateTo: query.date_to,
      };
      const { after } = pageOf('executions', call);
      const page = { after, limit: query.limit };
      const { rows, next } = await listExecutions(context.db, caller.scope, filter, page);
      const ids = rows.map(({ id }) => id);
      const layers = Map.groupBy(
        await listExecutionLayers(context.db, caller.scope, ids),
        (layer) => layer.execution_id,
      );
      const executions = rows.map((row) => executionView(row, layers.get(row.id) ?? []));
      const next_cursor = cursorAt('executions', call, next);
      return { status: 200, body: { executions, next_cursor } };
    },
  }),
  readRoute({
    path: `${PATH}/executions/{id}`,
    operation: 'getExecution',
    summary: 'One execution.',
    tag: TAG,
    permission: 'read',
    params: idParams,
    replies: { 200: executionDetailSchema },
    handle: async (call) => {
      const row = await required(call.context.db, call);
      const layers = await listExecutionLayers(call.context.db, call.caller.scope, [row.id]);
      return { status: 200, body: executionDetail(row, layers) };
    },
  }),
  logs,
  lineage,
  cancel,
  trigger,
];

/** Things of a server by their name or id. */
import type { z } from 'zod';
import { storedId } from '../../api/schemas/fields.ts';
import { connectionListSchema, type connectionSchema } from '../../api/schemas/connections.ts';
import {
  executionDetailSchema,
  executionListSchema,
  lineageSchema,
} from '../../api/schemas/executions.ts';
import { pipelineListSchema, type pipelineSchema } from '../../api/schemas/pipelines.ts';
import { scheduleListSchema, type scheduleSchema } from '../../api/schemas/schedules.ts';
import { nearest } from '../../connectors/nearest.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ApiClient } from '../api-client.ts';

export type Connection = z.output<typeof connectionSchema>;
export type Pipeline = z.output<typeof pipelineSchema>;
export type Schedule = z.output<typeof scheduleSchema>;
export type Execution = z.output<typeof executionListSchema>['executions'][number];
export type LineageEdge = z.output<typeof lineageSchema>['lineage'][number];
export type ExecutionDetail = z.output<typeof executionDetailSchema>;

export const PATHS = {
  connections: '/api/v1/connections',
  pipelines: '/api/v1/pipelines',
  schedules: '/api/v1/schedules',
  executions: '/api/v1/etl/executions',
} as const;

export const allConnections = (api: ApiClient): Promise<readonly Connection[]> =>
  api.list(connectionListSchema, { path: PATHS.connections }, (page) => page.connections);

export const allPipelines = (api: ApiClient): Promise<readonly Pipeline[]> =>
  api.list(pipelineListSchema, { path: PATHS.pipelines }, (page) => page.pipelines);

export const allSchedules = (api: ApiClient): Promise<readonly Schedule[]> =>
  api.list(scheduleListSchema, { path: PATHS.schedules }, (page) => page.schedules);

export interface ExecutionFilter {
  readonly pipeline_id?: string | undefined;
  readonly status?: string | undefined;
  readonly date_from?: string | undefined;
  readonly date_to?: string | undefined;
}

/** Newest first. */
export function someExecutions(
  api: ApiClient,
  filter: ExecutionFilter,
  most: number,
): Promise<readonly Execution[]> {
  const list = { path: PATHS.executions, query: { ...filter }, most };
  return api.list(executionListSchema, list, (page) => page.executions);
}

export const executionById = (api: ApiClient, id: string): Promise<ExecutionDetail> =>
  api.get(executionDetailSchema, `${PATHS.executions}/${encodeURIComponent(id)}`);

export function lineageOf(
  api: ApiClient,
  { id }: Pick<Execution, 'id'>,
): Promise<readonly LineageEdge[]> {
  const path = `${PATHS.executions}/${encodeURIComponent(id)}/lineage`;
  return api.list(lineageSchema, { path }, (page) => page.lineage);
}

function missing(what: string, text: string, names: readonly string[]): ForebayError {
  const meant = nearest(text, names);
  return new ForebayError('not_found', {
    message: `there is no ${what} ${JSON.stringify(text)}`,
    fix:
      meant === null
        ? `\`forebay ${what}s list\` shows those there are.`
        : `Did you mean ${meant}?`,
  });
}

/** A name that looks like an id is still found. */
function byNameOrId<Row extends { readonly id: string; readonly name: string }>(
  what: string,
  text: string,
  rows: readonly Row[],
): Row {
  const id = storedId(text);
  const found = rows.find((row) => row.name === text) ?? rows.find((row) => row.id === id);
  if (found !== undefined) return found;
  const names = rows.map(({ name }) => name);
  throw missing(what, text, names);
}

export async function findConnection(api: ApiClient, text: string): Promise<Connection> {
  return byNameOrId('connection', text, await allConnections(api));
}

export async function findPipeline(api: ApiClient, text: string): Promise<Pipeline> {
  return byNameOrId('pipeline', text, await allPipelines(api));
}

/** By the id of the schedule or pipeline, or by the name of the pipeline. */
export async function findSchedule(api: ApiClient, text: string): Promise<Schedule> {
  const [schedules, pipelines] = await Promise.all([allSchedules(api), allPipelines(api)]);
  const id = storedId(text);
  const pipeline = pipelines.find((row) => row.name === text || row.id === id);
  const found = schedules.find((row) => row.id === id || row.pipeline_id === pipeline?.id);
  if (found !== undefined) return found;
  const names = pipelines.map(({ name }) => name);
  throw missing('schedule', text, names);
}

/** By its id, or the latest of a pipeline. */
export async function findExecution(api: ApiClient, text: string): Promise<ExecutionDetail> {
  const id = storedId(text);
  if (id !== null) {
    try {
      return await executionById(api, id);
    } catch (error) {
      if (!(error instanceof ForebayError) || error.code !== 'not_found') throw error;
    }
  }
  const pipeline = await findPipeline(api, text).catch((error: unknown) => {
    if (!(error instanceof ForebayError) || error.code !== 'not_found') throw error;
    throw new ForebayError('not_found', {
      message: `there is neither an execution nor a pipeline ${JSON.stringify(text)}`,
      fix: '`forebay executions list` shows those there are.',
    });
  });
  const [latest] = await someExecutions(api, { pipeline_id: pipeline.id }, 1);
  if (latest !== undefined) return await executionById(api, latest.id);
  throw new ForebayError('not_found', {
    message: `the pipeline ${pipeline.name} has no execution yet`,
    fix: `Start one with \`forebay trigger ${JSON.stringify(pipeline.name)}\`.`,
  });
}

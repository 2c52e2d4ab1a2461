import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiFixture,
  asProblem,
  type Made,
  makePipeline,
  openApi,
} from '../../../test/support/api-fixture.ts';
import { recordColumnLineage } from '../../metadata/column-lineage.ts';
import { endExecution, startExecution } from '../../metadata/executions.ts';
import { putExecutionLayer } from '../../metadata/execution-layers.ts';
import { appendLogs } from '../../metadata/execution-logs.ts';
import { recordQualityMetrics } from '../../metadata/quality-metrics.ts';
import { timeOf } from '../../metadata/transaction.ts';

let api: ApiFixture;
let made: Made;
beforeAll(async () => {
  api = await openApi();
  made = await makePipeline(api, { name: 'DV360 Daily' });
});
afterAll(() => api[Symbol.asyncDispose]());

async function trigger(parameters?: unknown): Promise<string> {
  const body = { pipeline_id: made.pipeline, ...(parameters === undefined ? {} : { parameters }) };
  const answer = await api.ask('POST', '/api/v1/etl/trigger', { body });
  expect(answer.status, answer.text).toBe(200);
  return answer.body.execution_id;
}

/** As the flow would have left it. */
async function complete(id: string): Promise<void> {
  const { db } = api.metadata;
  await startExecution(db, api.scope, { id, run_id: 'run' });
  const at = timeOf();
  const layer = { status: 'completed', started_at: at, completed_at: at } as const;
  await putExecutionLayer(db, api.scope, id, {
    ...layer,
    layer: 'bronze',
    records: 125_000,
    size_bytes: 45_300_000,
    duration_ms: 3200,
  });
  await putExecutionLayer(db, api.scope, id, {
    ...layer,
    layer: 'silver',
    records: 124_850,
    records_filtered: 150,
    records_deduplicated: 0,
    duration_ms: 5600,
  });
  await putExecutionLayer(db, api.scope, id, {
    ...layer,
    layer: 'gold',
    tables: JSON.stringify(['campaign_daily', 'pacing_metrics']),
    duration_ms: 2100,
  });
  await endExecution(db, api.scope, { id, status: 'completed' });
}

describe('an execution', () => {
  it('that has run is shown with its layers', async () => {
    const id = await trigger();
    await complete(id);
    const { body } = await api.ask('GET', '/api/v1/etl/executions', { role: 'viewer' });
    expect(body.executions[0]).toMatchObject({
      id,
      pipeline_id: made.pipeline,
      pipeline_name: 'DV360 Daily',
      status: 'completed',
      layers: {
        bronze: { status: 'completed', records: 125_000, size_mb: 45.3, duration_ms: 3200 },
        silver: {
          status: 'completed',
          records: 124_850,
          records_filtered: 150,
          records_deduplicated: 0,
          duration_ms: 5600,
        },
        gold: {
          status: 'completed',
          tables_updated: ['campaign_daily', 'pacing_metrics'],
          duration_ms: 2100,
        },
      },
      total_duration_ms: expect.any(Number),
      started_at: expect.stringMatching(/Z$/),
      completed_at: expect.stringMatching(/Z$/),
    });
    const one = await api.ask('GET', `/api/v1/etl/executions/${id}`);
    expect(one.body).toMatchObject({
      ...body.executions[0],
      run_id: 'run',
      workflow: 'ETLWorkflow',
    });
  });

  it('that waits has nothing yet', async () => {
    const id = await trigger({ force: true });
    const { body } = await api.ask('GET', `/api/v1/etl/executions/${id}`);
    expect(body).toMatchObject({
      status: 'scheduled',
      parameters: { force: true },
      layers: {
        bronze: { status: 'pending', records: null, size_mb: null, duration_ms: null },
        gold: { status: 'pending', tables_updated: [] },
      },
      total_duration_ms: null,
      started_at: null,
      completed_at: null,
      error: null,
    });
  });

  it('is cancelled through the system that runs it', async () => {
    const id = await trigger();
    const answer = await api.ask('POST', `/api/v1/etl/executions/${id}/cancel`, {
      role: 'operator',
    });
    expect(answer.status).toBe(202);
    expect(api.services.asked).toContainEqual({ name: 'cancelExecution', subject: id });
  });
});

describe('the list of executions', () => {
  const today = new Date().toISOString().slice(0, 10);
  const list = async (query: string): Promise<string[]> => {
    const { body } = await api.ask('GET', `/api/v1/etl/executions?${query}`);
    return body.executions.map(({ status }: { status: string }) => status);
  };

  it('takes filters that hold together', async () => {
    expect(await list('status=completed')).toEqual(['completed']);
    expect(await list(`status=completed&pipeline_id=${made.pipeline}`)).toEqual(['completed']);
    expect(await list(`pipeline_id=${made.source}`)).toEqual([]);
    expect(await list(`date_from=${today}&date_to=${today}`)).toEqual(['completed']);
    expect(await list('date_to=2020-01-01')).toEqual([]);
    expect(await list(`status=scheduled&date_from=${today}`)).toEqual([]);
  });

  it('goes on after a page', async () => {
    const first = await api.ask('GET', '/api/v1/etl/executions?limit=2');
    const second = await api.ask(
      'GET',
      `/api/v1/etl/executions?limit=2&cursor=${first.body.next_cursor}`,
    );
    const ids = [...first.body.executions, ...second.body.executions].map(({ id }) => id);
    expect(new Set(ids).size).toBe(3);
    expect(second.body.next_cursor).toBeNull();
  });

  it.each([
    ['status=nonsense', '/status'],
    ['date_from=2026-02-30', '/date_from'],
    ['date_to=today', '/date_to'],
    ['pipeline_id=pipe_456', '/pipeline_id'],
  ])('refuses %s at %s', async (query, pointer) => {
    const answer = await api.ask('GET', `/api/v1/etl/executions?${query}`);
    expect(asProblem(answer)).toMatchObject({
      status: 400,
      code: 'request_invalid',
      errors: [{ in: 'query', pointer }],
    });
  });
});

describe('a trigger', () => {
  it.each([
    [
      { parameters: { date_range: { start: '2024-12-23', end: '2024-12-20' } } },
      '/parameters/date_range/end',
    ],
    [{ parameters: { date_range: { start: '2024-12-20' } } }, '/parameters/date_range/end'],
    [{ parameters: { force: 'yes' } }, '/parameters/force'],
    [{ parameters: { other: 1 } }, '/parameters/other'],
  ])('with %j is refused at %s', async (changes, pointer) => {
    const body = { pipeline_id: made.pipeline, ...changes };
    const answer = await api.ask('POST', '/api/v1/etl/trigger', { body });
    expect(asProblem(answer)).toMatchObject({ status: 400, errors: [{ pointer }] });
  });

  it('of no pipeline is 404', async () => {
    const body = { pipeline_id: made.source };
    const answer = await api.ask('POST', '/api/v1/etl/trigger', { body });
    expect(asProblem(answer).status).toBe(404);
  });
});

describe('the log of an execution', () => {
  it('is oldest first, in pages', async () => {
    const { body: list } = await api.ask('GET', '/api/v1/etl/executions?status=completed');
    const [{ id }] = list.executions;
    const line = (n: number, layer: 'bronze' | null) => ({
      line_key: `k${n}`,
      timestamp: `2026-01-01T00:00:0${n}.000Z`,
      level: 'info' as const,
      layer,
      message: `line ${n}`,
      fields: JSON.stringify({ rows: n }),
    });
    await appendLogs(api.metadata.db, api.scope, id, [
      line(1, null),
      line(2, 'bronze'),
      line(3, 'bronze'),
    ]);
    const url = `/api/v1/etl/executions/${id}/logs`;
    const { body } = await api.ask('GET', url);
    expect(body).toEqual({
      logs: [
        { timestamp: '2026-01-01T00:00:01.000Z', level: 'info', layer: null, message: 'line 1' },
        {
          timestamp: '2026-01-01T00:00:02.000Z',
          level: 'info',
          layer: 'bronze',
          message: 'line 2',
        },
        {
          timestamp: '2026-01-01T00:00:03.000Z',
          level: 'info',
          layer: 'bronze',
          message: 'line 3',
        },
      ],
      next_cursor: null,
    });
    const first = await api.ask('GET', `${url}?limit=2`);
    const rest = await api.ask('GET', `${url}?limit=2&cursor=${first.body.next_cursor}`);
    expect([...first.body.logs, ...rest.body.logs]).toEqual(body.logs);
  });
});

describe('data quality', () => {
  it('has no score where there was nothing', async () => {
    const { body } = await api.ask('GET', '/api/v1/etl/data-quality', { elsewhere: true });
    expect(body.quality_metrics.last_24h).toMatchObject({ total_records: 0, quality_score: null });
    expect(body.by_pipeline).toEqual([]);
  });

  it('has totals, issues by kind, and the score of each pipeline', async () => {
    const { body: list } = await api.ask('GET', '/api/v1/etl/executions?status=completed');
    const [{ id }] = list.executions;
    const metric = (metric_type: string, count: number, rule: string | null) => ({
      metric_type,
      count,
      rule,
      severity: rule === null ? ('info' as const) : ('filter' as const),
      details: null,
    });
    await recordQualityMetrics(
      api.metadata.db,
      api.scope,
      { pipelineId: made.pipeline, executionId: id, layer: 'silver', stream: 'orders' },
      {
        at: timeOf(),
        metrics: [
          metric('total_records', 125_000, null),
          metric('valid_records', 124_850, null),
          metric('missing_fields', 100, 'not_null:id'),
          metric('invalid_types', 50, 'type:total'),
        ],
      },
    );
    const { body } = await api.ask('GET', '/api/v1/etl/data-quality', { role: 'viewer' });
    expect(body).toEqual({
      quality_metrics: {
        last_24h: {
          total_records: 125_000,
          valid_records: 124_850,
          quality_score: 99.88,
          issues: { missing_fields: 100, invalid_types: 50, duplicates: 0 },
        },
      },
      by_pipeline: [
        {
          pipeline_id: made.pipeline,
          pipeline_name: 'DV360 Daily',
          quality_score: 99.88,
          issues: 150,
        },
      ],
    });
  });
});

describe('the lineage of an execution', () => {
  it('is read page by page, layer by layer, and by its organisation alone', async () => {
    const { pipeline } = await makePipeline(api, { name: 'with lineage' });
    const answer = await api.ask('POST', '/api/v1/etl/trigger', {
      body: { pipeline_id: pipeline },
    });
    const id: string = answer.body.execution_id;
    const edge = (table_name: string, source_table: string) => ({
      table_name,
      column_name: 'total',
      source_table,
      source_column: 'amount',
    });
    const edges = [
      { layer: 'gold', ...edge('daily', 'silver.orders') },
      { layer: 'silver', ...edge('orders', 'bronze.orders') },
      { layer: 'bronze', ...edge('orders', 'public.orders') },
    ] as const;
    for (const { layer, ...rest } of edges)
      await recordColumnLineage(api.metadata.db, api.scope, { executionId: id, layer }, [rest]);
    const url = `/api/v1/etl/executions/${id}/lineage`;
    const first = await api.ask('GET', `${url}?limit=2`, { role: 'viewer' });
    expect(first.body.lineage).toMatchObject([{ layer: 'bronze' }, { layer: 'silver' }]);
    const cursor = encodeURIComponent(first.body.next_cursor);
    const second = await api.ask('GET', `${url}?limit=2&cursor=${cursor}`);
    expect(second.body).toEqual({
      lineage: [
        {
          layer: 'gold',
          table: 'daily',
          column: 'total',
          source_table: 'silver.orders',
          source_column: 'amount',
        },
      ],
      next_cursor: null,
    });
    const theirs = await api.ask('GET', url, { elsewhere: true });
    expect(asProblem(theirs)).toMatchObject({ status: 404, code: 'not_found' });
  });
});

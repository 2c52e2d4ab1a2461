import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiFixture,
  asProblem,
  type Made,
  makePipeline,
  openApi,
} from '../../../test/support/api-fixture.ts';
import { uuidv7 } from '../../core/uuid.ts';
import { recordQualityMetrics } from '../../metadata/quality-metrics.ts';

const CANARY = 'canary-of-a-row-5d1c';
let api: ApiFixture;
let made: Made;
/** One after the other, a day apart. */
const executions: string[] = [];
beforeAll(async () => {
  api = await openApi();
  made = await makePipeline(api);
  for (const day of ['2026-03-01', '2026-03-02', '2026-03-03']) {
    const executionId = uuidv7();
    executions.push(executionId);
    const place = { pipelineId: made.pipeline, executionId };
    const metric = { details: null, count: executions.length, severity: 'filter' } as const;
    await recordQualityMetrics(
      api.metadata.db,
      api.scope,
      { ...place, layer: 'silver', stream: 'public.orders' },
      {
        at: `${day}T12:00:00.000Z`,
        metrics: [
          { ...metric, rule: null, metric_type: 'total_records', severity: 'info' },
          { ...metric, rule: 'not_null:id', metric_type: 'missing_fields' },
        ],
      },
    );
  }
});
afterAll(() => api[Symbol.asyncDispose]());

const METRICS = '/api/v1/etl/data-quality/metrics';

describe('metrics of quality', () => {
  it('tell the course of a rule over executions, newest first', async () => {
    const query = `rule=not_null:id&stream=public.orders&layer=silver&pipeline_id=${made.pipeline}`;
    const { body } = await api.ask('GET', `${METRICS}?${query}`, { role: 'viewer' });
    expect(body.metrics.map((row: { count: number }) => row.count)).toEqual([3, 2, 1]);
    expect(body.metrics[0]).toEqual({
      execution_id: executions[2],
      pipeline_id: made.pipeline,
      layer: 'silver',
      stream: 'public.orders',
      rule: 'not_null:id',
      metric_type: 'missing_fields',
      count: 3,
      severity: 'filter',
      recorded_at: '2026-03-03T12:00:00.000Z',
    });
    expect(body.next_cursor).toBeNull();
  });

  it.each([
    ['date_from=2026-03-02&date_to=2026-03-02', 2],
    ['stream=public.customers', 0],
    ['layer=gold', 0],
    ['', 6],
  ])('with %j are %i', async (query, count) => {
    const { body } = await api.ask('GET', `${METRICS}?${query}`);
    expect(body.metrics).toHaveLength(count);
  });

  it('of one execution are its own', async () => {
    const { body } = await api.ask('GET', `${METRICS}?execution_id=${executions[0]}`);
    expect(body.metrics).toMatchObject([{ rule: 'not_null:id' }, { rule: null }]);
  });

  it('go on after a page, and are of the organisation alone', async () => {
    const seen: unknown[] = [];
    let cursor = '';
    for (;;) {
      const { body } = await api.ask('GET', `${METRICS}?limit=4${cursor}`);
      seen.push(...body.metrics);
      if (body.next_cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(body.next_cursor)}`;
    }
    expect(seen).toHaveLength(6);
    expect(new Set(seen.map((row) => JSON.stringify(row))).size).toBe(6);
    const theirs = await api.ask('GET', METRICS, { elsewhere: true });
    expect(theirs.body.metrics).toEqual([]);
  });
});

describe('quarantined rows', () => {
  const url = (): string => `/api/v1/pipelines/${made.pipeline}/quarantine`;

  it('are shown to those who may operate, and go into no log', async () => {
    const asked: unknown[] = [];
    const row = {
      stream: 'public.orders',
      rule: 'not_null:id',
      action: 'filter',
      execution_id: executions[0] ?? null,
      op: 'r',
      position: '0/1',
      quarantined_at: '2026-03-01T12:00:00.000Z',
      row: { id: null, note: CANARY },
    };
    api.services.quarantinedRows = (_scope, pipeline, { stream, rule, limit }) => {
      asked.push({ pipeline: pipeline.id, stream, rule, limit });
      return Promise.resolve([row]);
    };
    const query = '?stream=public.orders&rule=not_null:id&limit=2';
    const answer = await api.ask('GET', `${url()}${query}`, { role: 'operator' });
    expect(answer).toMatchObject({
      status: 200,
      body: { quarantined_rows: [row], next_cursor: null },
    });
    const choice = { stream: 'public.orders', rule: 'not_null:id', limit: 2 };
    expect(asked).toEqual([{ pipeline: made.pipeline, ...choice }]);
    expect(asProblem(await api.ask('GET', url(), { role: 'viewer' })).status).toBe(403);
    expect(asked).toHaveLength(1);
    expect(JSON.stringify(api.logged)).not.toContain(CANARY);
  });

  it.each(['limit=201', 'limit=0', 'cursor=x', `rule=${'x'.repeat(301)}`])(
    'with %s are refused',
    async (query) => {
      const problem = asProblem(await api.ask('GET', `${url()}?${query}`));
      expect(problem).toMatchObject({ status: 400, code: 'request_invalid' });
    },
  );
});

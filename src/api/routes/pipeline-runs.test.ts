import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endExecution } from '../../metadata/executions.ts';
import {
  type Answer,
  type ApiFixture,
  asProblem,
  type Made,
  makePipeline,
  openApi,
  postPipeline,
} from '../../../test/support/api-fixture.ts';

let api: ApiFixture;
let made: Made;
beforeAll(async () => {
  api = await openApi();
  made = await makePipeline(api);
});
afterAll(() => api[Symbol.asyncDispose]());

const URL = '/api/v1/pipelines';
const post = (changes: Record<string, unknown>): Promise<Answer> =>
  postPipeline(api, made, changes);

describe('running a pipeline by hand', () => {
  it('schedules one, lets a second wait, and refuses a third', async () => {
    const { body } = await post({ is_active: false });
    const first = await api.ask('POST', `${URL}/${body.id}/execute`, { role: 'operator' });
    expect(first.body).toEqual({
      execution_id: expect.any(String),
      status: 'scheduled',
      estimated_start: expect.any(String),
    });
    const hint = { name: 'executionScheduled', subject: first.body.execution_id };
    expect(api.services.asked).toContainEqual(hint);
    const answers = [
      await api.ask('POST', `${URL}/${body.id}/execute`),
      await api.ask('POST', `${URL}/${body.id}/execute`),
    ];
    expect(asProblem(answers.find(({ status }) => status !== 200) ?? first)).toMatchObject({
      status: 409,
      code: 'execution_waits',
    });
  });

  it('a date range needs a column for every stream', async () => {
    const date_range = { start: '2026-01-01', end: '2026-01-31' };
    const undated = await post({ streams: [{ stream: 'a', cursor_column: 't' }, 'b'] });
    const refused = await api.ask('POST', `${URL}/${undated.body.id}/execute`, {
      body: { parameters: { date_range } },
    });
    expect(asProblem(refused)).toMatchObject({
      status: 422,
      errors: [{ pointer: '/parameters/date_range' }],
    });
    const backfill = await api.ask('POST', `${URL}/${undated.body.id}/backfill`, {
      body: { date_range },
    });
    expect(asProblem(backfill).errors[0]?.pointer).toBe('/date_range');
    const dated = await post({ streams: ['b'], event_time_column: 'at' });
    const taken = await api.ask('POST', `${URL}/${dated.body.id}/backfill`, {
      body: { date_range },
    });
    expect(taken.body.status).toBe('scheduled');
  });

  it('a backfill is of days, keys, or what another one left, and of nothing else', async () => {
    const { body: layered } = await post({ streams: ['c'], event_time_column: 'at' });
    const url = `${URL}/${layered.id}/backfill`;
    const key_range = { column: 'id', start: 1, end: 100 };
    const refused = async (body: object): Promise<readonly string[]> => {
      const answer = await api.ask('POST', url, { body });
      expect([400, 422]).toContain(answer.status);
      return asProblem(answer).errors.map(({ pointer }) => pointer);
    };
    expect(await refused({})).toEqual(['']);
    expect(await refused({ key_range, retry_of: layered.id })).toEqual(['']);
    expect(await refused({ key_range, range_days: 1 })).toEqual(['/range_days']);
    expect(await refused({ key_range: { ...key_range, end: 0 } })).toEqual(['/key_range/end']);
    expect(await refused({ key_range: { ...key_range, end: 1e16 } })).toEqual(['/key_range/end']);
    expect(await refused({ retry_of: layered.id })).toEqual(['/retry_of']);
    const days = { start: '1990-01-01', end: '2020-12-31' };
    expect(await refused({ date_range: days, range_days: 1 })).toEqual(['/range_days']);
    const preview = await api.ask('POST', url, { body: { key_range, preview: true } });
    expect(preview.body).toEqual({
      preview: true,
      total_ranges: 1,
      ranges: [{ start: 1, end: 100 }],
      streams: [{ stream: 'public.orders', column: 'id', rows: 3 }],
    });
    expect(api.services.asked.at(-1)?.name).toBe('previewBackfill');
    const taken = await api.ask('POST', url, { body: { key_range, range_size: 10 } });
    expect(taken.body.status).toBe('scheduled');
    expect(await refused({ retry_of: taken.body.execution_id })).toEqual(['/retry_of']);
    const id = taken.body.execution_id;
    await endExecution(api.metadata.db, api.scope, { id, status: 'cancelled' });
    const again = { retry_of: id, preview: true };
    expect((await api.ask('POST', url, { body: again })).body).toMatchObject({ total_ranges: 10 });
  });

  it('streams are read again under the key of the request', async () => {
    const answer = await api.ask('POST', `${URL}/${made.pipeline}/resync`, {
      body: { streams: ['public.orders'] },
    });
    expect(answer.body).toMatchObject({ pipeline_id: made.pipeline, streams: ['public.orders'] });
    const twice = { streams: ['a', 'a'] };
    const refused = await api.ask('POST', `${URL}/${made.pipeline}/resync`, { body: twice });
    expect(asProblem(refused).errors[0]?.pointer).toBe('/streams');
  });

  it.each(['start', 'stop', 'pause', 'resume'])('%s is handed on', async (action) => {
    const { id } = (await post({ kind: 'replication' })).body;
    const answer = await api.ask('POST', `${URL}/${id}/${action}`, { body: {} });
    expect(answer.body).toMatchObject({ pipeline_id: id, workflow_id: id });
    expect(api.services.asked.at(-1)).toEqual({ name: `${action}Pipeline`, subject: id });
  });

  it('start executes a pipeline that does not follow its source, once under one key', async () => {
    const { id } = (await post({ kind: 'sync' })).body;
    const headers = { 'idempotency-key': `start ${id}`.replaceAll(' ', '-') };
    const start = (): Promise<Answer> => api.ask('POST', `${URL}/${id}/start`, { headers });
    const { body } = await start();
    expect(body).toEqual({
      pipeline_id: id,
      state: 'starting',
      workflow_id: `execution-${body.execution_id}`,
      execution_id: expect.any(String),
    });
    expect((await start()).body).toEqual(body);
    const listed = await api.ask('GET', `/api/v1/etl/executions?pipeline_id=${id}`);
    expect(listed.body.executions).toMatchObject([{ id: body.execution_id, status: 'scheduled' }]);
  });

  it('compare answers what was found', async () => {
    const answer = await api.ask('POST', `${URL}/${made.pipeline}/compare`);
    expect(answer.body).toEqual({ identical: true, streams: [] });
  });
});

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ForebayError } from '../../core/errors.ts';
import { endExecution, startExecution } from '../../metadata/executions.ts';
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

describe('a pipeline', () => {
  it('is read as it was written, with what was left out', async () => {
    const body = {
      kind: 'etl',
      streams: [
        'public.customers',
        {
          stream: 'public.orders',
          cursor_column: 'updated_at',
          lookback_seconds: 60,
          key: ['id'],
          columns: { total: 'decimal(12,2)', placed_on: 'date' },
          quality_rules: [{ rule: 'not_null', columns: ['id'], action: 'filter' }],
        },
      ],
      schema_changes: 'pause',
      layers: {
        bronze: true,
        silver: true,
        gold: false,
        silver_mode: 'history',
        models: ['daily'],
      },
      retry_policy: { max_attempts: 3 },
      event_time_column: 'created_at',
      schedule_type: 'cron',
      cron_expression: '0 6 * * *',
      time_zone: 'Europe/Berlin',
      overlap_policy: 'buffer_one',
    };
    const answer = await post(body);
    expect(answer.status, answer.text).toBe(201);
    expect(answer.body).toMatchObject({
      ...body,
      retry_policy: { max_attempts: 3, initial_delay_ms: 1000, permanent_error_codes: [] },
      catchup_window_seconds: 600,
      is_active: true,
      interval_seconds: null,
      last_run_at: null,
      version: 1,
    });
    expect(Date.parse(answer.body.next_run_at)).toBeGreaterThan(Date.now());
    const { body: read } = await api.ask('GET', `${URL}/${answer.body.id}`);
    expect(read).toEqual(answer.body);
    const listed = await api.ask('GET', `${URL}?limit=1`);
    expect(listed.body.pipelines).toEqual([answer.body]);
  });

  it('that was made without a schedule gets one when it is changed', async () => {
    const { body: bare } = await post({});
    await api.metadata.db.deleteFrom('schedules').where('pipeline_id', '=', bare.id).execute();
    const changed = await api.ask('PATCH', `${URL}/${bare.id}`, {
      headers: { 'if-match': `"${bare.version}"` },
      body: { schedule_type: 'cron', cron_expression: '0 6 * * *' },
    });
    expect(changed).toMatchObject({ status: 200, body: { cron_expression: '0 6 * * *' } });
    expect(Date.parse(changed.body.next_run_at)).toBeGreaterThan(Date.now());
  });

  it.each([
    [{ schedule_type: 'cron' }, 'schedule_invalid', '/cron_expression'],
    [
      { schedule_type: 'cron', cron_expression: '61 * * * *' },
      'schedule_invalid',
      '/cron_expression',
    ],
    [{ schedule_type: 'cron', cron_expression: '@daily' }, 'schedule_invalid', '/cron_expression'],
    [
      { schedule_type: 'cron', cron_expression: '0 0 31 2 *' },
      'schedule_invalid',
      '/cron_expression',
    ],
    [{ time_zone: 'Mars/Olympus' }, 'schedule_invalid', '/time_zone'],
    [{ schedule_type: 'interval' }, 'schedule_invalid', '/interval_seconds'],
    [{ schedule_type: 'interval', interval_seconds: 0 }, 'request_invalid', '/interval_seconds'],
    [{ interval_seconds: 60 }, 'schedule_invalid', '/interval_seconds'],
    [{ streams: [] }, 'request_invalid', '/streams'],
    [{ streams: ['a', { stream: 'a' }] }, 'request_invalid', '/streams'],
    [{ streams: [{ stream: 'a', load: 'x' }] }, 'request_invalid', '/streams/0/load'],
    [
      { streams: [{ stream: 'a', columns: { total: 'money' } }] },
      'request_invalid',
      '/streams/0/columns/total',
    ],
    [{ quality_rules: [{ rule: 'range', column: 'a' }] }, 'request_invalid', '/quality_rules/0'],
    [{ layers: { bronze: false } }, 'request_invalid', '/layers/silver'],
    [
      { retry_policy: { initial_delay: '2s', initial_delay_ms: 2000 } },
      'request_invalid',
      '/retry_policy/initial_delay',
    ],
    [
      { retry_policy: { max_delay: '2m', max_delay_ms: 120_000 } },
      'request_invalid',
      '/retry_policy/max_delay',
    ],
    [{ retry_policy: { max_delay: '2 m' } }, 'request_invalid', '/retry_policy/max_delay'],
    [{ retry_policy: { initial_delay: '0s' } }, 'request_invalid', '/retry_policy/initial_delay'],
    [{ retry_policy: { max_delay: '2d' } }, 'request_invalid', '/retry_policy/max_delay'],
    [{ retry_policy: { max_delay: '10ms' } }, 'request_invalid', '/retry_policy/max_delay'],
    [{ retry_policy: { max_delay_ms: 10 } }, 'request_invalid', '/retry_policy/max_delay_ms'],
    [{ schema: 'shop' }, 'request_invalid', '/schema'],
    [{ kind: 'ingestion', schema: 'shop' }, 'request_invalid', '/schema'],
    [
      { kind: 'ingestion', layers: { bronze: false, silver: false } },
      'request_invalid',
      '/layers/bronze',
    ],
    [
      { kind: 'ingestion', layers: { silver_mode: 'history' } },
      'request_invalid',
      '/layers/silver_mode',
    ],
    [{ kind: 'ingestion', layers: { models: ['daily'] } }, 'request_invalid', '/layers/models'],
    [
      {
        kind: 'ingestion',
        streams: [{ stream: 'a', quality_rules: [{ rule: 'not_null', columns: ['id'] }] }],
      },
      'request_invalid',
      '/streams/0/quality_rules',
    ],
    [{ kind: 'replication', layers: {} }, 'request_invalid', '/layers'],
    [
      { kind: 'replication', streams: [{ stream: 'a', cursor_column: 't' }] },
      'request_invalid',
      '/streams/0',
    ],
    [
      { kind: 'replication', schedule_type: 'interval', interval_seconds: 5 },
      'request_invalid',
      '/schedule_type',
    ],
  ])('as %j is refused: %s at %s', async (changes, code, pointer) => {
    const problem = asProblem(await post(changes));
    expect(problem).toMatchObject({ status: 400, code });
    expect(problem.errors.map((error) => error.pointer)).toContain(pointer);
  });

  it('needs connections that are there and can do it', async () => {
    const unknown = '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49';
    const missing = asProblem(await post({ destination_connection_id: unknown }));
    expect(missing).toMatchObject({
      status: 422,
      errors: [{ pointer: '/destination_connection_id' }],
    });
    const bucket = await api.ask('POST', '/api/v1/connections', {
      body: { name: 'bucket', connector_type: 's3', config: { bucket: 'b', region: 'r' } },
    });
    const unable = asProblem(await post({ destination_connection_id: bucket.body.id }));
    expect(unable).toMatchObject({ status: 422, code: 'capability_missing' });
    const benthos = asProblem(await post({ benthos_configuration_ids: [unknown] }));
    expect(benthos.errors[0]?.pointer).toBe('/benthos_configuration_ids/0');
  });

  it('is changed by a merge patch, schedule and all', async () => {
    const { body, headers } = await post({
      schedule_type: 'cron',
      cron_expression: '0 6 * * *',
      schema_changes: 'pause',
    });
    const patched = await api.ask('PATCH', `${URL}/${body.id}`, {
      headers: { 'if-match': String(headers['etag']) },
      body: {
        schedule_type: 'interval',
        cron_expression: null,
        interval_seconds: 3600,
        schema_changes: null,
        streams: ['public.orders'],
      },
    });
    expect(patched.body).toMatchObject({
      version: 2,
      streams: ['public.orders'],
      schedule_type: 'interval',
      cron_expression: null,
    });
    expect(patched.body).not.toHaveProperty('schema_changes');
    const next = Date.parse(patched.body.next_run_at) - Date.now();
    expect(next).toBeGreaterThan(3_500_000);
    expect(next).toBeLessThanOrEqual(3_600_000);
  });

  it('takes the delays of its retries as durations, and answers milliseconds', async () => {
    const { body, status } = await post({
      retry_policy: { initial_delay: '500ms', max_delay: '1h30m' },
    });
    expect(status).toBe(201);
    expect(body.retry_policy).toEqual({
      max_attempts: 5,
      initial_delay_ms: 500,
      max_delay_ms: 5_400_000,
      backoff_multiplier: 2,
      permanent_error_codes: [],
    });
    const patch = (retry_policy: object): Promise<Answer> =>
      api.ask('PATCH', `${URL}/${body.id}`, {
        headers: { 'if-match': '*' },
        body: { retry_policy },
      });
    const patched = await patch({ initial_delay: '2s' });
    expect(patched.body.retry_policy).toMatchObject({
      initial_delay_ms: 2000,
      max_delay_ms: 5_400_000,
    });
    expect((await patch({ max_delay: null })).body.retry_policy.max_delay_ms).toBe(60_000);
    const doubled = asProblem(await patch({ max_delay: '1m', max_delay_ms: 60_000 }));
    expect(doubled.errors[0]?.pointer).toBe('/retry_policy/max_delay');
  });

  it('is disabled and enabled, and nothing is due meanwhile', async () => {
    const { body } = await post({ schedule_type: 'interval', interval_seconds: 60 });
    const off = await api.ask('POST', `${URL}/${body.id}/disable`, { role: 'operator' });
    expect(off.body).toMatchObject({ is_active: false, next_run_at: null, version: 2 });
    const again = await api.ask('POST', `${URL}/${body.id}/disable`);
    expect(again.body.version).toBe(2);
    const on = await api.ask('POST', `${URL}/${body.id}/enable`);
    expect(on.body).toMatchObject({ is_active: true, next_run_at: expect.any(String) });
  });

  it('uses Benthos configurations in their order', async () => {
    const ids: string[] = [];
    for (const name of ['b1', 'b2']) {
      const answer = await api.ask('POST', '/api/v1/benthos-configurations', {
        body: { name, configuration: 'pipeline: {}' },
      });
      ids.unshift(answer.body.id);
    }
    const { body } = await post({ benthos_configuration_ids: ids });
    expect(body.benthos_configuration_ids).toEqual(ids);
    const used = await api.ask('DELETE', `/api/v1/benthos-configurations/${ids[0]}`, {
      headers: { 'if-match': '*' },
    });
    expect(asProblem(used).code).toBe('in_use');
  });

  it('is deleted when nothing runs', async () => {
    const { body } = await post({});
    await api.ask('POST', `${URL}/${body.id}/execute`);
    const headers = { 'if-match': '*' };
    const busy = await api.ask('DELETE', `${URL}/${body.id}`, { headers });
    expect(asProblem(busy).code).toBe('in_use');
    const idle = await post({});
    expect((await api.ask('DELETE', `${URL}/${idle.body.id}`, { headers })).status).toBe(204);
    expect(api.services.asked).toContainEqual({ name: 'pipelineChanged', subject: idle.body.id });
    // It never ran: its systems keep nothing.
    expect(api.services.asked).not.toContainEqual({ name: 'dropPipeline', subject: idle.body.id });
  });
});

describe('deleting a pipeline that ran', () => {
  const headers = { 'if-match': '*' };
  const ran = async (): Promise<string> => {
    const { body } = await post({ is_active: false });
    const { body: started } = await api.ask('POST', `${URL}/${body.id}/execute`);
    const { db } = api.metadata;
    const id = String(started.execution_id);
    await startExecution(db, api.scope, { id, run_id: null });
    await endExecution(db, api.scope, { id, status: 'completed' });
    return String(body.id);
  };
  const askedToDrop = (id: string): number =>
    api.services.asked.filter(({ name, subject }) => name === 'dropPipeline' && subject === id)
      .length;

  it('ends what its systems keep, unless it is of another version or runs', async () => {
    const id = await ran();
    const stale = await api.ask('DELETE', `${URL}/${id}`, { headers: { 'if-match': '"99"' } });
    expect(stale.status).toBe(412);
    const { body: running } = await api.ask('POST', `${URL}/${id}/execute`);
    const busy = await api.ask('DELETE', `${URL}/${id}`, { headers });
    expect(asProblem(busy)).toMatchObject({ status: 409, code: 'in_use' });
    expect(askedToDrop(id)).toBe(0);
    const end = { id: String(running.execution_id), status: 'cancelled' as const };
    await endExecution(api.metadata.db, api.scope, end);
    expect((await api.ask('DELETE', `${URL}/${id}`, { headers })).status).toBe(204);
    expect(askedToDrop(id)).toBe(1);
  });

  it('a system that cannot be reached keeps it until it is told to leave what is there', async () => {
    const id = await ran();
    api.services.dropFailure = new ForebayError('unreachable', { message: 'nobody answers' });
    const refused = await api.ask('DELETE', `${URL}/${id}`, { headers });
    api.services.dropFailure = null;
    expect(asProblem(refused)).toMatchObject({ status: 424, code: 'unreachable' });
    expect(asProblem(refused).fix).toMatch(/\?leave=true.*replication slot forebay_p_1/);
    expect((await api.ask('GET', `${URL}/${id}`)).status).toBe(200);
    const left = [{ at: 'source', kind: 'replication slot', name: 'forebay_p_1' }];
    const gone = await api.ask('DELETE', `${URL}/${id}?leave=true`, { headers });
    expect(gone).toMatchObject({ status: 200, body: { id, left } });
    expect(askedToDrop(id)).toBe(1);
    const [noted] = await api.metadata.db
      .selectFrom('audit_log')
      .select('details')
      .where('action', '=', 'pipeline.delete')
      .where('resource_id', '=', id)
      .execute();
    expect(JSON.parse(noted?.details ?? '{}')).toMatchObject({ left });
  });
});

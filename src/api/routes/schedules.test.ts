import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ApiFixture,
  asProblem,
  makePipeline,
  openApi,
} from '../../../test/support/api-fixture.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('a schedule', () => {
  it('shows its next ten times, is paused, resumed and triggered', async () => {
    const made = await makePipeline(api, { schedule_type: 'interval', interval_seconds: 60 });
    const { schedules } = (await api.ask('GET', '/api/v1/schedules?limit=200')).body;
    const schedule = schedules.find((row: { id: string }) => row.id === made.schedule);
    const times = schedule.next_run_times.map((time: string) => Date.parse(time));
    expect(times).toHaveLength(10);
    expect(times.slice(1).map((time: number, index: number) => time - times[index])).toEqual(
      Array(9).fill(60_000),
    );
    const url = `/api/v1/schedules/${schedule.id}`;
    const paused = await api.ask('POST', `${url}/pause`);
    expect(paused.body).toMatchObject({ is_paused: true, next_run_at: null, next_run_times: [] });
    const resumed = await api.ask('POST', `${url}/resume`);
    expect(resumed.body).toMatchObject({ is_paused: false, next_run_at: expect.any(String) });
    const triggered = await api.ask('POST', `${url}/trigger`);
    expect(triggered.body.status).toBe('scheduled');
    const headers = { 'if-match': String(resumed.headers['etag']) };
    const changed = await api.ask('PATCH', url, { headers, body: { interval_seconds: 30 } });
    expect(changed.body.interval_seconds).toBe(30);
    const bad = await api.ask('PATCH', url, {
      headers: { 'if-match': '*' },
      body: { schedule_type: 'cron' },
    });
    expect(asProblem(bad).code).toBe('schedule_invalid');
  });
});

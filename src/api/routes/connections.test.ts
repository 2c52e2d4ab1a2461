import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Answer,
  type ApiFixture,
  asProblem,
  makePipeline,
  openApi,
  SHOP,
} from '../../../test/support/api-fixture.ts';
import { testKeys } from '../../../test/support/metadata-stores.ts';
import { ForebayError } from '../../core/errors.ts';
import { connectionSecrets, findConnection } from '../../metadata/connections.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const URL = '/api/v1/connections';
let number = 0;
async function make(changes: Record<string, unknown> = {}): Promise<Answer> {
  number += 1;
  const answer = await api.ask('POST', URL, { body: { ...SHOP, name: `c${number}`, ...changes } });
  expect(answer.status, answer.text).toBe(201);
  return answer;
}
const change = (method: 'PUT' | 'PATCH', made: Answer, body: unknown): Promise<Answer> =>
  api.ask(method, `${URL}/${made.body.id}`, {
    body,
    headers: { 'if-match': String(made.headers['etag']) },
  });

/** As they are stored, opened. */
async function secretsOf(id: string): Promise<Record<string, string>> {
  const row = await findConnection(api.metadata.db, api.scope, id);
  if (row === null) throw new Error('not there');
  const opened = await connectionSecrets(api.metadata.db, api.scope, row.id, testKeys);
  return Object.fromEntries(Object.entries(opened).map(([name, value]) => [name, value.reveal()]));
}

describe('secrets of a connection', () => {
  it('are stored and never answered', async () => {
    const made = await make();
    expect(made.body).toMatchObject({
      has_secret: true,
      config: { password: null, user: 'reader' },
    });
    for (const url of [URL, `${URL}/${made.body.id}`, '/api/v1/audit-log', '/api/v1/events']) {
      expect((await api.ask('GET', url)).text).not.toContain('canary-secret');
    }
    expect(await secretsOf(made.body.id)).toEqual({ password: 'canary-secret' });
    expect(JSON.stringify(api.logged)).not.toContain('canary-secret');
  });

  it('are not in a refusal', async () => {
    const body = { ...SHOP, config: { ...SHOP.config, password: ['canary-secret'] } };
    const answer = await api.ask('POST', URL, { body });
    expect(asProblem(answer).errors[0]?.pointer).toBe('/config/password');
    expect(answer.text).not.toContain('canary-secret');
  });

  it('stay when what was read is written back', async () => {
    const made = await make();
    const { name, connector_type, config } = made.body;
    const put = await change('PUT', made, { name, connector_type, config });
    expect(put.body).toMatchObject({ has_secret: true, version: 2, status: 'pending' });
    expect(await secretsOf(made.body.id)).toEqual({ password: 'canary-secret' });
  });

  it('are replaced, and taken away by the empty text', async () => {
    const made = await make();
    const replaced = await change('PATCH', made, { config: { password: 'other' } });
    expect(await secretsOf(made.body.id)).toEqual({ password: 'other' });
    const cleared = await change('PATCH', replaced, { config: { password: '' } });
    expect(cleared.body).toMatchObject({ has_secret: false });
    expect(cleared.body.config).not.toHaveProperty('password');
    expect(await secretsOf(made.body.id)).toEqual({});
  });

  it('of the fields go when a connection string takes their place, and back', async () => {
    const made = await make();
    const { name, connector_type } = made.body;
    const text = 'postgres://u:p@h/d';
    const put = await change('PUT', made, {
      name,
      connector_type,
      config: { connection_string: text },
    });
    expect(put.body.config).toEqual({ connection_string: null });
    expect(await secretsOf(made.body.id)).toEqual({ connection_string: text });
    const back = await change('PUT', put, { name, connector_type, config: SHOP.config });
    expect(back.body.config).toMatchObject({ host: 'db.example', password: null });
    expect(await secretsOf(made.body.id)).toEqual({ password: 'canary-secret' });
  });
});

describe('the configuration of a connection', () => {
  it.each([
    ['postgres', { host: 'h', user: 'u' }, '/config/database'],
    ['postgres', { host: 'h', user: 'u', database: 'd', extra: 1 }, '/config/extra'],
    ['postgres', { host: 'h', user: 'u', database: 'd', port: 0 }, '/config/port'],
    ['postgres', { host: 'h', user: 'u', database: 'd', ssl_mode: 'off' }, '/config/ssl_mode'],
    ['postgres', { connection_string: 'x', host: 'h' }, '/config/host'],
    ['duckdb', {}, '/config/path'],
    ['s3', { bucket: 'b' }, '/config/region'],
    ['s3', { bucket: 'b', region: 'r', connection_string: 'x' }, '/config/connection_string'],
    ['rest', { base_url: 'file:///etc/passwd' }, '/config/base_url'],
  ])('of %s as %j is refused at %s', async (connector_type, config, pointer) => {
    const answer = await api.ask('POST', URL, { body: { name: 'x', connector_type, config } });
    expect(asProblem(answer)).toMatchObject({ status: 400, errors: [{ pointer }] });
  });

  it.each([
    ['localfile', 'file', { path: 'data/*.csv' }],
    ['api', 'rest', { base_url: 'https://api.example/v1' }],
  ])('%s is taken as %s', async (connector_type, known, config) => {
    expect((await make({ connector_type, config })).body.connector_type).toBe(known);
  });

  it('keeps its type', async () => {
    const made = await make();
    const answer = await change('PATCH', made, { connector_type: 'mysql' });
    expect(asProblem(answer)).toMatchObject({
      status: 422,
      errors: [{ pointer: '/connector_type' }],
    });
  });

  it('is listed by type, secrets marked', async () => {
    const { body } = await api.ask('GET', '/api/v1/connectors');
    expect(body.connectors).toHaveLength(15);
    const postgres = body.connectors[0];
    expect(postgres).toMatchObject({ connector_type: 'postgres', source: ['snapshot', 'changes'] });
    expect(postgres.config_schema.properties.password).toMatchObject({
      format: 'password',
      writeOnly: true,
    });
    expect(postgres.config_schema.anyOf).toEqual([
      { required: ['host', 'database', 'user'] },
      { required: ['connection_string'] },
    ]);
  });
});

describe('a version', () => {
  it('must be named, as it is now', async () => {
    const made = await make();
    const url = `${URL}/${made.body.id}`;
    const body = { name: `renamed ${number}` };
    expect(made.headers['etag']).toBe('"1"');
    expect(asProblem(await api.ask('PATCH', url, { body })).status).toBe(428);
    for (const tag of ['"2"', 'W/"1"', '"x"']) {
      const answer = await api.ask('PATCH', url, { body, headers: { 'if-match': tag } });
      expect(asProblem(answer).code).toBe('version_stale');
    }
    const garbled = await api.ask('PATCH', url, { body, headers: { 'if-match': '1' } });
    expect(asProblem(garbled).status).toBe(400);
    const headers = { 'if-match': '"7", "1"' };
    const changed = await api.ask('PATCH', url, { body, headers });
    expect(changed).toMatchObject({ status: 200, headers: { etag: '"2"' } });
    expect(asProblem(await api.ask('DELETE', url)).status).toBe(428);
    const gone = await api.ask('DELETE', url, { headers: { 'if-match': '*' } });
    expect(gone).toMatchObject({ status: 204, text: '' });
    expect(asProblem(await api.ask('GET', url)).status).toBe(404);
  });

  it('of a new name leaves the result of the last test as it was', async () => {
    const made = await make();
    await api.ask('POST', `${URL}/${made.body.id}/test`);
    const renamed = await change('PATCH', made, { name: `again ${number}` });
    expect(renamed.body.status).toBe('active');
    const moved = await change('PATCH', renamed, { config: { host: 'elsewhere' } });
    expect(moved.body.status).toBe('pending');
  });
});

describe('a name', () => {
  it('is taken once in an organisation', async () => {
    const { body } = await make();
    const again = await api.ask('POST', URL, { body: { ...SHOP, name: body.name } });
    expect(asProblem(again)).toMatchObject({ status: 409, code: 'already_exists' });
    const there = await api.ask('POST', URL, {
      elsewhere: true,
      body: { ...SHOP, name: body.name },
    });
    expect(there.status).toBe(201);
  });
});

describe('a connection test', () => {
  it('is recorded, also when it failed', async () => {
    const { body } = await make();
    const passed = await api.ask('POST', `${URL}/${body.id}/test`, { role: 'operator' });
    expect(passed).toMatchObject({ status: 200, body: { success: true } });
    expect((await api.ask('GET', `${URL}/${body.id}`)).body).toMatchObject({
      status: 'active',
      last_test_result: { success: true },
    });
    api.services.testResult = {
      success: false,
      message: 'no such host',
      metadata: {},
      steps: [
        {
          step: 'dns',
          status: 'error',
          message: 'no such host',
          fix: 'Correct it.',
          duration_ms: 1,
        },
      ],
    };
    const failed = await api.ask('POST', `${URL}/${body.id}/test`);
    expect(failed).toMatchObject({ status: 200, body: { success: false } });
    expect((await api.ask('GET', `${URL}/${body.id}`)).body.status).toBe('error');
  });

  it("that ends by the other system's refusal does not look like a refusal of the token", async () => {
    const { body } = await make();
    api.services.testResult = new ForebayError('authentication_failed', { message: 'refused' });
    const test = await api.ask('POST', `${URL}/${body.id}/test`);
    expect(asProblem(test)).toMatchObject({ status: 422, code: 'authentication_failed' });
    const catalog = await api.ask('GET', `${URL}/${body.id}/catalog`);
    expect(asProblem(catalog)).toMatchObject({ status: 422, code: 'authentication_failed' });
  });
});

describe('a connection that a pipeline uses', () => {
  it('is not deleted', async () => {
    const { source } = await makePipeline(api);
    const answer = await api.ask('DELETE', `${URL}/${source}`, { headers: { 'if-match': '*' } });
    expect(asProblem(answer)).toMatchObject({ status: 409, code: 'in_use' });
  });
});

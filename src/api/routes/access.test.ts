import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, asProblem, openApi } from '../../../test/support/api-fixture.ts';
import { openMetadata } from '../../metadata/database.ts';
import { createSetupToken } from '../../metadata/setup-tokens.ts';
import { createApp } from '../app.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const PASSWORD = 'correct horse battery staple';
const withToken = (token: string) => ({
  role: null,
  headers: { authorization: `Bearer ${token}` },
});

describe('setting up', () => {
  it('works once with the token that was printed, and makes an admin who can log in', async () => {
    await using metadata = await openMetadata({ kind: 'sqlite', path: ':memory:' });
    const app = createApp({ ...api.options, db: metadata.db });
    const token = await createSetupToken(metadata.db);
    const first = { token, organization: 'Harbour', email: 'Ada@Example.com', password: PASSWORD };
    const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });
    const wrong = await post('/api/v1/setup', { ...first, token: 'fb_wrong' });
    expect(wrong.json()).toMatchObject({ status: 401, code: 'setup_token' });
    const done = await post('/api/v1/setup', first);
    expect(done.json()).toMatchObject({
      token: expect.stringMatching(/^fb_/),
      user: { email: 'ada@example.com', role: 'admin' },
      organization: { name: 'Harbour' },
    });
    expect((await post('/api/v1/setup', first)).json()).toMatchObject({ code: 'setup_token' });
    const login = await post('/api/v1/login', { email: 'ada@example.com', password: PASSWORD });
    expect(login.statusCode).toBe(200);
    const mine = await app.inject({
      url: '/api/v1/users',
      headers: { authorization: `Bearer ${login.json().token}` },
    });
    expect(mine.json().users).toHaveLength(1);
    await app.close();
  });
});

describe('another organisation', () => {
  it('has an admin and a token of its own, and neither sees what the other has', async () => {
    const ours = await api.ask('POST', '/api/v1/connections', {
      body: {
        name: 'of the first one',
        connector_type: 'postgres',
        config: { connection_string: 'postgres://127.0.0.1/none' },
      },
    });
    expect(ours.status).toBe(201);
    const body = { name: 'Lighthouse', email: 'grace@example.com', password: PASSWORD };
    const refused = await api.ask('POST', '/api/v1/organizations', { role: 'editor', body });
    expect(refused.status).toBe(403);
    const made = await api.ask('POST', '/api/v1/organizations', { body });
    expect(made.body).toMatchObject({
      organization: { name: 'Lighthouse' },
      user: { email: 'grace@example.com', role: 'admin' },
      token: expect.stringMatching(/^fb_/),
    });
    const theirs = withToken(made.body.token);
    const list = await api.ask('GET', '/api/v1/connections', theirs);
    expect(list.body).toEqual({ connections: [], next_cursor: null });
    const one = await api.ask('GET', `/api/v1/connections/${ours.body.id}`, theirs);
    expect(one.body).toMatchObject({ status: 404 });
    const organizations = await api.ask('GET', '/api/v1/organizations', theirs);
    expect(organizations.body.organizations).toMatchObject([{ name: 'Lighthouse' }]);
    const users = await api.ask('GET', '/api/v1/users', {});
    expect(JSON.stringify(users.body)).not.toContain('grace');
    const again = await api.ask('POST', '/api/v1/organizations', { body });
    expect(again.body).toMatchObject({ status: 409, code: 'already_exists' });
    const login = await api.ask('POST', '/api/v1/login', {
      role: null,
      body: { email: body.email, password: PASSWORD },
    });
    expect(login.body).toMatchObject({ organization: { name: 'Lighthouse' } });
  });
});

describe('logging in', () => {
  it('is refused the same way for a wrong password and for nobody', async () => {
    await api.ask('POST', '/api/v1/users', {
      body: { email: 'eve@example.com', password: PASSWORD, role: 'editor' },
    });
    const tries = [
      { email: 'eve@example.com', password: 'wrong' },
      { email: 'nobody@example.com', password: 'wrong' },
    ];
    const answers = [];
    for (const body of tries) {
      const answer = await api.ask('POST', '/api/v1/login', { role: null, body });
      const { trace_id: _, ...problem } = asProblem(answer);
      answers.push(problem);
    }
    expect(answers[0]).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answers[0]).toEqual(answers[1]);
  });

  it('gives a token of the role that the user has, until the user is disabled', async () => {
    const made = await api.ask('POST', '/api/v1/users', {
      body: { email: 'op@example.com', password: PASSWORD, role: 'operator' },
    });
    expect(made.text).not.toContain(PASSWORD);
    const { body } = await api.ask('POST', '/api/v1/login', {
      role: null,
      body: { email: 'OP@example.com', password: PASSWORD },
    });
    const asUser = withToken(body.token);
    expect((await api.ask('GET', '/api/v1/connections', asUser)).status).toBe(200);
    expect((await api.ask('GET', '/api/v1/users', asUser)).status).toBe(403);
    const url = `/api/v1/users/${made.body.id}`;
    await api.ask('PATCH', url, { body: { disabled: true } });
    expect((await api.ask('GET', '/api/v1/connections', asUser)).status).toBe(401);
    const again = { role: null, body: { email: 'op@example.com', password: PASSWORD } };
    expect((await api.ask('POST', '/api/v1/login', again)).status).toBe(401);
    await api.ask('PATCH', url, { body: { disabled: false } });
    expect((await api.ask('POST', '/api/v1/login', again)).status).toBe(200);
  });
});

describe('users', () => {
  it('the last admin stays', async () => {
    const { body } = await api.ask('GET', '/api/v1/users?limit=200');
    const admin = body.users.find(({ role }: { role: string }) => role === 'admin');
    for (const answer of [
      await api.ask('DELETE', `/api/v1/users/${admin.id}`),
      await api.ask('PATCH', `/api/v1/users/${admin.id}`, { body: { role: 'viewer' } }),
      await api.ask('PATCH', `/api/v1/users/${admin.id}`, { body: { disabled: true } }),
    ]) {
      expect(asProblem(answer)).toMatchObject({ status: 409, code: 'in_use' });
    }
    const nothing = await api.ask('PATCH', `/api/v1/users/${admin.id}`, { body: {} });
    expect(asProblem(nothing).status).toBe(400);
  });

  it.each([
    [{ email: 'no address', password: PASSWORD, role: 'viewer' }, '/email'],
    [{ email: 'a@b.example', password: 'short', role: 'viewer' }, '/password'],
    [{ email: 'a@b.example', password: PASSWORD, role: 'owner' }, '/role'],
    [
      { email: 'a@b.example', password: PASSWORD, role: 'viewer', organization_id: 'x' },
      '/organization_id',
    ],
  ])('%j are refused at %s', async (body, pointer) => {
    const answer = await api.ask('POST', '/api/v1/users', { body });
    expect(asProblem(answer)).toMatchObject({ status: 400, errors: [{ pointer }] });
  });
});

describe('tokens', () => {
  it('are shown once, work, and are revoked', async () => {
    const made = await api.ask('POST', '/api/v1/tokens', {
      body: { name: 'ci', role: 'operator' },
    });
    const { token, id } = made.body;
    const asToken = withToken(token);
    expect((await api.ask('GET', '/api/v1/pipelines', asToken)).status).toBe(200);
    const list = await api.ask('GET', '/api/v1/tokens');
    expect(list.text).not.toContain(token);
    expect(list.text).not.toContain('hash');
    expect((await api.ask('DELETE', `/api/v1/tokens/${id}`)).status).toBe(204);
    expect((await api.ask('GET', '/api/v1/pipelines', asToken)).status).toBe(401);
    expect((await api.ask('GET', `/api/v1/tokens/${id}`)).body.revoked_at).toMatch(/Z$/);
  });

  it('that would have expired already are not made', async () => {
    const body = { name: 'old', role: 'viewer', expires_at: '2020-01-01T00:00:00Z' };
    const answer = await api.ask('POST', '/api/v1/tokens', { body });
    expect(asProblem(answer).errors[0]?.pointer).toBe('/expires_at');
  });
});

describe('organisations', () => {
  it('one sees and renames its own', async () => {
    const { body } = await api.ask('GET', '/api/v1/organizations', { role: 'viewer' });
    expect(body.organizations).toHaveLength(1);
    const url = `/api/v1/organizations/${body.organizations[0].id}`;
    const renamed = await api.ask('PATCH', url, { body: { name: 'Haven' } });
    expect(renamed.body.name).toBe('Haven');
    const taken = await api.ask('PATCH', url, { body: { name: 'island' } });
    expect(asProblem(taken).code).toBe('already_exists');
  });
});

describe('the state of the server', () => {
  it('is told to probes', async () => {
    expect((await api.ask('GET', '/livez', { role: null })).body).toEqual({ status: 'ok' });
    const ready = await api.ask('GET', '/readyz', { role: null });
    expect(ready).toMatchObject({ status: 200, body: { checks: { metadata: 'ok' } } });
    api.services.ready = false;
    const failed = await api.ask('GET', '/readyz', { role: null });
    expect(failed).toMatchObject({ status: 503, body: { status: 'failed' } });
    const metrics = await api.ask('GET', '/metrics', { role: 'viewer' });
    expect(metrics.text).toContain('forebay_up 1');
  });
});

describe('what is not there to lint with', () => {
  it('is said as such', async () => {
    const body = { configuration: 'pipeline: {}' };
    const answer = await api.ask('POST', '/api/v1/benthos-configurations/lint', { body });
    expect(asProblem(answer)).toMatchObject({ status: 400, code: 'capability_missing' });
  });
});

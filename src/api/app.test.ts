import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, asProblem, openApi } from '../../test/support/api-fixture.ts';
import { createApp } from './app.ts';
import { openRoute, type Route } from './route.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi();
});
afterAll(() => api[Symbol.asyncDispose]());

describe('what cannot be served is a problem of its own', () => {
  it.each([
    ['an unknown address', 'GET', '/api/v1/nothing', 404, 'not_found'],
    ['another method', 'DELETE', '/api/v1/connections', 405, 'method_not_allowed'],
    ['a malformed escape', 'GET', '/api/v1/connections/%zz', 400, 'request_invalid'],
    ['a long parameter', 'GET', `/api/v1/connections/${'a'.repeat(600)}`, 414, 'request_invalid'],
    ['an unknown parameter', 'GET', '/api/v1/connections?nonsense=1', 400, 'request_invalid'],
    ['a limit of 0', 'GET', '/api/v1/connections?limit=0', 400, 'request_invalid'],
    ['a limit of 201', 'GET', '/api/v1/connections?limit=201', 400, 'request_invalid'],
    ['a limit given twice', 'GET', '/api/v1/connections?limit=1&limit=2', 400, 'request_invalid'],
    ['a NUL in a query', 'GET', '/api/v1/connections?cursor=%00', 400, 'request_invalid'],
  ])('%s', async (...[_what, method, url, status, code]) => {
    const answer = await api.ask(method, url);
    expect(asProblem(answer)).toMatchObject({ status, code });
  });

  it('405 names the methods that there are', async () => {
    const answer = await api.ask('DELETE', '/api/v1/connections');
    expect(String(answer.headers['allow']).split(', ')).toEqual(
      expect.arrayContaining(['GET', 'POST']),
    );
  });

  it('without a token: 401 with a challenge', async () => {
    const answer = await api.ask('GET', '/api/v1/connections', { role: null });
    expect(asProblem(answer)).toMatchObject({ status: 401, code: 'unauthenticated' });
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it.each(['Basic abc', 'Bearer', 'Bearer fb_x', 'Bearer a b', `Bearer ${'x'.repeat(300)}`])(
    'a token that is none: %s',
    async (authorization) => {
      const answer = await api.ask('GET', '/api/v1/connections', {
        role: null,
        headers: { authorization },
      });
      expect(asProblem(answer).code).toBe('unauthenticated');
    },
  );

  it.each(['QUERY', 'OPTIONS', 'TRACE', 'PATCH'])(
    '%s, which nothing takes, is 405',
    async (method) => {
      expect(asProblem(await api.ask(method, '/livez')).status).toBe(405);
    },
  );

  it('HEAD is GET without its body', async () => {
    const answer = await api.ask('HEAD', '/api/v1/connections');
    expect(answer).toMatchObject({ status: 200, text: '' });
  });

  it('the trace id is that of the request', async () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const answer = await api.ask('GET', '/nothing', { headers: { traceparent } });
    expect(asProblem(answer).trace_id).toBe('4bf92f3577b34da6a3ce929d0e0e4736');
  });
});

describe('a body', () => {
  const send = (body: string, headers: Record<string, string> = {}) =>
    api.ask('POST', '/api/v1/connections', { body, headers });

  it.each([
    ['no JSON', '{"name":', 'request_invalid', 400],
    ['nothing', '', 'request_invalid', 400],
    ['a name of the prototype', '{"__proto__":{"admin":true}}', 'request_invalid', 400],
    ['a name of the prototype inside', '{"config":{"constructor":{}}}', 'request_invalid', 400],
    ['a NUL', '{"name":"a\\u0000b"}', 'request_invalid', 400],
    ['half a surrogate pair', '{"name":"\\ud800"}', 'request_invalid', 400],
    ['a number without end', '{"config":{"port":1e999}}', 'request_invalid', 400],
    ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, 'request_invalid', 400],
    ['a scalar', '7', 'request_invalid', 400],
    ['more than 1 MiB', JSON.stringify({ name: 'x'.repeat(1_100_000) }), 'body_too_large', 413],
  ])('of %s is refused', async (_what, body, code, status) => {
    expect(asProblem(await send(body))).toMatchObject({ status, code });
  });

  it.each([
    'text/plain',
    'application/json; charset=utf-16',
    'application/json,text/plain',
    'application/jsonx',
    'application/json;x',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/json\u00a0',
  ])('of type %j is refused before it is read', async (type) => {
    const answer = await send('{"name":1}', { 'content-type': type });
    expect(asProblem(answer)).toMatchObject({ status: 415, code: 'media_type' });
  });

  it.each([
    'application/json',
    ' application/json',
    'application/json ',
    'application/json\t',
    'application/json\t; charset=utf-8',
    'APPLICATION/JSON; charset="UTF-8"',
    'application/json;charset=utf-8',
  ])('of type %j is validated like every other', async (type) => {
    const answer = await send('{"name":1}', { 'content-type': type });
    const problem = asProblem(answer);
    expect(problem).toMatchObject({ status: 400, code: 'request_invalid' });
    expect(problem.errors.map(({ pointer }) => pointer)).toContain('/name');
  });

  it('compressed is refused', async () => {
    const answer = await send('{}', { 'content-encoding': 'gzip' });
    expect(asProblem(answer).code).toBe('media_type');
  });

  it('has each fault named with its place', async () => {
    const answer = await send('{"name":"","connector_type":"nothing","config":[],"extra":1}');
    expect(asProblem(answer).errors.map(({ in: place, pointer }) => [place, pointer])).toEqual(
      expect.arrayContaining([
        ['body', '/name'],
        ['body', '/connector_type'],
        ['body', '/config'],
        ['body', '/extra'],
      ]),
    );
  });

  it('that none is asked for is refused', async () => {
    const id = '01980c8e-5f6a-7c1d-8a53-0d4f1c2b3a49';
    const answer = await api.ask('POST', `/api/v1/pipelines/${id}/enable`, { body: { a: 1 } });
    expect(asProblem(answer)).toMatchObject({ status: 400, errors: [{ pointer: '/a' }] });
  });
});

describe('every answer', () => {
  it.each(['/livez', '/nothing', '/docs', '/api/v1/connections'])(
    'of %s is guarded against browsers',
    async (url) => {
      const { headers } = await api.ask('GET', url);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
      });
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['access-control-allow-origin']).toBeUndefined();
    },
  );

  it('a failure of the server says nothing of its inside, and its log does', async () => {
    const broken: Route = openRoute({
      method: 'GET',
      path: '/broken',
      operation: 'broken',
      summary: '',
      tag: '',
      replies: { 200: null },
      handle: () => Promise.reject(new Error('select * from secrets')),
    });
    const app = createApp(api.options, [broken]);
    const response = await app.inject('/broken');
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('secrets');
    expect(JSON.stringify(api.logged.at(-1))).toContain('select * from secrets');
    await app.close();
  });
});

describe('a request that takes too long', () => {
  it('is answered as that, not as a failure of the server', async () => {
    const slow: Route = openRoute({
      method: 'GET',
      path: '/slow',
      operation: 'slow',
      summary: '',
      tag: '',
      replies: { 200: null },
      handle: () => Promise.reject(AbortSignal.abort(new DOMException('', 'TimeoutError')).reason),
    });
    const app = createApp(api.options, [slow]);
    const response = await app.inject('/slow');
    expect(response.json()).toMatchObject({ status: 424, code: 'timeout', retryable: true });
    await app.close();
  });
});

describe('who is turned away', () => {
  it('is logged with address and path, without the token', async () => {
    const token = api.token('viewer');
    await api.ask('GET', '/api/v1/users', { role: 'viewer' });
    expect(api.logged.at(-1)).toMatchObject({
      event: 'request_refused',
      fields: { code: 'forbidden', path: '/api/v1/users', address: '127.0.0.1' },
    });
    expect(JSON.stringify(api.logged)).not.toContain(token);
  });
});

describe('a route', () => {
  it('without a permission does not boot', () => {
    const nobody = {
      ...openRoute({
        method: 'GET',
        path: '/x',
        operation: 'x',
        summary: '',
        tag: '',
        replies: { 200: null },
        handle: () => Promise.resolve({ status: 200 }),
      }),
      permission: undefined,
    } as unknown as Route;
    expect(() => createApp(api.options, [nobody])).toThrow(/no permission/);
  });

  it('that is added beside the table of routes does not boot', () => {
    const app = createApp(api.options, []);
    expect(() => app.get('/side-door', () => 'open')).toThrow(/no permission/);
  });
});

describe('too many requests', () => {
  it('of an address, of a token, and of guesses are answered by 429 with Retry-After', async () => {
    const few = { most: 2, windowMs: 60_000 };
    for (const [limits, url, method] of [
      [{ perAddress: few }, '/nothing', 'GET'],
      [{ perToken: few }, '/api/v1/connections', 'GET'],
      [{ guesses: few }, '/api/v1/login', 'POST'],
    ] as const) {
      const app = createApp({ ...api.options, limits: { ...api.options.limits, ...limits } });
      const ask = () =>
        app.inject({
          method,
          url,
          headers: { authorization: `Bearer ${api.token('viewer')}` },
          ...(method === 'POST' ? { payload: {} } : {}),
        });
      await ask();
      await ask();
      const third = await ask();
      expect(third.statusCode).toBe(429);
      expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);
      expect(third.json()).toMatchObject({ code: 'too_many_requests', retryable: true });
      await app.close();
    }
  });
});

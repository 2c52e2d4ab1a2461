import { connect } from 'node:net';
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, makePipeline, openApi, SHOP } from '../../../test/support/api-fixture.ts';
import { type GrpcClient, grpcClient } from '../../../test/support/grpc-client.ts';
import { ERROR_TABLE, type ErrorCode } from '../../core/errors.ts';
import { type GrpcServer, startGrpc } from './server.ts';
import { GrpcRefusal, statusOf } from './status.ts';
import { toMessage, toValue } from './wire.ts';

let api: ApiFixture;
let server: GrpcServer;
let client: GrpcClient;

const ANY = { host: '127.0.0.1', port: 0 };

beforeAll(async () => {
  api = await openApi();
  server = await startGrpc({ app: api.app, log: api.options.log }, ANY);
  client = grpcClient(server.address, api.token('admin'));
});
afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const structOf = (json: object): unknown => (toValue(json) as { structValue: unknown }).structValue;

let turn = 0;
const shop = () => ({ ...SHOP, name: `shop ${(turn += 1)}`, config: structOf(SHOP.config) });

const create = async (more: Record<string, unknown> = {}) => {
  const answer = await client.ask('ConnectionsService/CreateConnection', { ...shop(), ...more });
  expect(answer).toMatchObject({ code: status.OK });
  return answer;
};

describe('a call', () => {
  it('does what the route does, with its ETag', async () => {
    const made = await create();
    expect(made.head['etag']).toBe('"1"');
    expect(made.message.config.fields.password).toEqual({ nullValue: 'NULL_VALUE' });
    const { body } = await api.ask('GET', `/api/v1/connections/${made.message.id}`);
    expect(body).toMatchObject({
      name: made.message.name,
      config: { host: 'db.example' },
    });
    const list = await client.ask('ConnectionsService/ListConnections', { limit: 1 });
    expect(list.message.connections).toMatchObject([{ id: made.message.id }]);
  });

  it('changes by a merge patch in which null takes away, at the version that is named', async () => {
    const { message } = await create();
    const changes = structOf({ name: 'renamed', config: { port: 5433, password: null } });
    const ask = (if_match?: string) =>
      client.ask('ConnectionsService/ChangeConnection', {
        id: message.id,
        changes,
        ...(if_match === undefined ? {} : { if_match }),
      });
    expect(await ask()).toMatchObject({
      code: status.FAILED_PRECONDITION,
      trail: { 'forebay-code': 'version_missing' },
      problem: { status: 428 },
    });
    expect(await ask('"1"')).toMatchObject({
      code: status.OK,
      head: { etag: '"2"' },
      message: { name: 'renamed', config: { fields: { port: { numberValue: 5433 } } } },
    });
    expect(await ask('"1"')).toMatchObject({
      code: status.FAILED_PRECONDITION,
      trail: { 'forebay-code': 'version_stale' },
    });
    const gone = { id: message.id, if_match: '*' };
    expect(await client.ask('ConnectionsService/DeleteConnection', gone)).toMatchObject({
      code: status.OK,
      message: {},
    });
  });

  it('is done once under one key, also where the first time was over REST', async () => {
    const connection = shop();
    const headers = { 'idempotency-key': `key ${turn}`.replace(' ', '-') };
    const body = { ...SHOP, name: connection.name };
    const first = await api.ask('POST', '/api/v1/connections', { body, headers });
    const request = { ...connection, idempotency_key: headers['idempotency-key'] };
    const again = await client.ask('ConnectionsService/CreateConnection', request);
    expect(again).toMatchObject({
      message: { id: first.body.id },
      head: { 'idempotency-replayed': 'true' },
    });
    const other = await client.ask('ConnectionsService/CreateConnection', {
      ...request,
      name: 'x',
    });
    expect(other).toMatchObject({
      code: status.INVALID_ARGUMENT,
      trail: { 'forebay-code': 'idempotency_mismatch' },
    });
  });

  it('takes the optional body of a route as left out where none is given', async () => {
    const { pipeline } = await makePipeline(api);
    const headers = { 'idempotency-key': `run-${pipeline}` };
    const first = await api.ask('POST', `/api/v1/pipelines/${pipeline}/execute`, { headers });
    const again = await client.ask('PipelinesService/ExecutePipeline', {
      id: pipeline,
      idempotency_key: headers['idempotency-key'],
    });
    expect(again.message).toMatchObject({ execution_id: first.body.execution_id });
  });

  it('tells lists in pages, and what filters hold', async () => {
    await create();
    await create();
    const first = await client.ask('ConnectionsService/ListConnections', { limit: 1 });
    const { next_cursor: cursor } = first.message;
    const second = await client.ask('ConnectionsService/ListConnections', { limit: 1, cursor });
    expect(second.message.connections[0].id).not.toBe(first.message.connections[0].id);
    const letters = await client.ask('DeadLettersService/ListDeadLetters', { resolved: false });
    expect(letters).toMatchObject({ code: status.OK });
  });

  it('answers texts with their type', async () => {
    const metrics = await client.ask('ServerService/GetMetrics');
    expect(metrics.message.content_type).toContain('text/plain');
    expect(metrics.message.content).toContain('forebay_up 1');
    const openApiText = await client.ask('ReferenceService/GetOpenApi', {}, null);
    expect(JSON.parse(openApiText.message.content)).toMatchObject({ openapi: '3.1.1' });
  });

  it('tells that the server is not ready as an answer, as REST does', async () => {
    api.services.ready = false;
    const answer = await client.ask('ServerService/GetReadiness', {}, null);
    api.services.ready = true;
    expect(answer).toMatchObject({ code: status.OK, message: { status: 'failed' } });
  });

  it('is counted and written down by the address of the caller', async () => {
    const { message } = await create();
    const { body } = await api.ask('GET', '/api/v1/audit-log?limit=1');
    expect(body.audit_log).toMatchObject([
      { action: 'connection.create', resource_id: message.id, address: '127.0.0.1' },
    ]);
  });

  it('that is given up ends what it began', async () => {
    const { message } = await create();
    const begun = Promise.withResolvers<AbortSignal>();
    const { testConnection } = api.services;
    api.services.testConnection = (_scope, _connection, signal) => {
      begun.resolve(signal);
      return once(signal, 'abort').then(() => Promise.reject(new Error('given up')));
    };
    const patience = new AbortController();
    const asked = client.ask(
      'ConnectionsService/TestConnection',
      { id: message.id },
      api.token('admin'),
      patience.signal,
    );
    const signal = await begun.promise;
    patience.abort();
    expect(await asked).toMatchObject({ code: status.CANCELLED });
    if (!signal.aborted) await once(signal, 'abort');
    api.services.testConnection = testConnection;
    expect(signal.aborted).toBe(true);
  });
});

describe('a refusal', () => {
  it('says what is wrong with which field', async () => {
    const answer = await client.ask('ConnectionsService/ListConnections', { limit: 1000 });
    expect(answer).toMatchObject({
      code: status.INVALID_ARGUMENT,
      trail: { 'forebay-code': 'request_invalid' },
      problem: { status: 400, errors: [{ in: 'query', pointer: '/limit' }] },
    });
    expect(answer.details).toBe(answer.problem.detail);
    const missing = await client.ask('ConnectionsService/CreateConnection', { name: 'x' });
    expect(missing.problem.errors).toMatchObject([
      { in: 'body', pointer: '/connector_type' },
      { in: 'body', pointer: '/config' },
    ]);
  });

  it.each([
    ['no token', null, status.UNAUTHENTICATED],
    ['a token that is none', 'fb_wrong', status.UNAUTHENTICATED],
  ])('of %s', async (_what, token, code) => {
    expect(await client.ask('ConnectionsService/ListConnections', {}, token)).toMatchObject({
      code,
    });
    using following = client.follow('EventsService/FollowEvents', {}, token);
    expect(await following.ended).toMatchObject({ code, problem: { status: 401 } });
  });

  it("of a role that may not, and of what is another organisation's", async () => {
    const viewer = api.token('viewer');
    const refused = await client.ask('ConnectionsService/CreateConnection', shop(), viewer);
    expect(refused).toMatchObject({ code: status.PERMISSION_DENIED });
    const { message } = await create();
    const theirs = api.token('admin', true);
    const { id } = message;
    expect(await client.ask('ConnectionsService/GetConnection', { id }, theirs)).toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  it('of a name that is taken, and of an execution when one waits', async () => {
    const connection = shop();
    await client.ask('ConnectionsService/CreateConnection', connection);
    expect(await client.ask('ConnectionsService/CreateConnection', connection)).toMatchObject({
      code: status.ALREADY_EXISTS,
    });
    const { pipeline } = await makePipeline(api);
    const run = () => client.ask('ExecutionsService/TriggerExecution', { pipeline_id: pipeline });
    const answers = [await run(), await run(), await run()];
    expect(answers.at(-1)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      trail: { 'forebay-code': 'execution_waits' },
    });
  });

  it.each(['', '.', '..', '../pipelines', 'a/b', '%2e%2e', '?limit=1', '\u0000', 'x'.repeat(90)])(
    'of the id %j, which leads to no other address',
    async (id) => {
      const answer = await client.ask('ConnectionsService/GetConnection', { id });
      expect([status.NOT_FOUND, status.INVALID_ARGUMENT]).toContain(answer.code);
    },
  );

  it('of numbers that JSON has not', async () => {
    const config = { fields: { port: { numberValue: Number.NaN } } };
    expect(
      await client.ask('ConnectionsService/CreateConnection', { ...shop(), config }),
    ).toMatchObject({
      code: status.INVALID_ARGUMENT,
      problem: { errors: [{ in: 'body', pointer: '/config/port' }] },
    });
  });

  it('of a message that is too large, as a message and as the JSON that it becomes', async () => {
    const big = { name: 'x'.repeat(1_100_000) };
    const small = { name: '\u0001'.repeat(400_000) };
    for (const request of [big, small]) {
      const answer = await client.ask('ConnectionsService/CreateConnection', request);
      expect(answer.code).toBe(status.RESOURCE_EXHAUSTED);
    }
  });

  it('of values that are nested too deeply, and the server goes on', async () => {
    for (const depth of [60, 80]) {
      let config: unknown = {};
      for (let level = 0; level < depth; level += 1) config = { a: config };
      const { structValue } = toValue({ host: config }) as { structValue: unknown };
      const asked = client.ask('ConnectionsService/CreateConnection', {
        ...shop(),
        config: structValue,
      });
      // What is deeper than protobufjs writes is not sent at all.
      await asked.then(
        ({ code }) => expect(code).not.toBe(status.OK),
        (error: unknown) => expect(String(error)).toMatch(/depth|nested|recursion/i),
      );
    }
    expect(await client.ask('ServerService/GetLiveness')).toMatchObject({ code: status.OK });
  });

  it('of bytes that are no message', async () => {
    const socket = connect(Number(server.address.split(':').at(-1)), '127.0.0.1');
    socket.on('error', () => {});
    socket.end('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect(await client.ask('ServerService/GetLiveness')).toMatchObject({ code: status.OK });
  });

  it('of who asks too often, with when to ask again', async () => {
    await using limited = await openApi({ limits: { perToken: { most: 1, windowMs: 60_000 } } });
    await using own = await startGrpc({ app: limited.app, log: limited.options.log }, ANY);
    using caller = grpcClient(own.address, limited.token('viewer'));
    expect(await caller.ask('ConnectionsService/ListConnections')).toMatchObject({
      code: status.OK,
    });
    const refused = await caller.ask('ConnectionsService/ListConnections');
    expect(refused).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      problem: { retryable: true },
    });
    expect(Number(refused.trail['retry-after'])).toBeGreaterThan(0);
  });
});

describe('statuses', () => {
  it('are there for each code, and none of them is OK or UNKNOWN', () => {
    for (const [code, { http }] of Object.entries(ERROR_TABLE)) {
      expect([status.OK, status.UNKNOWN], code).not.toContain(statusOf(http, code));
    }
  });

  it.each([
    ['request_invalid', status.INVALID_ARGUMENT],
    ['request_unprocessable', status.INVALID_ARGUMENT],
    ['already_exists', status.ALREADY_EXISTS],
    ['in_use', status.FAILED_PRECONDITION],
    ['conflict', status.ABORTED],
    ['body_too_large', status.RESOURCE_EXHAUSTED],
    ['too_many_requests', status.RESOURCE_EXHAUSTED],
    ['server_starting', status.UNAVAILABLE],
    ['internal', status.INTERNAL],
  ] as const satisfies readonly (readonly [ErrorCode, status])[])('%s', (code, expected) => {
    expect(statusOf(ERROR_TABLE[code].http, code)).toBe(expected);
  });

  it('keep within what clients take, whatever the problem holds', () => {
    const field = {
      in: 'body',
      pointer: '/x'.repeat(200),
      code: 'c',
      message: 'm'.repeat(200),
    } as const;
    const refusal = new GrpcRefusal(
      {
        type: 't',
        title: 'Bad Request',
        status: 400,
        detail: `${'d'.repeat(511)}😀${'d'.repeat(5000)}`,
        instance: '/',
        code: 'request_invalid',
        fix: 'f',
        retryable: false,
        trace_id: '',
        errors: Array.from({ length: 50 }, () => field),
      },
      undefined,
    );
    const [bytes = ''] = refusal.metadata.get('forebay-problem-bin');
    expect(bytes.length).toBeLessThanOrEqual(4096);
    expect(JSON.parse(bytes.toString()).errors.length).toBeGreaterThan(0);
    expect(refusal.details.isWellFormed()).toBe(true);
  });

  it('leave fields of an answer alone that no message has', () => {
    expect(toMessage({ name: 'M', comment: null, fields: [] }, { more: 1 })).toEqual({});
  });
});

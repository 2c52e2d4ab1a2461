import { once } from 'node:events';
import { createServer } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, makePipeline, openApi } from '../../../test/support/api-fixture.ts';
import { type GrpcClient, grpcClient } from '../../../test/support/grpc-client.ts';
import { eventually } from '../../../test/support/wait.ts';
import { revokeApiToken } from '../../metadata/api-tokens.ts';
import { appendEvents } from '../../metadata/events-outbox.ts';
import { appendLogs } from '../../metadata/execution-logs.ts';
import { endExecution } from '../../metadata/executions.ts';
import { inTransaction } from '../../metadata/transaction.ts';
import { createApp } from '../app.ts';
import { readRoute } from '../route.ts';
import { ROUTES } from '../routes/index.ts';
import { type GrpcServer, startGrpc } from './server.ts';
import { streamEvents } from './event-stream.ts';

let api: ApiFixture;
let server: GrpcServer;
let client: GrpcClient;

const ANY = { host: '127.0.0.1', port: 0 };
const FOLLOW = 'EventsService/FollowEvents';

const start = (): Promise<GrpcServer> =>
  startGrpc({ app: api.app, log: api.options.log, healthPollMs: 5 }, ANY);

beforeAll(async () => {
  api = await openApi({ feeds: { pollMs: 5, recheckMs: 20, mostPerToken: 2 } });
  server = await start();
  client = grpcClient(server.address, api.token('viewer'));
});
afterAll(async () => {
  client[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  await api[Symbol.asyncDispose]();
});

const publish = (subject: string): Promise<void> =>
  inTransaction(api.metadata.db, (transaction) =>
    appendEvents(transaction, api.scope, [
      { type: 'execution.started', subject, data: JSON.stringify({ subject, none: null }) },
    ]),
  );

const line = (message: string) => ({
  line_key: message,
  timestamp: '2026-01-01T00:00:00.000Z',
  level: 'info' as const,
  layer: null,
  message,
  fields: null,
});

async function startExecution(): Promise<string> {
  const { pipeline } = await makePipeline(api);
  const started = await api.ask('POST', `/api/v1/pipelines/${pipeline}/execute`);
  return started.body.execution_id;
}

describe('following events', () => {
  it('tells what comes from when it is open, and goes on after the last that was seen', async () => {
    await publish('before');
    using first = client.follow(FOLLOW);
    await first.opened;
    await publish('first');
    const seen = await first.next();
    expect(seen).toMatchObject({
      type: 'execution.started',
      data: {
        subject: 'first',
        data: { structValue: { fields: { subject: { stringValue: 'first' }, none: {} } } },
      },
    });
    first.call.cancel();
    await publish('second');
    using again = client.follow(FOLLOW, { last_event_id: seen.id });
    expect(await again.next()).toMatchObject({ data: { subject: 'second' } });
  });

  it('is closed to more than its share, until one has gone, and to garbled ids', async () => {
    const token = api.token('operator');
    using first = client.follow(FOLLOW, {}, token);
    using second = client.follow(FOLLOW, {}, token);
    await Promise.all([first.opened, second.opened]);
    using third = client.follow(FOLLOW, {}, token);
    expect(await third.ended).toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      trail: { 'retry-after': '10' },
    });
    second.call.cancel();
    await eventually(async () => {
      using later = client.follow(FOLLOW, {}, token);
      return await Promise.race([later.opened.then(() => true), later.ended.then(() => false)]);
    });
    using garbled = client.follow(FOLLOW, { last_event_id: 'x' });
    expect(await garbled.ended).toMatchObject({
      code: status.INVALID_ARGUMENT,
      problem: { errors: [{ in: 'header', pointer: '/last-event-id' }] },
    });
  });

  it('ends when the token is revoked', async () => {
    const made = await api.ask('POST', '/api/v1/tokens', { body: { name: 'x', role: 'viewer' } });
    using following = client.follow(FOLLOW, {}, made.body.token);
    await following.opened;
    await revokeApiToken(api.metadata.db, api.scope, made.body.id);
    expect(await following.next()).toBeNull();
    expect(await following.ended).toMatchObject({ code: status.UNAUTHENTICATED });
  });
});

describe('following a log', () => {
  it('tells each line once, goes on after one, and ends with the execution', async () => {
    const id = await startExecution();
    const { db } = api.metadata;
    await appendLogs(db, api.scope, id, [line('one')]);
    using following = client.follow('ExecutionsService/FollowExecutionLogs', { id });
    const one = await following.next();
    expect(one).toMatchObject({ type: 'log', data: { message: 'one', level: 'info' } });
    expect(one.data).not.toHaveProperty('layer');
    await appendLogs(db, api.scope, id, [line('one'), line('two')]);
    expect(await following.next()).toMatchObject({ data: { message: 'two' } });
    using later = client.follow('ExecutionsService/FollowExecutionLogs', {
      id,
      last_event_id: one.id,
    });
    expect(await later.next()).toMatchObject({ data: { message: 'two' } });
    await endExecution(db, api.scope, { id, status: 'cancelled' });
    expect(await following.next()).toBeNull();
    expect(await following.ended).toMatchObject({ code: status.OK });
  });

  it('of no execution is not found', async () => {
    using following = client.follow('ExecutionsService/FollowExecutionLogs', { id: 'x' });
    expect(await following.ended).toMatchObject({ code: status.NOT_FOUND });
  });
});

describe('who does not read', () => {
  it('is not read for: the feed waits', async () => {
    let pages = 0;
    let last = 0;
    const endless = ROUTES.map((route) =>
      route.operation === 'listEvents'
        ? readRoute({
            ...route,
            permission: 'read',
            handle: () => Promise.reject(new Error('not asked')),
            feed: () =>
              Promise.resolve({
                next: () => {
                  pages += 1;
                  const events = Array.from({ length: 10 }, () => ({
                    id: String((last += 1)),
                    event: 'e',
                    data: { subject: 'x'.repeat(10_000) },
                  }));
                  return Promise.resolve({ events, ended: false });
                },
              }),
          })
        : route,
    );
    const app = createApp(api.options, endless);
    await using own = await startGrpc({ app, log: api.options.log }, ANY);
    using reader = grpcClient(own.address, api.token('editor'));
    using following = reader.follow(FOLLOW);
    expect((await following.next()).id).toBe('1');
    // It has come to rest when nothing was read for a while; it would go on for ever otherwise.
    let before = -1;
    await eventually(
      () => {
        const isStill = pages === before;
        before = pages;
        return isStill;
      },
      { intervalMs: 300 },
    );
    // 100 kB a page; the buffers on the way hold a few hundred kilobytes.
    expect(pages).toBeLessThan(50);
    const seen = pages;
    for (let count = 0; count < 10 * seen; count += 1) await following.next();
    expect(pages).toBeGreaterThan(seen);
    await app.close();
  });
});

describe('the health of the server', () => {
  it('is told without a token, for all of it and for each service', async () => {
    const ask = (service?: string) =>
      client.ask('grpc.health.v1.Health/Check', service === undefined ? {} : { service }, null);
    expect((await ask()).message).toEqual({ status: 'SERVING' });
    expect((await ask('forebay.v1.PipelinesService')).message).toEqual({ status: 'SERVING' });
    expect(await ask('forebay.v1.NoService')).toMatchObject({ code: status.NOT_FOUND });
    api.services.ready = false;
    expect((await ask()).message).toEqual({ status: 'NOT_SERVING' });
    api.services.ready = true;
  });

  it('is told again when it changes', async () => {
    using watching = client.follow('grpc.health.v1.Health/Watch', {}, null);
    expect(await watching.next()).toEqual({ status: 'SERVING' });
    api.services.ready = false;
    expect(await watching.next()).toEqual({ status: 'NOT_SERVING' });
    api.services.ready = true;
    expect(await watching.next()).toEqual({ status: 'SERVING' });
    using unknown = client.follow('grpc.health.v1.Health/Watch', { service: 'none' }, null);
    expect(await unknown.next()).toEqual({ status: 'SERVICE_UNKNOWN' });
  });
});

describe('the server', () => {
  it('ends what is followed when it stops, and takes nothing more', async () => {
    const own = await start();
    using caller = grpcClient(own.address, api.token('admin'));
    using following = caller.follow(FOLLOW);
    using watching = caller.follow('grpc.health.v1.Health/Watch');
    await following.opened;
    expect(await watching.next()).toEqual({ status: 'SERVING' });
    const begun = performance.now();
    await own[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(5000);
    expect(await following.ended).toMatchObject({
      code: status.UNAVAILABLE,
      trail: { 'forebay-code': 'server_starting' },
    });
    expect(await watching.next()).toEqual({ status: 'NOT_SERVING' });
    expect(await watching.ended).toMatchObject({ code: status.UNAVAILABLE });
    expect(await caller.ask('ServerService/GetLiveness')).toMatchObject({
      code: status.UNAVAILABLE,
    });
  });

  it('lets what is being answered finish, and cuts it off when that takes too long', async () => {
    const { testConnection } = api.services;
    const { body } = await api.ask('GET', '/api/v1/connections?limit=1');
    const { id } = body.connections[0];
    for (const graceMs of [10_000, 20]) {
      const begun = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      api.services.testConnection = async (...given) => {
        begun.resolve();
        await goOn.promise;
        return testConnection(...given);
      };
      const own = await startGrpc({ app: api.app, log: api.options.log }, { ...ANY, graceMs });
      using caller = grpcClient(own.address, api.token('admin'));
      const asked = caller.ask('ConnectionsService/TestConnection', { id });
      await begun.promise;
      const stopped = own[Symbol.asyncDispose]();
      if (graceMs > 1000) goOn.resolve();
      await stopped;
      const { code } = await asked;
      goOn.resolve();
      expect(code === status.OK).toBe(graceMs > 1000);
    }
    api.services.testConnection = testConnection;
  });

  it('says that its port is taken, and by which option to give another', async () => {
    const port = Number(server.address.split(':').at(-1));
    await expect(
      startGrpc({ app: api.app, log: api.options.log }, { host: '127.0.0.1', port }),
    ).rejects.toMatchObject({
      code: 'port_in_use',
      message: `port ${port} of 127.0.0.1 is in use`,
      fix: expect.stringContaining('--grpc-port'),
    });
  });

  it('answers at each address of localhost', async () => {
    await using own = await startGrpc(
      { app: api.app, log: api.options.log },
      { host: 'localhost', port: 0 },
    );
    const port = Number(own.address.split(':').at(-1));
    using caller = grpcClient(`127.0.0.1:${port}`);
    expect(await caller.ask('ServerService/GetLiveness')).toMatchObject({ code: status.OK });
    const taken = createServer().listen(port, '127.0.0.1');
    expect(await once(taken, 'error')).toMatchObject([{ code: 'EADDRINUSE' }]);
  });
});

describe('server-sent events', () => {
  it('are read across the borders of chunks and characters; comments are left out', async () => {
    const bytes = new TextEncoder().encode(
      'retry: 2000\n\nid: 1\nevent: log\ndata: {"a":"ä: b"}\n\n: still here\n\nevent: end\ndata: {}\n\n',
    );
    const chunks = ReadableStream.from([...bytes].map((byte) => Uint8Array.of(byte)));
    const events = [];
    for await (const event of streamEvents(chunks)) events.push(event);
    expect(events).toEqual([
      { id: '1', event: 'log', data: '{"a":"ä: b"}' },
      { id: '', event: 'end', data: '{}' },
    ]);
  });
});

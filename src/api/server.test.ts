import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ApiFixture, makePipeline, openApi } from '../../test/support/api-fixture.ts';
import { revokeApiToken } from '../metadata/api-tokens.ts';
import { appendEvents } from '../metadata/events-outbox.ts';
import { endExecution } from '../metadata/executions.ts';
import { appendLogs } from '../metadata/execution-logs.ts';
import { inTransaction } from '../metadata/transaction.ts';
import { startApi } from './server.ts';

let api: ApiFixture;
beforeAll(async () => {
  api = await openApi({ feeds: { pollMs: 5, recheckMs: 20, mostPerToken: 2 } });
});
afterAll(() => api[Symbol.asyncDispose]());

const ANY = { host: '127.0.0.1', port: 0 };

interface Event {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: unknown;
}

async function* eventsOf(response: Response): AsyncGenerator<Event> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true });
    const parts = text.split('\n\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const field = (name: string): string | undefined =>
        part
          .split('\n')
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2);
      const data = field('data');
      if (data !== undefined)
        yield { id: field('id'), event: field('event'), data: JSON.parse(data) };
    }
  }
}

function follow(url: string, headers: Record<string, string> = {}, token = api.token('viewer')) {
  return fetch(url, {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream', ...headers },
  });
}

async function next(events: AsyncGenerator<Event>): Promise<Event> {
  const { value, done } = await events.next();
  if (done === true) throw new Error('the feed has ended');
  return value;
}

const publish = (subject: string): Promise<void> =>
  inTransaction(api.metadata.db, (transaction) =>
    appendEvents(transaction, api.scope, [
      { type: 'execution.started', subject, data: JSON.stringify({ subject }) },
    ]),
  );

describe('the feed of events', () => {
  it('tells what comes, and goes on after the last one that was seen', async () => {
    await using server = await startApi(api.options, ANY);
    await publish('before');
    const response = await follow(`${server.url}/api/v1/events`);
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const events = eventsOf(response);
    await publish('first');
    const first = await next(events);
    expect(first).toMatchObject({
      event: 'execution.started',
      data: { specversion: '1.0', subject: 'first', data: { subject: 'first' } },
    });
    await events.return(undefined);
    await publish('second');
    const again = eventsOf(
      await follow(`${server.url}/api/v1/events`, { 'last-event-id': String(first.id) }),
    );
    expect((await next(again)).data).toMatchObject({ subject: 'second' });
    await again.return(undefined);
  });

  it('is closed to more than its share, to another organisation, and to garbled ids', async () => {
    await using server = await startApi(api.options, ANY);
    const url = `${server.url}/api/v1/events`;
    const token = api.token('operator');
    const open = [await follow(url, {}, token), await follow(url, {}, token)];
    const third = await follow(url, {}, token);
    expect(third.status).toBe(429);
    expect(third.headers.get('retry-after')).toBe('10');
    for (const response of open) await response.body?.cancel();
    const garbled = await follow(url, { 'last-event-id': 'x' });
    expect(garbled.status).toBe(400);
    const theirs = eventsOf(await follow(url, { 'last-event-id': '0' }, api.token('viewer', true)));
    await publish('ours');
    await inTransaction(api.metadata.db, (transaction) =>
      appendEvents(transaction, api.other, [{ type: 't', subject: 'theirs', data: '{}' }]),
    );
    expect((await next(theirs)).data).toMatchObject({ subject: 'theirs' });
    await theirs.return(undefined);
  });

  it('ends with a problem when the token is revoked', async () => {
    await using server = await startApi(api.options, ANY);
    const made = await api.ask('POST', '/api/v1/tokens', { body: { name: 'x', role: 'viewer' } });
    const events = eventsOf(await follow(`${server.url}/api/v1/events`, {}, made.body.token));
    await revokeApiToken(api.metadata.db, api.scope, made.body.id);
    expect(await next(events)).toMatchObject({
      event: 'error',
      data: { status: 401, code: 'unauthenticated' },
    });
    expect((await events.next()).done).toBe(true);
  });
});

describe('the feed of a log', () => {
  it('tells each line once and ends with the execution', async () => {
    await using server = await startApi(api.options, ANY);
    const { pipeline } = await makePipeline(api);
    const started = await api.ask('POST', `/api/v1/pipelines/${pipeline}/execute`);
    const id: string = started.body.execution_id;
    const { db } = api.metadata;
    const line = (message: string) => ({
      line_key: message,
      timestamp: '2026-01-01T00:00:00.000Z',
      level: 'info' as const,
      layer: null,
      message,
      fields: null,
    });
    await appendLogs(db, api.scope, id, [line('one')]);
    const events = eventsOf(await follow(`${server.url}/api/v1/etl/executions/${id}/logs`));
    expect((await next(events)).data).toMatchObject({ message: 'one' });
    await appendLogs(db, api.scope, id, [line('one'), line('two')]);
    expect((await next(events)).data).toMatchObject({ message: 'two' });
    await endExecution(db, api.scope, { id, status: 'cancelled' });
    expect((await next(events)).event).toBe('end');
    expect((await events.next()).done).toBe(true);
  });
});

describe('the server', () => {
  it('says that its port is taken', async () => {
    await using server = await startApi(api.options, ANY);
    await expect(
      startApi(api.options, { host: '127.0.0.1', port: server.port }),
    ).rejects.toMatchObject({ code: 'port_in_use' });
  });

  it('ends its feeds when it stops, and answers what it was asked before', async () => {
    const server = await startApi(api.options, ANY);
    const events = eventsOf(await follow(`${server.url}/api/v1/events`));
    const asked = follow(`${server.url}/livez`);
    expect((await asked).status).toBe(200);
    await server[Symbol.asyncDispose]();
    expect((await events.next()).done).toBe(true);
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  });

  it.each([
    ['no HTTP', 'what is this\r\n\r\n', 400],
    [
      'an expectation',
      'GET / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\nconnection: close\r\n\r\n',
      417,
    ],
    ['headers without end', `GET / HTTP/1.1\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
    [
      'two lengths',
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n',
      400,
    ],
  ])('answers %s by a problem', async (_what, request, status) => {
    await using server = await startApi(api.options, ANY);
    const socket = connect(server.port, '127.0.0.1');
    socket.write(request);
    let answer = '';
    socket.on('data', (bytes) => (answer += bytes.toString()));
    await once(socket, 'close');
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/problem+json');
    expect(answer).toContain(`"status":${status}`);
  });
});

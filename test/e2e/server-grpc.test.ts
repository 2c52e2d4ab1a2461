// The server as a caller of gRPC has it, with the published .proto files alone.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startServerProcess, type ServerProcess } from '../support/control-server.ts';
import { type GrpcClient, grpcClient } from '../support/grpc-client.ts';
import { freePort } from '../support/ports.ts';
import { runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const HEALTH = 'grpc.health.v1.Health/Check';

type Json = string | number | boolean | null | { readonly [name: string]: Json };

/** As google.protobuf.Value. */
function value(json: Json): object {
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  return json === null ? { nullValue: 'NULL_VALUE' } : { structValue: struct(json) };
}

function struct(members: { readonly [name: string]: Json }): object {
  const fields = Object.entries(members).map(([name, member]) => [name, value(member)]);
  return { fields: Object.fromEntries(fields) };
}

describe('forebay server over gRPC', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fb-grpc-'));
  let running: ServerProcess;
  let client: GrpcClient;
  let admin: string;

  const ask = async (method: string, request: Record<string, unknown> = {}) =>
    client.ask(method, request, admin);
  const made = async (method: string, request: Record<string, unknown>): Promise<string> => {
    const answer = await ask(method, request);
    expect(answer).toMatchObject({ code: status.OK });
    return answer.message.id;
  };

  beforeAll(async () => {
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    client = grpcClient(await running.grpcAddress());
  });
  afterAll(async () => {
    client[Symbol.dispose]();
    await running[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  test('the first admin is made with the setup token, which is good once', async () => {
    const setUp = {
      organization: 'acme',
      email: 'admin@example.org',
      password: 'correct horse battery',
    };
    const refused = await client.ask('AccessService/SetUp', { ...setUp, token: 'fb_wrong' });
    expect(refused).toMatchObject({ code: status.UNAUTHENTICATED });
    const token = await running.setupToken();
    const session = await client.ask('AccessService/SetUp', { ...setUp, token });
    expect(session).toMatchObject({
      code: status.OK,
      message: { user: { email: setUp.email, role: 'admin' }, organization: { name: 'acme' } },
    });
    admin = session.message.token;
    running.useToken(admin);
    expect((await client.ask('AccessService/SetUp', { ...setUp, token })).code).not.toBe(status.OK);
    expect((await running.get('/api/v1/organizations')).status).toBe(200);
  });

  test('is healthy for who has no token, and lets nobody else in without one', async () => {
    expect(await client.ask(HEALTH)).toMatchObject({ message: { status: 'SERVING' } });
    expect(await client.ask('ConnectionsService/ListConnections')).toMatchObject({
      code: status.UNAUTHENTICATED,
      trail: { 'forebay-code': 'unauthenticated' },
    });
    const wrong = await client.ask('ConnectionsService/ListConnections', {}, 'fb_wrong');
    expect(wrong).toMatchObject({ code: status.UNAUTHENTICATED });
  });

  test('makes a connection once under one key, and tells it as REST does', async () => {
    const request = {
      name: 'warehouse',
      connector_type: 'duckdb',
      config: struct({ path: join(folder, 'other.duckdb') }),
      idempotency_key: 'warehouse-1',
    };
    const first = await ask('ConnectionsService/CreateConnection', request);
    expect(first).toMatchObject({ code: status.OK, head: { etag: '"1"' } });
    const { id } = first.message;
    const again = await ask('ConnectionsService/CreateConnection', request);
    expect(again).toMatchObject({ message: { id }, head: { 'idempotency-replayed': 'true' } });
    const list = await ask('ConnectionsService/ListConnections');
    expect(list.message.connections.map((one: { id: string }) => one.id)).toEqual([id]);
    const { body } = await running.get('/api/v1/connections');
    expect(body).toMatchObject({ connections: [{ id, name: 'warehouse' }] });
  });

  test('refuses bad input, other roles and versions that are gone', async () => {
    const bad = await ask('ConnectionsService/CreateConnection', {
      name: 'x',
      connector_type: 'abacus',
      config: struct({}),
    });
    expect(bad).toMatchObject({
      code: status.INVALID_ARGUMENT,
      trail: { 'forebay-code': 'request_invalid' },
      problem: { status: 400, errors: [{ in: 'body', pointer: '/connector_type' }] },
    });
    const issued = await ask('AccessService/CreateToken', { name: 'reader', role: 'viewer' });
    const viewer: string = issued.message.token;
    expect(await client.ask('ConnectionsService/ListConnections', {}, viewer)).toMatchObject({
      code: status.OK,
    });
    const { message } = await ask('ConnectionsService/ListConnections');
    const { id } = message.connections[0];
    const gone = { id, if_match: '"1"' };
    expect(await client.ask('ConnectionsService/DeleteConnection', gone, viewer)).toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    const changes = struct({ name: 'lake' });
    const changed = await ask('ConnectionsService/ChangeConnection', { ...gone, changes });
    expect(changed).toMatchObject({ message: { name: 'lake' }, head: { etag: '"2"' } });
    expect(await ask('ConnectionsService/DeleteConnection', gone)).toMatchObject({
      code: status.FAILED_PRECONDITION,
      trail: { 'forebay-code': 'version_stale' },
      problem: { status: 412 },
    });
  });

  test('docs/grpc.md shows a caller that works', async () => {
    const page = readFileSync(new URL('../../docs/grpc.md', import.meta.url), 'utf8');
    const code = /^```js\n([\s\S]*?)^```$/m.exec(page)?.[1] ?? '';
    const script = code
      .replace('node_modules/forebay/proto', 'proto')
      .replace('localhost:9004', await running.grpcAddress());
    const call = (token: string) =>
      promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
        env: { ...process.env, FOREBAY_TOKEN: token },
      });
    expect((await call(admin)).stdout).toMatch(/^[0-9a-f-]{36} lake\n$/);
    expect((await call('fb_wrong')).stderr).toContain('unauthenticated The token is not valid');
  });

  test.skipIf(server === null)('follows an execution: its log and its events', async () => {
    if (server === null) return;
    const source = await server.createDatabase();
    await server.query(
      source,
      'create table orders (id int primary key); insert into orders select generate_series(1, 100)',
    );
    const url = server.url(source);
    const pipeline_id = await made('PipelinesService/CreatePipeline', {
      name: 'orders',
      source_connection_id: await made('ConnectionsService/CreateConnection', {
        name: 'shop',
        connector_type: 'postgres',
        config: struct({ connection_string: url }),
      }),
      destination_connection_id: await made('ConnectionsService/CreateConnection', {
        name: 'bronze',
        connector_type: 'duckdb',
        config: struct({ path: join(folder, 'warehouse.duckdb') }),
      }),
      streams: [value('public.orders')],
      layers: { gold: false, models: {} },
    });
    using events = client.follow('EventsService/FollowEvents', {}, admin);
    await events.opened;
    const started = await ask('ExecutionsService/TriggerExecution', { pipeline_id });
    expect(started).toMatchObject({ code: status.OK, message: { status: 'scheduled' } });
    const id: string = started.message.execution_id;
    using log = client.follow('ExecutionsService/FollowExecutionLogs', { id }, admin);
    const lines: { id: string; data: { message: string } }[] = [];
    for (let line = await log.next(); line !== null; line = await log.next()) lines.push(line);
    expect(await log.ended).toMatchObject({ code: status.OK });
    const messages = lines.map(({ data }) => data.message);
    expect(messages).toContain('Fetched 100 records');
    using rest = client.follow(
      'ExecutionsService/FollowExecutionLogs',
      { id, last_event_id: lines[0]?.id },
      admin,
    );
    const later: string[] = [];
    for (let line = await rest.next(); line !== null; line = await rest.next())
      later.push(line.data.message);
    expect(later).toEqual(messages.slice(1));
    const types: string[] = [];
    let first = '';
    while (types.at(-1) !== 'execution.completed') {
      const event = await events.next();
      expect(event.data.specversion).toBe('1.0');
      if (first === '') first = event.id;
      types.push(event.type);
    }
    expect(types[0]).toBe('execution.started');
    using resumed = client.follow('EventsService/FollowEvents', { last_event_id: first }, admin);
    expect(await resumed.next()).toMatchObject({ type: types[1] });
    const execution = await ask('ExecutionsService/GetExecution', { id });
    expect(execution.message).toMatchObject({
      status: 'completed',
      layers: { bronze: { status: 'completed', records: 100 } },
    });
    expect(execution.message).not.toHaveProperty('error');
  });

  test('a server whose gRPC port is taken ends with 1 and says so', async () => {
    const port = (await running.grpcAddress()).split(':').at(-1) ?? '';
    const env = { FOREBAY_GRPC_PORT: port, FOREBAY_DATA_DIR: join(folder, 'second') };
    const second = await runForebay(['server', '--port', '0'], { env });
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('port_in_use');
    expect(second.stderr).toContain(`port ${port} of 127.0.0.1 is in use`);
    expect(second.stderr).toContain('--grpc-port');
    expect(second.stdout).toBe('');
    const wrong = await runForebay(['server', '--grpc-port', 'x'], { env });
    expect(wrong.code).toBe(2);
  });

  test('tells that it stops, ends what is followed, and is gone', async () => {
    const port = await freePort();
    const args = ['--data-dir', join(folder, 'third'), '--grpc-port', String(port)];
    await using own = await startServerProcess(args);
    expect(await own.grpcAddress()).toBe(`127.0.0.1:${port}`);
    using caller = grpcClient(`127.0.0.1:${port}`);
    using watching = caller.follow('grpc.health.v1.Health/Watch');
    expect(await watching.next()).toEqual({ status: 'SERVING' });
    await own.kill('SIGTERM');
    expect(await watching.next()).toEqual({ status: 'NOT_SERVING' });
    expect(await watching.ended).toMatchObject({ code: status.UNAVAILABLE });
    await eventually(async () => (await caller.ask(HEALTH)).code === status.UNAVAILABLE);
  });
});

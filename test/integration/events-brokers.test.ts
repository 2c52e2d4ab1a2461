// Publishers against brokers: `nats-server` where it is installed, and the Kafka broker that FOREBAY_TEST_KAFKA names.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect as dial, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Consumer, stringDeserializers } from '@platformatic/kafka';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { OutboxEvent } from '../../src/metadata/events-outbox.ts';
import { createKafka } from '../../src/service/events/kafka.ts';
import { createNats, type NatsOptions } from '../../src/service/events/nats.ts';
import { eventually } from '../support/wait.ts';

const NATS = [env['FOREBAY_TEST_NATS'] ?? '', '/usr/sbin/nats-server', '/usr/bin/nats-server'].find(
  (path) => path !== '' && existsSync(path),
);
const KAFKA = env['FOREBAY_TEST_KAFKA'];

const event = (subject: string, eventId: string): OutboxEvent => ({
  id: 1,
  organization_id: 'o',
  event_id: eventId,
  type: 'execution.completed',
  subject,
  data: '{"n":1}',
  created_at: '2026-01-02T03:04:05.000Z',
});
const { signal } = new AbortController();

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe.skipIf(NATS === undefined)('NATS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fb-nats-'));
  let port = 0;
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    const args = ['-js', '-sd', folder, '-a', '127.0.0.1', '-p', String(port)];
    server = spawn(NATS ?? '', [...args, '--user', 'me', '--pass', 'open sesame']);
    await eventually(async () => {
      const socket = dial(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.destroy();
      return true;
    });
  };
  const stop = async (): Promise<void> => {
    server.kill('SIGKILL');
    await once(server, 'exit');
  };
  const login = { user: 'me', pass: 'open sesame' };
  beforeAll(async () => {
    port = await freePort();
    await start();
    const admin = await connect({ servers: `nats://127.0.0.1:${port}`, ...login });
    const manager = await jetstreamManager(admin);
    await manager.streams.add({ name: 'ETL', subjects: ['etl.>'] });
    await admin.close();
  });
  afterAll(async () => {
    await stop();
    rmSync(folder, { recursive: true });
  });
  const publisher = (more: Partial<NatsOptions> = {}) =>
    createNats({
      id: 'nats',
      url: `nats://127.0.0.1:${port}`,
      subject: 'etl.events',
      user: 'me',
      password: new Secret('open sesame'),
      token: null,
      policy: 'open',
      ...more,
    });

  it('an event that is sent twice is in the stream once, across a restart of the server', async () => {
    await using nats = await publisher();
    expect(await nats.send(event('a', 'e1'), signal)).toEqual({ kind: 'delivered' });
    expect(await nats.send(event('a', 'e1'), signal)).toEqual({ kind: 'delivered' });
    await stop();
    expect(await nats.send(event('b', 'e2'), signal)).toMatchObject({
      kind: 'later',
      isDown: true,
    });
    await start();
    expect(await nats.send(event('b', 'e2'), signal)).toEqual({ kind: 'delivered' });
    const reader = await connect({ servers: `nats://127.0.0.1:${port}`, ...login });
    const consumer = await jetstream(reader).consumers.get('ETL');
    const bodies: unknown[] = [];
    for (const message of [await consumer.next(), await consumer.next()]) {
      expect(message?.headers?.get('content-type')).toMatch(/^application\/cloudevents\+json/);
      bodies.push(message?.json());
    }
    expect(bodies).toMatchObject([
      { specversion: '1.0', id: 'e1', subject: 'a', data: { n: 1 } },
      { id: 'e2', subject: 'b' },
    ]);
    expect(await consumer.next({ expires: 1000 })).toBeNull();
    await reader.close();
  });

  it('a subject that no stream takes, a wrong password and a refused address are told', async () => {
    await using lost = await publisher({ subject: 'nobody.listens' });
    expect(await lost.send(event('a', 'e3'), signal)).toMatchObject({
      error: 'no JetStream stream takes the subject nobody.listens',
    });
    await using stranger = await publisher({ password: new Secret('guessed') });
    const refused = await stranger.send(event('a', 'e3'), signal);
    expect(refused).toMatchObject({ kind: 'later', isDown: true });
    expect(JSON.stringify(refused)).not.toContain('guessed');
    await using guarded = await publisher({ policy: 'private' });
    expect(await guarded.send(event('a', 'e3'), signal)).toMatchObject({ error: 'egress_refused' });
  });
});

describe.skipIf(KAFKA === undefined)('Kafka', () => {
  it('events are in the topic, by what they are about', async () => {
    const broker = KAFKA ?? '';
    const options = { brokers: [broker], topic: 'etl.events', tls: false, sasl: null } as const;
    const subject = `execution ${Date.now()}`;
    {
      await using kafka = await createKafka({ id: 'kafka', ...options, policy: 'open' });
      for (const id of ['e1', 'e2'])
        expect(await kafka.send(event(subject, id), signal)).toEqual({ kind: 'delivered' });
    }
    const consumer = new Consumer({
      groupId: `test-${Date.now()}`,
      clientId: 'test',
      bootstrapBrokers: [broker],
      deserializers: stringDeserializers,
    });
    const stream = await consumer.consume({ topics: ['etl.events'], mode: 'earliest' });
    const found: unknown[] = [];
    for await (const { key, value, headers } of stream) {
      if (key !== subject) continue;
      expect(headers.get('content-type')).toMatch(/^application\/cloudevents\+json/);
      found.push(JSON.parse(value ?? ''));
      if (found.length === 2) break;
    }
    await stream.close();
    await consumer.close(true);
    expect(found).toMatchObject([{ id: 'e1', specversion: '1.0' }, { id: 'e2' }]);
  });

  it('a broker that is not there is told, and a refused address too', async () => {
    const options = { id: 'kafka', topic: 'etl.events', tls: false, sasl: null } as const;
    const port = await freePort();
    await using gone = await createKafka({
      ...options,
      brokers: [`127.0.0.1:${port}`],
      policy: 'open',
    });
    expect(await gone.send(event('a', 'e1'), signal)).toMatchObject({
      kind: 'later',
      isDown: true,
    });
    await using guarded = await createKafka({
      ...options,
      brokers: [KAFKA ?? ''],
      policy: 'public',
    });
    expect(await guarded.send(event('a', 'e1'), signal)).toMatchObject({ error: 'egress_refused' });
  });
});

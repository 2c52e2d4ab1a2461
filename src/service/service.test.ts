import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';

import { loadConfiguration } from './configuration/load.ts';
import { Service } from './service.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fb-service-'));
  file = join(folder, 'forebay.yaml');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Three that nobody has: of health, of metrics, and one more. */
async function freePorts(): Promise<readonly [number, number, number]> {
  const servers = [createServer(), createServer(), createServer()] as const;
  for (const server of servers) await once(server.listen(0), 'listening');
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' ? (address?.port ?? 0) : 0;
  });
  for (const server of servers) await once(server.close(), 'close');
  return [ports[0] ?? 0, ports[1] ?? 0, ports[2] ?? 0];
}

interface Settings {
  readonly health: number;
  readonly metrics: number;
  readonly streams: readonly string[];
}

/** Streams of a server that is not there, which wait for it for an hour. */
function write({ health, metrics, streams }: Settings): void {
  const system = { type: 'postgres', connection_string: 'postgres://u@127.0.0.1:1' };
  const configuration = {
    version: '1',
    service: { health_port: health, metrics_port: metrics, graceful_shutdown_timeout: '200ms' },
    streams: streams.map((id) => ({
      id,
      source: { ...system, database: 'a' },
      destination: { ...system, database: 'b' },
      retry_policy: { initial_delay: '1h', max_delay: '1h' },
    })),
  };
  writeFileSync(file, stringify(configuration));
}

interface Opened extends AsyncDisposable {
  readonly service: Service;
  readonly logged: (event: string) => readonly Readonly<Record<string, unknown>>[];
}

function open(): Opened {
  const result = loadConfiguration(file);
  if (result.kind === 'refused') throw new Error(JSON.stringify(result.problems));
  const lines: Readonly<Record<string, unknown>>[] = [];
  const service = new Service({
    file,
    loaded: result.loaded,
    untilCaughtUp: false,
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
  });
  return {
    service,
    logged: (name) => lines.filter(({ event }) => event === name),
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await service[Symbol.asyncDispose]();
    },
  };
}

function causes(logged: Opened['logged']): readonly unknown[] {
  return logged('configuration_applied').map(({ cause }) => cause);
}

async function metricsOf(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
}

test('an edit that is asked for while the service starts is taken once it has started', async () => {
  const [health, metrics] = await freePorts();
  write({ health, metrics, streams: ['a'] });
  await using opened = open();
  const { service, logged } = opened;
  const started = service.start();
  write({ health, metrics, streams: ['a', 'b'] });
  service.reload('signal');
  await started;
  await vi.waitFor(() => expect(causes(logged)).toContain('signal'), 5000);
  await vi.waitFor(() => expect(logged('stream_retry')).toHaveLength(2), 5000);
  expect(logged('configuration_applied')[0]).toMatchObject({ started: ['b'], untouched: 1 });
  expect(logged('configuration_reload_failed')).toEqual([]);
});

test('a stream that is gone from the file is gone from the metrics', async () => {
  const [health, metrics] = await freePorts();
  write({ health, metrics, streams: ['a', 'b'] });
  await using opened = open();
  await opened.service.start();
  expect(await metricsOf(metrics)).toMatch(/stream="b"/);
  write({ health, metrics, streams: ['a'] });
  opened.service.reload('signal');
  await vi.waitFor(() => expect(causes(opened.logged)).toContain('signal'), 5000);
  const text = await metricsOf(metrics);
  expect(text).toMatch(/stream="a"/);
  expect(text).not.toMatch(/stream="b"/);
});

test('a port that was taken when it was asked for is tried again with the next edit', async () => {
  const [health, metrics, wanted] = await freePorts();
  write({ health, metrics, streams: ['a'] });
  await using opened = open();
  const { service, logged } = opened;
  await service.start();
  const other = createServer();
  await once(other.listen(wanted), 'listening');
  write({ health: wanted, metrics, streams: ['a'] });
  service.reload('signal');
  await vi.waitFor(() => expect(logged('port_unavailable')).not.toEqual([]), 5000);
  expect(logged('port_unavailable')[0]).toMatchObject({ purpose: 'health', port: wanted });
  // The watch takes the edit as well; what it is about is the next one.
  await vi.waitFor(() => expect(causes(logged)).toEqual(['signal', 'file']), 5000);
  await once(other.close(), 'close');
  service.reload('signal');
  await vi.waitFor(async () => {
    const answer = await fetch(`http://127.0.0.1:${wanted}/livez`);
    expect(answer.status).toBe(200);
  }, 5000);
});

test('a file that is gone is told in health; the streams go on, and it is taken when it is there again', async () => {
  const [health, metrics] = await freePorts();
  write({ health, metrics, streams: ['a'] });
  await using opened = open();
  const { service } = opened;
  await service.start();
  const text = readFileSync(file);
  rmSync(file);
  await vi.waitFor(() => expect(service.health.configuration.error).not.toBeNull(), 5000);
  expect(service.health.streams).toMatchObject([{ id: 'a' }]);
  writeFileSync(file, text);
  await vi.waitFor(() => expect(service.health.configuration.error).toBeNull(), 5000);
});

test('a collector that does not answer holds up the end for two seconds at most', async () => {
  const [health, metrics, port] = await freePorts();
  write({ health, metrics, streams: ['a'] });
  const hole = createServer();
  await once(hole.listen(port, '127.0.0.1'), 'listening');
  vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', `http://127.0.0.1:${port}`);
  try {
    const { service, logged } = open();
    await service.start();
    await service.stop();
    await service[Symbol.asyncDispose]();
    expect(logged('telemetry_not_sent')).not.toEqual([]);
    expect(logged('service_stopped')).toHaveLength(1);
  } finally {
    vi.unstubAllEnvs();
    hole.close();
  }
});

// A DuckDB file has one user at a time: who comes second waits, and says so.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { type ServerProcess, startServerProcess } from '../support/control-server.ts';
import { dropSlots } from '../support/slots.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { eventually } from '../support/wait.ts';

const server = sharedServer(17);
const LONG = { timeoutMs: 30_000 };

describe.skipIf(server === null)('a DuckDB file that somebody else has', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-held-'));
  let source: string;
  let running: ServerProcess;
  let sourceId: string;

  const connect = async (name: string, type: string, config: object): Promise<string> => {
    const asked = { name, connector_type: type, config };
    const { body } = await running.post('/api/v1/connections', asked);
    return String(body['id']);
  };
  const made = async (name: string, more: object): Promise<string> => {
    const { status, body } = await running.post('/api/v1/pipelines', {
      name,
      source_connection_id: sourceId,
      streams: ['public.orders'],
      schedule_type: 'manual',
      ...more,
    });
    expect({ status, body }).toMatchObject({ status: 201 });
    return String(body['id']);
  };
  const executionOf = async (pipeline: string): Promise<Record<string, unknown>> => {
    const { body } = await running.get(`/api/v1/etl/executions?pipeline_id=${pipeline}`);
    return (body['executions'] as Record<string, unknown>[])[0] ?? {};
  };
  const logOf = async (execution: unknown): Promise<readonly Record<string, unknown>[]> => {
    const { body } = await running.get(`/api/v1/etl/executions/${String(execution)}/logs`);
    return body['logs'] as Record<string, unknown>[];
  };

  beforeAll(async () => {
    source = await server.createDatabase();
    await server.query(
      source,
      `create table orders (id int primary key); insert into orders values (1), (2)`,
    );
    running = await startServerProcess(['--data-dir', join(folder, 'data')]);
    await running.setUp();
    sourceId = await connect('source', 'postgres', { connection_string: server.url(source) });
  });
  afterAll(async () => {
    await running[Symbol.asyncDispose]();
    await dropSlots(server, source);
    rmSync(folder, { recursive: true });
  });

  test('by an execution of the server is waited for, and the log says for whom', async () => {
    const destination_connection_id = await connect('shared', 'duckdb', {
      path: join(folder, 'shared.duckdb'),
    });
    const kind = { kind: 'replication', destination_connection_id };
    const first = await made('first', { ...kind, schema: 'one' });
    const second = await made('second', { ...kind, schema: 'two' });
    await running.post(`/api/v1/pipelines/${first}/start`);
    const holder = await eventually(async () => {
      const execution = await executionOf(first);
      const lines = await logOf(execution['id']);
      return lines.some(({ message }) => String(message).startsWith('Phase')) ? execution : null;
    }, LONG);
    await running.post(`/api/v1/pipelines/${second}/start`);
    await eventually(async () => {
      const { id } = await executionOf(second);
      expect(await logOf(id)).toContainEqual(
        expect.objectContaining({
          level: 'info',
          message: expect.stringMatching(
            new RegExp(
              `^Waits for .*shared.duckdb: execution ${String(holder['id'])} of pipeline first`,
            ),
          ),
        }),
      );
      return true;
    }, LONG);
    for (const id of [second, first]) await running.post(`/api/v1/pipelines/${id}/stop`);
  });

  test('by another process is tried again until it is free', async () => {
    const path = join(folder, 'held.duckdb');
    const destination_connection_id = await connect('held', 'duckdb', { path });
    const holder = fork(new URL('../support/duckdb-writer.ts', import.meta.url), [path, 'hold']);
    await once(holder, 'message', { signal: AbortSignal.timeout(20_000) });
    const id = await made('patient', {
      destination_connection_id,
      layers: { silver: false, gold: false },
    });
    const ended = running.execute(id);
    const told = eventually(async () => {
      const { id: execution } = await executionOf(id);
      const lines = await logOf(execution);
      return lines.some(({ message }) => String(message).includes('Another process has'));
    }, LONG);
    await told.finally(() => holder.kill('SIGKILL'));
    expect(await ended).toMatchObject({ status: 'completed' });
  });
});

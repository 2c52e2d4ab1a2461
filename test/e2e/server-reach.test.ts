// Where connections of a server may lead: addresses and files that its operator allows.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { startServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);

describe.skipIf(server === null)('a server that is held', () => {
  if (server === null) return;
  const folder = mkdtempSync(join(tmpdir(), 'fb-reach-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('connects to no address of its own machine, and uses no file outside of the folders', async () => {
    const database = await server.createDatabase();
    await server.query(database, 'create table items (id int primary key)');
    const roots = join(folder, 'allowed');
    mkdirSync(roots);
    await using running = await startServerProcess(['--data-dir', join(folder, 'data')], {
      FOREBAY_EGRESS: 'private',
      FOREBAY_FILE_ROOTS: JSON.stringify([roots]),
    });
    await running.setUp();
    const connect = async (name: string, type: string, config: object): Promise<string> => {
      const body = { name, connector_type: type, config };
      const made = await running.post('/api/v1/connections', body);
      expect({ made }).toMatchObject({ made: { status: 201 } });
      return String(made.body['id']);
    };
    const tested = async (id: string) => {
      const { body } = await running.post(`/api/v1/connections/${id}/test`);
      const steps = body['steps'] as { step: string; status: string; message: string }[];
      return { success: body['success'], failed: steps.find(({ status }) => status === 'error') };
    };
    const url = new URL(server.url(database));
    const byAddress = await connect('address', 'postgres', { connection_string: url.href });
    url.hostname = 'localhost';
    const byName = await connect('name', 'postgres', { connection_string: url.href });
    for (const id of [byAddress, byName]) {
      expect(await tested(id)).toMatchObject({
        success: false,
        failed: { step: 'tcp', message: expect.stringContaining('may not be connected to') },
      });
    }
    const outside = await connect('outside', 'duckdb', { path: join(folder, 'outside.duckdb') });
    expect(await tested(outside)).toMatchObject({
      success: false,
      failed: { step: 'database', message: expect.stringContaining(roots) },
    });
    const within = await connect('within', 'duckdb', { path: join(roots, 'in.duckdb') });
    expect(await tested(within)).toMatchObject({ success: true });
    const catalog = await running.get(`/api/v1/connections/${byAddress}/catalog`);
    expect(catalog).toMatchObject({ status: 400, body: { code: 'egress_refused' } });

    const pipeline = await running.post('/api/v1/pipelines', {
      name: 'held',
      kind: 'sync',
      source_connection_id: byName,
      destination_connection_id: outside,
      streams: ['public.items'],
    });
    expect(pipeline.status).toBe(201);
    const ended = await running.execute(String(pipeline.body['id']));
    expect(ended).toMatchObject({ status: 'failed' });
    expect(existsSync(join(folder, 'outside.duckdb'))).toBe(false);
  });
});

// The key of the secrets is changed: secrets open with the new one, and the earlier one is needed no more.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, test } from 'vitest';

import { startServerProcess } from '../support/control-server.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);
const folder = mkdtempSync(join(tmpdir(), 'fb-key-'));
afterAll(() => rmSync(folder, { recursive: true }));

const EARLIER = Buffer.alloc(32, 1).toString('base64');
const LATER = Buffer.alloc(32, 2).toString('base64');

test.skipIf(server === null).each(['sqlite', 'postgres'])(
  'secrets outlive a change of the key, once it was told (%s)',
  async (store) => {
    if (server === null) return;
    const source = await server.createDatabase();
    const metadata = server.url(await server.createDatabase());
    const database = store === 'sqlite' ? {} : { FOREBAY_DATABASE_URL: metadata };
    const start = (environment: Readonly<Record<string, string>>) =>
      startServerProcess(['--data-dir', join(folder, store)], { ...database, ...environment });
    let token: string;
    let id: string;
    {
      await using first = await start({ FOREBAY_SECRET_KEY: EARLIER });
      token = await first.setUp();
      const { body } = await first.post('/api/v1/connections', {
        name: 'source',
        connector_type: 'postgres',
        config: { connection_string: server.url(source) },
      });
      id = String(body['id']);
    }
    await expect(start({ FOREBAY_SECRET_KEY: LATER })).rejects.toThrow('FOREBAY_SECRET_KEY_FORMER');
    {
      const keys = { FOREBAY_SECRET_KEY: LATER, FOREBAY_SECRET_KEY_FORMER: EARLIER };
      await using second = await start(keys);
      expect(second.stderr()).toContain('secrets_rewrapped');
      for (const key of [EARLIER, LATER]) expect(second.stderr()).not.toContain(key);
    }
    await using third = await start({ FOREBAY_SECRET_KEY: LATER });
    third.useToken(token);
    expect(await third.post(`/api/v1/connections/${id}/test`)).toMatchObject({
      status: 200,
      body: { success: true },
    });
  },
);

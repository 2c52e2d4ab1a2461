import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource, resolveSystem } from '../connectors/registry.ts';
import { SlabPool } from '../core/slab.ts';
import { guardSystem, type Reach } from './reach.ts';

const base = realpathSync(mkdtempSync(join(tmpdir(), 'fb-reach-')));
const roots = [join(base, 'allowed')];
const { signal } = new AbortController();
let dialled = 0;
const server = createServer((socket) => {
  dialled += 1;
  socket.destroy();
});
let port = 0;

beforeAll(async () => {
  mkdirSync(join(base, 'allowed', 'deep'), { recursive: true });
  mkdirSync(join(base, 'allowed-not'));
  writeFileSync(join(base, 'outside.duckdb'), '');
  symlinkSync(join(base, 'outside.duckdb'), join(base, 'allowed', 'link.duckdb'));
  symlinkSync(join(base, 'none.duckdb'), join(base, 'allowed', 'dangling.duckdb'));
  symlinkSync(base, join(base, 'allowed', 'up'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.close();
  rmSync(base, { recursive: true });
});

async function guard(url: string, reach: Reach): Promise<unknown> {
  return guardSystem(await resolveSystem(url), reach);
}

describe('files', () => {
  const held: Reach = { egress: 'open', fileRoots: roots };

  it.each(['a.duckdb', 'deep/a.duckdb', 'not/yet/a.duckdb', '../allowed/a.duckdb'])(
    'may be used within the folders: %s',
    async (name) => {
      await expect(guard(`duckdb:${base}/allowed/${name}`, held)).resolves.toBeDefined();
    },
  );

  it.each([
    '/outside.duckdb',
    '/allowed-not/a.duckdb',
    '/allowed/../outside.duckdb',
    '/allowed/link.duckdb',
    '/allowed/dangling.duckdb',
    '/allowed/up/outside.duckdb',
    '/allowed/up/new.duckdb',
  ])('are refused outside of them, by whatever way: %s', async (name) => {
    await expect(guard(`duckdb:${base}${name}`, held)).rejects.toMatchObject({
      code: 'file_outside_roots',
    });
  });

  it('are those of certificates, keys and sockets as well', async () => {
    const parameters = [
      'sslmode=verify-full&sslrootcert=/etc/ca.pem',
      'sslcert=/etc/c.pem&sslkey=/etc/k.pem',
      'host=/var/run/postgresql',
    ];
    for (const text of parameters) {
      const host = text.startsWith('host') ? '' : 'db.example.com';
      await expect(guard(`postgres://u@${host}/d?${text}`, held)).rejects.toMatchObject({
        code: 'file_outside_roots',
      });
    }
  });

  it('may be anywhere where no folder is named, and in memory always', async () => {
    await expect(
      guard(`duckdb:${base}/outside.duckdb`, { egress: 'open', fileRoots: null }),
    ).resolves.toBeDefined();
    await expect(guard('duckdb::memory:', held)).resolves.toBeDefined();
  });
});

describe('hosts', () => {
  it.each(['127.0.0.1', '[::1]', '169.254.169.254', '[::ffff:127.0.0.1]'])(
    'that are refused addresses are not connected to: %s',
    async (host) => {
      const url = `postgres://u:p@${host}:${port}/d`;
      await expect(guard(url, { egress: 'private', fileRoots: null })).rejects.toMatchObject({
        code: 'egress_refused',
      });
    },
  );

  it.each(['localhost', '2130706433', '0x7f.1', '0'])(
    'that are names are judged when they are dialled: %s',
    async (host) => {
      const url = `postgres://u:p@${host}:${port}/d?sslmode=prefer`;
      const system = guardSystem(await resolveSystem(url), { egress: 'private', fileRoots: null });
      const context = {
        signal,
        slabs: new SlabPool(0),
        memoryBytes: 1024 * 1024,
        options: {},
        notice: () => {},
      };
      await expect(openSource(system, context)).rejects.toMatchObject({ code: 'egress_refused' });
      expect(dialled).toBe(0);
    },
  );
});

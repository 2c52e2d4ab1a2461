// Temporal's own development server, on a free port, with its database in a temporary folder.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

import { cacheDir } from './server-binaries.ts';
import { eventually } from './wait.ts';

export const temporalVersion = '1.9.1';
export const cachedTemporal = join(cacheDir, `temporal-${temporalVersion}`, 'temporal');

export interface TemporalServer extends AsyncDisposable {
  readonly address: string;
}

/** Null where it is not installed. */
export function findTemporal(): string | null {
  const file = env['FOREBAY_TEST_TEMPORAL'] ?? cachedTemporal;
  return existsSync(file) ? file : null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.destroy();
  return true;
}

export async function startTemporal(
  namespaces: readonly string[] = [],
): Promise<TemporalServer | null> {
  const file = findTemporal();
  if (file === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'fb-temporal-'));
  const port = await freePort();
  const options = [
    '--headless',
    '--port',
    String(port),
    '--db-filename',
    join(folder, 'temporal.db'),
    ...namespaces.flatMap((name) => ['--namespace', name]),
  ];
  const child = spawn(file, ['server', 'start-dev', ...options, '--log-level', 'error'], {
    stdio: 'ignore',
  });
  const exit = once(child, 'exit');
  await eventually(() => answers(port), { timeoutMs: 30_000 });
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exit;
      rmSync(folder, { recursive: true });
    },
  };
}

// Temporal's own development server, on a free port, with its database in a temporary folder.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env } from 'node:process';

import { freePort } from './ports.ts';
import { cacheDir } from './server-binaries.ts';
import { eventually } from './wait.ts';

export const temporalVersion = '1.9.1';
export const cachedTemporal = join(cacheDir, `temporal-${temporalVersion}`, 'temporal');

export interface TemporalServer extends AsyncDisposable {
  readonly address: string;
  /** Where its database and its log are. */
  readonly folder: string;
  /** As a machine that fails. */
  kill(): Promise<void>;
  /** With the same address and the same database. */
  restart(): Promise<void>;
}

/** Null where it is not installed. */
export function findTemporal(): string | null {
  const file = env['FOREBAY_TEST_TEMPORAL'] ?? cachedTemporal;
  return existsSync(file) ? file : null;
}

/** Fails while the server does not answer as Temporal does, with the namespaces that it was told to have. */
async function isReady(address: string, namespaces: readonly string[]): Promise<boolean> {
  const { Connection } = await import('@temporalio/client');
  const connection = await Connection.connect({ address, connectTimeout: 2000 });
  try {
    for (const namespace of ['default', ...namespaces]) {
      await connection.workflowService.describeNamespace({ namespace });
    }
    return true;
  } finally {
    await connection.close();
  }
}

interface Launched {
  readonly address: string;
  readonly child: ChildProcess;
}

interface Program {
  readonly file: string;
  readonly folder: string;
  readonly namespaces: readonly string[];
}

async function launch(
  { file, folder, namespaces }: Program,
  port: number,
): Promise<Launched | string> {
  const options = [
    '--headless',
    '--port',
    String(port),
    '--db-filename',
    join(folder, 'temporal.db'),
    ...namespaces.flatMap((name) => ['--namespace', name]),
  ];
  const log = join(folder, 'server.log');
  const out = openSync(log, 'a');
  const child = spawn(file, ['server', 'start-dev', ...options, '--log-level', 'error'], {
    stdio: ['ignore', out, out],
  });
  closeSync(out);
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const address = `127.0.0.1:${port}`;
  await eventually(async () => hasEnded() || (await isReady(address, namespaces)), {
    timeoutMs: 60_000,
  });
  return hasEnded() ? readFileSync(log, 'utf8') : { address, child };
}

/** The ports of its inner services are of its own choice, and it ends where one of them is taken meanwhile. */
async function launchAtLast(program: Program, port: number | null = null): Promise<Launched> {
  const logs: string[] = [];
  while (logs.length < 3) {
    const launched = await launch(program, port ?? (await freePort()));
    if (typeof launched !== 'string') return launched;
    logs.push(launched);
  }
  throw new Error(`Temporal did not start:\n${logs.join('\n')}`);
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

export async function startTemporal(
  namespaces: readonly string[] = [],
): Promise<TemporalServer | null> {
  const file = findTemporal();
  if (file === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'fb-temporal-'));
  const program = { file, folder, namespaces };
  let { address, child } = await launchAtLast(program);
  return {
    address,
    folder,
    kill: () => end(child, 'SIGKILL'),
    restart: async () => {
      await end(child, 'SIGKILL');
      ({ address, child } = await launchAtLast(program, Number(address.split(':')[1])));
    },
    async [Symbol.asyncDispose]() {
      await end(child, 'SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}

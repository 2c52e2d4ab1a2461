/** A real PostgreSQL server on loopback in a temporary folder. It ends with this process, however that ends. */
import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ForebayError } from '../../core/errors.ts';
import { serverPrograms, type ServerUser, serverUser } from './server-files.ts';

export interface DemoServer extends AsyncDisposable {
  readonly url: (database: string) => string;
  /** How to start it again on the kept data. */
  readonly startCommand: string;
}

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  wal_level: 'logical',
  max_wal_senders: '10',
  max_replication_slots: '10',
  shared_buffers: '128MB',
  max_wal_size: '2GB',
  synchronous_commit: 'off',
};

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

/**
 * Waits until our end of its stdin closes, which happens even when we are killed, and then ends the server by
 * its process id, if the data folder still says that this is the server.
 */
const GUARD = `
const { readFileSync, rmSync } = require('node:fs');
const [pid, data, folder] = process.argv.slice(1);
process.stdin.resume().on('end', () => {
  const alive = () => { try { return readFileSync(data + '/postmaster.pid', 'utf8').split('\\n')[0] === pid; } catch { return false; } };
  if (alive()) process.kill(Number(pid), 'SIGINT');
  const started = Date.now();
  const timer = setInterval(() => {
    if (alive() && Date.now() - started < 20000) return;
    clearInterval(timer);
    if (folder !== '') rmSync(folder, { recursive: true, force: true });
  }, 100);
});`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

function environment(): NodeJS.ProcessEnv {
  const { PATH, SystemRoot, TEMP } = process.env;
  return { PATH, SystemRoot, TEMP, LC_ALL: 'C', TZ: 'UTC' };
}

function notStarted(what: string, cause: unknown): ForebayError {
  const lines = String(cause).trim().split('\n');
  return new ForebayError('unreachable', {
    message: `The demo's PostgreSQL server ${what}`,
    why: lines.slice(-3).join(' '),
    fix: 'See the reason above; or use your own server: forebay replicate <source> duckdb:copy.duckdb',
  });
}

interface Launch {
  readonly bin: string;
  readonly data: string;
  readonly folder: string;
  readonly user: ServerUser | null;
}

async function initialise({ bin, data, folder, user }: Launch, password: string): Promise<void> {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== null) chownSync(passwordFile, user.uid, user.gid);
  const args = ['--pgdata', data, '--username', 'postgres', '--pwfile', passwordFile];
  args.push('--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync');
  try {
    await promisify(execFile)(join(bin, 'initdb'), args, {
      cwd: folder,
      env: environment(),
      ...user,
    });
  } catch (error) {
    throw notStarted('could not be initialised', error instanceof Error ? error.message : error);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  const lines = Object.entries(SETTINGS).map(([name, value]) => `${name} = '${value}'\n`);
  const sockets = process.platform === 'win32' ? '' : folder;
  lines.push(`unix_socket_directories = '${sockets}'\n`);
  writeFileSync(join(data, 'postgresql.conf'), lines.join(''), { flag: 'a' });
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The eighth line of postmaster.pid is the server's own word that it takes connections. */
function isReady(data: string): boolean {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[7]?.trim() === 'ready';
  } catch {
    return false;
  }
}

async function launch({ bin, data, folder, user }: Launch, port: number): Promise<ChildProcess> {
  const logFile = join(folder, 'server.log');
  const log = openSync(logFile, 'a');
  const options: SpawnOptions = {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', log, log],
    // A process group of its own: Ctrl-C must not end the server before the pipeline has drained.
    detached: process.platform !== 'win32',
    windowsHide: true,
    ...user,
  };
  const child = spawn(join(bin, 'postgres'), ['-D', data, '-p', String(port)], options);
  child.on('error', () => {});
  closeSync(log);
  const deadline = performance.now() + START_LIMIT_MS;
  while (!isReady(data)) {
    if (child.pid === undefined || hasEnded(child) || performance.now() > deadline) {
      child.kill('SIGQUIT');
      throw notStarted('did not start', readFileSync(logFile, 'utf8'));
    }
    await delay(25);
  }
  return child;
}

function startGuard(pid: number, data: string, folder: string): ChildProcess {
  const guard = spawn(process.execPath, ['-e', GUARD, '--', String(pid), data, folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    windowsHide: true,
  });
  guard.on('error', () => {});
  guard.unref();
  return guard;
}

async function stop(server: ChildProcess): Promise<void> {
  if (hasEnded(server)) return;
  const ended = once(server, 'exit');
  server.kill('SIGINT');
  const timer = setTimeout(() => server.kill('SIGQUIT'), STOP_LIMIT_MS);
  await ended;
  clearTimeout(timer);
}

function asUser(user: ServerUser | null): string {
  if (user === null) return '';
  return `setpriv --reuid=${user.uid} --regid=${user.gid} --clear-groups `;
}

/** Starts a server with its data below `folder`, which is removed at the end unless it is to be kept. */
export async function startDemoServer(folder: string, keep: boolean): Promise<DemoServer> {
  const user = serverUser();
  if (user !== null) chownSync(folder, user.uid, user.gid);
  chmodSync(folder, 0o711);
  const programs = serverPrograms(folder, user);
  const details: Launch = { bin: join(programs, 'bin'), data: join(folder, 'data'), folder, user };
  const password = randomBytes(12).toString('hex');
  await initialise(details, password);
  const port = await freePort();
  const child = await launch(details, port);
  const guard = startGuard(child.pid ?? 0, details.data, keep ? '' : folder);
  return {
    url: (database) => `postgres://postgres:${password}@127.0.0.1:${port}/${database}`,
    startCommand: `${asUser(user)}${join(details.bin, 'postgres')} -D ${details.data} -p ${port}`,
    [Symbol.asyncDispose]: async () => {
      await stop(child);
      guard.kill('SIGKILL');
    },
  };
}

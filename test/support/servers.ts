// Real PostgreSQL servers on loopback and a Unix socket, in temporary folders.
import { randomBytes } from 'node:crypto';
import { type ChildProcess, execFile, spawn, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

import { freePort } from './ports.ts';
import { connectionOf, type ServerConnection, type ServerDetails } from './server-connection.ts';
import type { ServerSpec } from './server-binaries.ts';
import { eventually } from './wait.ts';

export {
  availableServers,
  cacheDir,
  findServer,
  missingServers,
  postgresMajors,
  type PostgresMajor,
  type ServerSpec,
} from './server-binaries.ts';

/** 'fast' ends sessions and writes a checkpoint; 'immediate' is a crash: the next start recovers from the log. */
export type StopMode = 'fast' | 'immediate';

export interface RunningServer extends ServerConnection, AsyncDisposable {
  /** The postmaster's process id; throws while the server is stopped. */
  readonly pid: number;
  readonly logFile: string;
  /** Ends the server and keeps its data; resolves once the process is gone. */
  stop(mode?: StopMode): Promise<void>;
  /** Starts a stopped server again, on the same port and data. */
  start(): Promise<void>;
  restart(mode?: StopMode): Promise<void>;
  /** Appends to postgresql.conf; they hold from the next restart, or from `select pg_reload_conf()`. */
  configure(settings: Record<string, string>): void;
}

export interface StartOptions {
  readonly settings?: Record<string, string>;
  /** Starts from a data folder made elsewhere (pg_basebackup) instead of an empty one. */
  readonly dataDir?: string;
  /** The superuser's password in `dataDir`. */
  readonly password?: string;
}

const defaultSettings: Record<string, string> = {
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_connections: '100',
  shared_buffers: '256MB',
  // The log of changes that tests compare with tells transactions by their commit time.
  track_commit_timestamp: 'on',
};
const folderPrefix = 'fb-pg-';
const stopSignal = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
const run = promisify(execFile);

/** PostgreSQL refuses to run as root, so under root it gets an unprivileged user that exists everywhere. */
export function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const [, , uid, gid] =
    users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody') ?? [];
  if (uid === undefined || gid === undefined) throw new Error('no user postgres or nobody here');
  return { uid: Number(uid), gid: Number(gid) };
}

/** A new folder below the temporary folder that the server's user owns; removed when this process ends. */
export function makeServerFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), folderPrefix));
  writeFileSync(join(dir, 'owner'), String(process.pid));
  const user = serverUser();
  if (user !== null) chownSync(dir, user.uid, user.gid);
  return dir;
}

/**
 * Removes folders whose owner died without cleaning up. A postmaster ends by itself
 * within a minute of losing its lock file, so no foreign process id is signalled.
 */
export function removeStaleServers(): void {
  for (const name of readdirSync(tmpdir())) {
    const dir = join(tmpdir(), name);
    if (!name.startsWith(folderPrefix) || !existsSync(join(dir, 'owner'))) continue;
    if (!isAlive(Number(readFileSync(join(dir, 'owner'), 'utf8')))) {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives and is another user's.
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}

function asServerUser(cwd: string): SpawnOptions {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' };
  return { cwd, env, ...serverUser() };
}

async function initialise(spec: ServerSpec, folder: string, password: string): Promise<string> {
  const dataDir = join(folder, 'data');
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, `${password}\n`);
  const { cwd, env, uid, gid } = asServerUser(folder);
  const args = ['--pgdata', dataDir, '--username', 'postgres', '--pwfile', passwordFile];
  args.push('--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C');
  await run(join(spec.binDir, 'initdb'), args, {
    cwd,
    env,
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  });
  return dataDir;
}

function settingLines(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`)
    .join('');
}

/** The eighth line of postmaster.pid is the postmaster's own word that it takes connections. */
function isReady(dataDir: string, pid: number | undefined): boolean {
  const file = join(dataDir, 'postmaster.pid');
  if (!existsSync(file)) return false;
  const lines = readFileSync(file, 'utf8').split('\n');
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}

async function launch(spec: ServerSpec, details: ServerDetails, log: string) {
  const out = openSync(log, 'a');
  const child = spawn(join(spec.binDir, 'postgres'), ['-D', details.dataDir], {
    ...asServerUser(details.socketDir),
    stdio: ['ignore', out, out],
  });
  closeSync(out);
  const killAtExit = () => child.kill('SIGQUIT');
  process.once('exit', killAtExit);
  child.once('exit', () => process.removeListener('exit', killAtExit));
  await eventually(() => isReady(details.dataDir, child.pid) || hasEnded(child), {
    timeoutMs: 60_000,
  });
  if (hasEnded(child)) {
    throw new Error(`PostgreSQL ${spec.major} did not start:\n${readFileSync(log, 'utf8')}`);
  }
  return child;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Starts a server of its own. Most tests want a fresh database on a shared one: see shared-servers.ts. */
export async function startServer(
  spec: ServerSpec,
  options: StartOptions = {},
): Promise<RunningServer> {
  const socketDir = makeServerFolder();
  const password = options.password ?? randomBytes(12).toString('hex');
  const dataDir = options.dataDir ?? (await initialise(spec, socketDir, password));
  const details: ServerDetails = {
    major: spec.major,
    binDir: spec.binDir,
    port: await freePort(),
    socketDir,
    dataDir,
    password,
  };
  const logFile = join(socketDir, 'server.log');
  const configure = (settings: Record<string, string>) => {
    writeFileSync(join(dataDir, 'postgresql.conf'), settingLines(settings), { flag: 'a' });
  };
  configure({
    ...defaultSettings,
    ...options.settings,
    port: String(details.port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDir,
  });
  let child: ChildProcess | null = await launch(spec, details, logFile);

  const start = async () => {
    if (child === null || hasEnded(child)) child = await launch(spec, details, logFile);
  };
  const stop = async (mode: StopMode = 'fast') => {
    const running = child;
    child = null;
    if (running === null || hasEnded(running)) return;
    const ended = once(running, 'exit');
    running.kill(stopSignal[mode]);
    await ended;
  };
  return {
    ...connectionOf(details),
    logFile,
    get pid() {
      if (child?.pid === undefined) throw new Error('the server is stopped');
      return child.pid;
    },
    start,
    stop,
    configure,
    restart: async (mode) => {
      await stop(mode);
      await start();
    },
    [Symbol.asyncDispose]: async () => {
      await stop('immediate');
      rmSync(socketDir, { recursive: true, force: true });
    },
  };
}

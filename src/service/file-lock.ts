/** One service per configuration file on a machine. */
import { createHash } from 'node:crypto';
import { linkSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ForebayError } from '../core/errors.ts';

/** Which process: the start time tells it from a later one with the same number. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    // No such file system here, or no such process; `isAlive` tells which.
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Another user's process may not be signalled, and is there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

function isHeld(holder: string): boolean {
  const [pidText = '', start = ''] = holder.split(' ');
  const pid = Number(pidText);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return false;
  const now = startOf(pid);
  return now === null || now === start;
}

/** Made beside and linked: it is never there without its content. */
function create(path: string, content: string): boolean {
  const own = `${path}.${process.pid}`;
  writeFileSync(own, content, { mode: 0o600 });
  try {
    linkSync(own, path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Under the name that it was given (what a link leads to may change while it is held), and under its own. */
function lockPaths(file: string): readonly string[] {
  const names = [join(realpathSync(dirname(file)), basename(file)), realpathSync(file)];
  return [...new Set(names)].map((name) => {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 24);
    return join(tmpdir(), `forebay-${userInfo().uid}-${hash}.lock`);
  });
}

function readHolder(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Given back in the meantime.
    return '';
  }
}

/** Takes a stale lock away; one that somebody else has made in the meantime is put back. */
function clear(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale`;
  try {
    renameSync(path, aside);
    if (readHolder(aside) !== stale) linkSync(aside, path);
  } catch {
    // Somebody else took it away first, or has made a new one: the next try sees which.
  } finally {
    rmSync(aside, { force: true });
  }
}

/** A lock that stays after this many tries to take it away belongs to somebody whom we cannot see. */
const TRIES = 20;

function take(path: string, file: string): Disposable {
  const own = `${process.pid} ${startOf(process.pid) ?? ''}`;
  for (let tries = 1; ; tries += 1) {
    if (create(path, own)) {
      // It may have been cleaned away while it was held, and be another process's by now.
      const give = (): void => {
        if (readHolder(path) === own) rmSync(path, { force: true });
      };
      return { [Symbol.dispose]: give };
    }
    const holder = readHolder(path);
    if (isHeld(holder) || tries === TRIES) {
      throw new ForebayError('service_running', {
        message: `another service runs ${file}`,
        why: `process ${holder.split(' ')[0] ?? ''} holds ${path}`,
      });
    }
    clear(path, holder);
  }
}

export interface FileLock extends Disposable {
  /** Why there is none: a machine without a folder for temporary files still runs a service. Null if it is held. */
  readonly missing: string | null;
}

/** Fails with `service_running` while another process holds the file. A lock whose process is gone is taken over. */
export function lockFile(file: string): FileLock {
  using taken = new DisposableStack();
  try {
    for (const path of lockPaths(file)) taken.use(take(path, file));
  } catch (error) {
    if (error instanceof ForebayError) throw error;
    const missing = error instanceof Error ? error.message : String(error);
    return { missing, [Symbol.dispose]: () => {} };
  }
  const held = taken.move();
  return { missing: null, [Symbol.dispose]: () => held.dispose() };
}

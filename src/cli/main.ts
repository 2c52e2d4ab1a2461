#!/usr/bin/env node
// Nothing is imported before the version check: older versions cannot even parse the rest.
import process from 'node:process';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  process.stderr.write(
    `forebay: Node.js 22.15 or later is needed, this is ${process.versions.node}.\n` +
      '  to do  Install a current version from https://nodejs.org, or run it through npm: npx --package=node@24 --package=forebay forebay\n',
  );
  process.exitCode = 3;
} else {
  const { runProcess } = await import('./process.ts');
  await runProcess(process.argv.slice(2));
}

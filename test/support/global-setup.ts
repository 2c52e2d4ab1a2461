// Starts one server per major for the whole test run and tells the tests where they are.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, stderr } from 'node:process';

import type { TestProject } from 'vitest/node';

import type { ServerDetails } from './server-connection.ts';
import {
  availableServers,
  missingServers,
  removeStaleServers,
  type RunningServer,
  startServer,
} from './servers.ts';
import { howToInstall, runDirVariable } from './server-binaries.ts';
import { findSchemathesis } from './schemathesis.ts';
import { findTemporal } from './temporal-server.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    postgresServers: ServerDetails[];
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = missingServers();
  if (missing.length > 0) {
    const message = `PostgreSQL ${missing.join(', ')} not found: ${howToInstall}`;
    if (env['FOREBAY_TEST_REQUIRE'] === 'all') throw new Error(message);
    stderr.write(`\n*** TESTS SKIPPED: ${message} ***\n\n`);
  }
  if (findTemporal() === null) {
    const message = 'Temporal not found: `npm run test:setup` installs it';
    if (env['FOREBAY_TEST_REQUIRE'] === 'all') throw new Error(message);
    stderr.write(`\n*** TESTS SKIPPED: ${message} ***\n\n`);
  }
  if (findSchemathesis() === null) {
    const message = 'Schemathesis not found: `npm run test:setup` installs it';
    if (env['FOREBAY_TEST_REQUIRE'] === 'all') throw new Error(message);
    stderr.write(`\n*** TESTS SKIPPED: ${message} ***\n\n`);
  }
  removeStaleServers();
  const runDir = mkdtempSync(join(tmpdir(), 'fb-run-'));
  env[runDirVariable] = runDir;
  // The sources are compiled once and not by each of some thousand processes.
  env['NODE_COMPILE_CACHE'] = join(runDir, 'compiled');
  const servers = await Promise.all(availableServers().map((spec) => startServer(spec)));
  project.provide('postgresServers', servers.map(detailsOf));
  return async () => {
    await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    // Those of test processes that were killed.
    removeStaleServers();
    rmSync(runDir, { recursive: true, force: true });
  };
}

function detailsOf(server: RunningServer): ServerDetails {
  const { major, binDir, port, socketDir, dataDir, password } = server;
  return { major, binDir, port, socketDir, dataDir, password };
}

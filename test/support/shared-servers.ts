// The servers that the global setup started, for tests. A test takes a fresh database on one of them.
import { describe, inject, test } from 'vitest';

import type {} from './global-setup.ts';
import {
  findServer,
  type PostgresMajor,
  postgresMajors,
  type ServerSpec,
} from './server-binaries.ts';
import { connectionOf, type ServerConnection } from './server-connection.ts';

/** Null where that major is not installed. */
export function sharedServer(major: PostgresMajor): ServerConnection | null {
  const details = inject('postgresServers').find((server) => server.major === major);
  return details === undefined ? null : connectionOf(details);
}

/** Runs a block of tests once per major, each on the shared server; one that is missing is skipped. */
export function describeEachServer(
  name: string,
  tests: (server: ServerConnection) => void,
  majors: readonly PostgresMajor[] = postgresMajors,
): void {
  for (const major of majors) {
    const server = sharedServer(major);
    if (server === null) describeMissing(name, major);
    else
      describe(`${name} (PostgreSQL ${major})`, () => {
        tests(server);
      });
  }
}

/** A block of tests that start servers of their own, to stop, crash or fork them. */
export function describeWithServer(
  name: string,
  major: PostgresMajor,
  tests: (spec: ServerSpec) => void,
): void {
  const spec = findServer(major);
  if (spec === null) describeMissing(name, major);
  else
    describe(`${name} (PostgreSQL ${major})`, () => {
      tests(spec);
    });
}

function describeMissing(name: string, major: PostgresMajor): void {
  describe.skip(`${name} (PostgreSQL ${major})`, () => {
    test.skip('needs the server', () => {});
  });
}

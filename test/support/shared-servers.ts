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
import { dropSlots } from './slots.ts';

/** Databases that this file has made, by their server. */
const made = new Map<ServerConnection, string[]>();

/** Null where that major is not installed. */
export function sharedServer(major: PostgresMajor): ServerConnection | null {
  const details = inject('postgresServers').find((server) => server.major === major);
  if (details === undefined) return null;
  const server = connectionOf(details);
  const databases: string[] = [];
  made.set(server, databases);
  return {
    ...server,
    createDatabase: async () => {
      const database = await server.createDatabase();
      databases.push(database);
      return database;
    },
  };
}

/** What pipelines keep at their source would keep others from it: a server has so many slots, and the log of each. */
export async function releaseSlots(): Promise<void> {
  for (const [server, databases] of made) {
    if (databases.length === 0) continue;
    await dropSlots(server, ...databases);
  }
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

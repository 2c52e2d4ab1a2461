// The two stores of the metadata database: a block of tests runs on each, on a database of its own.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { type Metadata, type MetadataDb, openMetadata } from '../../src/metadata/database.ts';
import { createOrganization } from '../../src/metadata/organizations.ts';
import { type OrganizationScope, scopeOf } from '../../src/metadata/scope.ts';
import { parseWrappingKey, type WrappingKeys } from '../../src/metadata/wrapping-keys.ts';
import { sharedServer } from './shared-servers.ts';

export interface Store {
  readonly dialect: Metadata['dialect'];
  readonly db: MetadataDb;
  /** Another set of connections to the same database. */
  again(): Promise<Metadata>;
  /** An organisation that no other test has. */
  organization(): Promise<OrganizationScope>;
}

/** `of` is called inside tests. */
export function describeEachStore(name: string, tests: (of: () => Store) => void): void {
  describe(`${name} (SQLite)`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'fb-store-'));
    afterAll(() => rmSync(folder, { recursive: true }));
    tests(opened(() => openMetadata({ kind: 'sqlite', path: join(folder, 'forebay.db') })));
  });
  const server = sharedServer(17);
  describe.skipIf(server === null)(`${name} (PostgreSQL)`, () => {
    if (server === null) {
      test.skip('needs the server', () => {});
      return;
    }
    let database = '';
    beforeAll(async () => {
      database = await server.createDatabase();
    });
    afterAll(() => server.dropDatabase(database));
    tests(opened(() => openMetadata({ kind: 'postgres', url: new Secret(server.url(database)) })));
  });
}

function opened(open: () => Promise<Metadata>): () => Store {
  let metadata: Metadata | null = null;
  let organizations = 0;
  beforeAll(async () => {
    metadata = await open();
  });
  afterAll(() => metadata?.[Symbol.asyncDispose]());
  return () => {
    if (metadata === null) throw new Error('asked for before it was opened');
    const { db, dialect } = metadata;
    const organization = async (): Promise<OrganizationScope> => {
      organizations += 1;
      return scopeOf((await createOrganization(db, `organisation ${organizations}`)).id);
    };
    return { db, dialect, again: open, organization };
  };
}

export const testKeys: WrappingKeys = {
  current: parseWrappingKey('11'.repeat(32), 'a test'),
  former: [],
};

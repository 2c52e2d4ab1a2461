// What the conformance suite needs of each connector: a system to try it on, and a look inside by SQL.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { CONNECTORS } from '../../src/connectors/registry.ts';
import type {
  Connector,
  ConnectorContext,
  Destination,
  Source,
  SystemAddress,
} from '../../src/core/connector.ts';
import { SlabPool } from '../../src/core/slab.ts';
import { runSql } from './duckdb-fixture.ts';
import { dropSource } from './replication.ts';
import { postgresMajors } from './server-binaries.ts';
import { sharedServer } from './shared-servers.ts';

const MIB = 1024 * 1024;

/** A fresh system of one connector. */
export interface Subject extends AsyncDisposable {
  readonly url: string;
  readonly address: SystemAddress;
  readonly context: ConnectorContext;
  readonly slabs: SlabPool;
  source(): Promise<Source>;
  destination(): Promise<Destination>;
  /** Statements in the connector's dialect; where a file has one user, call it while nothing is open. */
  sql(...statements: readonly string[]): Promise<void>;
  /** Ends what `source` and `destination` opened. */
  close(): Promise<void>;
}

interface SubjectKind {
  readonly open: () => Promise<Subject>;
  /** Null if it can be tried here. */
  readonly missing: () => string | null;
  /** URLs that name no system, each for one reason. */
  readonly badUrls: readonly string[];
  /** Well formed, but nothing answers or exists there. */
  readonly deadUrl: { readonly url: string; readonly code: string };
  readonly secretUrl: { readonly url: string; readonly secret: string };
  /** Its changes have no `UNCHANGED_CELL`, so that it is never asked to look rows up. */
  readonly sendsAllValues?: true;
}

export const capabilities = [
  'snapshot',
  'frames',
  'changes',
  'upsert',
  'append',
  'replace',
  'dead letters',
] as const;
export type Capability = (typeof capabilities)[number];

/** Why a connector lacks something; what is neither here nor in the connector fails the suite. */
export const absent: Readonly<Record<string, Partial<Record<Capability, string>>>> = {
  postgres: {},
  duckdb: {
    frames: 'DuckDB has no bulk format that another DuckDB takes unchanged over a stream.',
    changes: 'DuckDB keeps no log that tells committed changes to others.',
  },
};

async function subjectOf(
  name: string,
  system: { url: string; sql: Subject['sql']; dispose: () => Promise<void> },
): Promise<Subject> {
  const entry = CONNECTORS[name];
  if (entry === undefined) throw new RangeError(`no connector ${name}`);
  const connector: Connector = await entry.load();
  const address = await entry.address(system.url);
  const slabs = new SlabPool(16 * MIB);
  const context: ConnectorContext = {
    signal: new AbortController().signal,
    slabs,
    memoryBytes: 256 * MIB,
    options: {},
    notice: () => {},
  };
  let opened: AsyncDisposable[] = [];
  const close = async (): Promise<void> => {
    const ending = opened.toReversed();
    opened = [];
    for (const item of ending) await item[Symbol.asyncDispose]();
  };
  const keep = async <T extends AsyncDisposable>(opening: Promise<T> | undefined): Promise<T> => {
    if (opening === undefined) throw new TypeError(`${name} lacks this side`);
    const item = await opening;
    opened.push(item);
    return item;
  };
  return {
    url: system.url,
    address,
    context,
    slabs,
    source: () => keep(connector.openSource?.(address, context)),
    destination: () => keep(connector.openDestination?.(address, context)),
    sql: system.sql,
    close,
    [Symbol.asyncDispose]: async () => {
      await close();
      await system.dispose();
    },
  };
}

function anyServer() {
  return postgresMajors.toReversed().flatMap((major) => sharedServer(major) ?? [])[0] ?? null;
}

async function openPostgres(): Promise<Subject> {
  const server = anyServer();
  if (server === null) throw new Error('no PostgreSQL server');
  const database = await server.createDatabase();
  return subjectOf('postgres', {
    url: server.url(database),
    sql: async (...statements) => {
      await using client = await server.connect(database);
      for (const statement of statements) await client.query(statement);
    },
    dispose: () => dropSource(server, database),
  });
}

async function openDuckdb(): Promise<Subject> {
  const dir = mkdtempSync(join(tmpdir(), 'fb-conformance-'));
  const path = join(dir, 'subject.duckdb');
  await runSql(path, ['select 1']);
  return subjectOf('duckdb', {
    url: `duckdb:${path}`,
    sql: async (...statements) => {
      await runSql(path, statements);
    },
    dispose: async () => {
      rmSync(dir, { recursive: true, force: true });
    },
  });
}

export const subjectKinds: Readonly<Record<string, SubjectKind>> = {
  postgres: {
    open: openPostgres,
    missing: () => (anyServer() === null ? 'needs a PostgreSQL server' : null),
    badUrls: [
      'postgres://host:notaport/db',
      'postgres://u@host:99999/db',
      'postgres://u@host/db?sslmode=maybe',
      'postgres://u@host/db?nosuchoption=1',
      'postgres://u:%zz@host/db',
    ],
    deadUrl: { url: 'postgres://u:pw@127.0.0.1:1/db', code: 'unreachable' },
    secretUrl: { url: 'postgres://ada:hunter2%21@db.example:5433/shop', secret: 'hunter2' },
  },
  duckdb: {
    open: openDuckdb,
    missing: () => null,
    badUrls: ['duckdb:'],
    deadUrl: { url: 'duckdb:/nowhere/at/all.duckdb', code: 'unreachable' },
    secretUrl: { url: 'duckdb:shop.duckdb', secret: '://' },
  },
};

export function contextOf(): ConnectorContext {
  return {
    signal: new AbortController().signal,
    slabs: new SlabPool(16 * MIB),
    memoryBytes: 64 * MIB,
    options: {},
    notice: () => {},
  };
}

/** Runs tests once per connector of the registry that has the capability. */
export function describeEachConnector(
  title: string,
  capability: Capability | null,
  tests: (kind: SubjectKind, name: string) => void,
): void {
  for (const name of Object.keys(CONNECTORS)) {
    const kind = subjectKinds[name];
    const reason = capability === null ? undefined : absent[name]?.[capability];
    const missing = kind?.missing() ?? reason ?? null;
    if (kind === undefined) {
      test(`${name}: ${title}`, () => {
        expect.fail(`the connector ${name} is not in the conformance suite`);
      });
    } else if (missing !== null) {
      describe.skip(`${name}: ${title} (${missing})`, () => {
        test.skip(missing, () => {});
      });
    } else {
      describe(`${name}: ${title}`, () => {
        tests(kind, name);
      });
    }
  }
}

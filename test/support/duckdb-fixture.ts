// A DuckDB file of its own per test, the connector on it, and a look inside by SQL.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connector } from '../../src/connectors/duckdb/connector.ts';
import { parseAddress } from '../../src/connectors/duckdb/config.ts';
import { Database, type SqlValue } from '../../src/connectors/duckdb/database.ts';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type {
  ChunkData,
  ConnectorContext,
  Destination,
  DestinationSession,
  Source,
  StreamTarget,
} from '../../src/core/connector.ts';
import { ACT_INSERT, type FoldedRows } from '../../src/core/folded-rows.ts';
import type { RowBatch } from '../../src/core/row-batch.ts';
import { SlabPool } from '../../src/core/slab.ts';

export interface SeenNotice {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface DuckdbFixture extends AsyncDisposable {
  readonly path: string;
  readonly notices: SeenNotice[];
  readonly slabs: SlabPool;
  destination(): Promise<Destination>;
  source(): Promise<Source>;
  /** Runs statements on the file while nobody else has it open; gives the rows of the last. */
  sql(...statements: string[]): Promise<SqlValue[][]>;
}

export function duckdbFixture(): DuckdbFixture {
  const dir = mkdtempSync(join(tmpdir(), 'forebay-duckdb-'));
  const path = join(dir, 'test.duckdb');
  const notices: SeenNotice[] = [];
  const slabs = new SlabPool(8 * 1024 * 1024);
  const opened: AsyncDisposable[] = [];
  const context: ConnectorContext = {
    signal: new AbortController().signal,
    slabs,
    memoryBytes: 512 * 1024 * 1024,
    options: {},
    notice: (event, fields) => notices.push({ event, fields }),
  };
  const keep = <T extends AsyncDisposable>(system: T | undefined): T => {
    if (system === undefined) throw new TypeError('the connector lacks this side');
    opened.push(system);
    return system;
  };
  return {
    path,
    notices,
    slabs,
    destination: async () =>
      keep(await connector.openDestination?.(parseAddress(`duckdb:${path}`), context)),
    source: async () => keep(await connector.openSource?.(parseAddress(`duckdb:${path}`), context)),
    sql: (...statements) => runSql(path, statements),
    [Symbol.asyncDispose]: async () => {
      for (const system of opened) await system[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export async function runSql(path: string, statements: readonly string[]): Promise<SqlValue[][]> {
  using database = await Database.open({
    path,
    memoryBytes: 268_435_456,
    threads: 1,
    readOnly: false,
  });
  using connection = await database.connect();
  let rows: SqlValue[][] = [];
  for (const statement of statements) rows = await connection.all(statement);
  return rows;
}

export function checkpointAt(position: string): Checkpoint {
  return { position, source: { system: 'postgres', facts: { slot: 'a' } }, accounts: {} };
}

export function chunkOf(...batches: RowBatch[]): ChunkData {
  return {
    kind: 'batches',
    batches: (async function* () {
      yield* batches;
    })(),
  };
}

export function keyedRows(batch: RowBatch, actions: readonly number[]): FoldedRows {
  return { kind: 'keyed', parts: [{ batch, actions: Uint8Array.from(actions) }] };
}

export function insertedRows(batch: RowBatch): FoldedRows {
  return keyedRows(
    batch,
    Array.from({ length: batch.rowCount }, () => ACT_INSERT),
  );
}

/** One transaction with the given writes. */
export async function applyRows(
  session: DestinationSession,
  target: StreamTarget,
  position: string,
  ...writes: readonly FoldedRows[]
): Promise<Awaited<ReturnType<DestinationSession['write']>>[]> {
  await session.begin();
  const results: Awaited<ReturnType<DestinationSession['write']>>[] = [];
  for (const rows of writes) results.push(await session.write(target, rows));
  await session.commit(checkpointAt(position), []);
  return results;
}

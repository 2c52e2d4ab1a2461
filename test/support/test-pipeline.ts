// A source database, a destination and the pipeline between them, as chaos tests and scenarios use it.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { expectHistory, startAudit } from './audit.ts';
import {
  type Content,
  contentOf,
  differences,
  duckdbRows,
  postgresRows,
  sourceColumns,
  type TableRows,
} from './content.ts';
import { readDuckdb } from './duckdb-read.ts';
import {
  type ForebayExit,
  type ForebayProcess,
  type ForebayResult,
  runForebay,
  startForebay,
} from './process.ts';
import { runDirVariable } from './server-binaries.ts';
import type { DisposableClient, ServerConnection } from './server-connection.ts';
import { dropSlots } from './slots.ts';

export type DestinationKind = 'postgres' | 'duckdb';

export interface PipelineOptions {
  readonly destination?: DestinationKind;
  readonly load?: 'upsert' | 'append' | 'replace';
  /** Statements that make the source's tables, in one go. */
  readonly setup?: string;
  /** Statements that make tables of the user's own at a destination of PostgreSQL. */
  readonly destinationSetup?: string;
  /** Logs every change at the source, outside the selection, for `expectAppendedOnce`. */
  readonly audit?: boolean;
  /** More options of `replicate`. */
  readonly args?: readonly string[];
  /** Settings of the source database. */
  readonly settings?: Record<string, string>;
  readonly destinationServer?: ServerConnection;
  /** Where the program finds the servers, when that is a proxy. */
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

export interface RunOptions {
  readonly failpoints?: string;
  readonly args?: readonly string[];
  readonly timeoutMs?: number;
}

export interface TestPipeline extends AsyncDisposable {
  readonly source: string;
  readonly name: string;
  /** The DuckDB file or the destination database's name. */
  readonly destination: string;
  /** On the source database, open for as long as this is. */
  readonly client: DisposableClient;
  readonly urls: readonly [string, string];
  sql(statement: string): Promise<Record<string, unknown>[]>;
  /** Runs until caught up; its exit is a value. */
  catchUp(options?: RunOptions): Promise<ForebayExit>;
  /** The same, and it must end well, with an account that balances. */
  caughtUp(options?: RunOptions): Promise<ForebayResult>;
  /** The same pipeline against another source. */
  runWithSource(url: string): Promise<ForebayExit>;
  /** Runs until told to end; killed at the latest when this is disposed of. */
  start(options?: RunOptions): ForebayProcess;
  /** Any command on the two systems, under this pipeline's name. */
  command(name: string, ...args: string[]): Promise<ForebayExit>;
  startCommand(options: RunOptions, name: string, ...args: string[]): ForebayProcess;
  /** Of all tables of the source but these. */
  contents(...without: string[]): Promise<{ source: Content; destination: Content }>;
  /** Fails with the tables that differ. */
  expectEqual(): Promise<void>;
  /** Rows of the destination as texts. */
  read(sql: string): Promise<(string | null)[][]>;
  slots(): Promise<Record<string, unknown>[]>;
  /** Drops the slot, as somebody may by hand; returns its name. */
  loseSlot(): Promise<string>;
}

let count = 0;

function withPort(url: string, port: number | undefined): string {
  const parsed = new URL(url);
  if (port !== undefined) parsed.port = String(port);
  return parsed.href;
}

export async function createPipeline(
  server: ServerConnection,
  options: PipelineOptions = {},
): Promise<TestPipeline> {
  const kind = options.destination ?? 'postgres';
  const target = options.destinationServer ?? server;
  const source = await server.createDatabase();
  for (const [setting, value] of Object.entries(options.settings ?? {})) {
    await server.query('postgres', `alter database ${source} set ${setting} = '${value}'`);
  }
  if (options.setup !== undefined) await server.query(source, options.setup);
  if (options.audit === true) await startAudit(server, source);
  const client = await server.connect(source);
  const dir = mkdtempSync(join(process.env[runDirVariable] ?? tmpdir(), 'fb-pair-'));
  const destination = kind === 'duckdb' ? join(dir, 'copy.duckdb') : await target.createDatabase();
  if (kind === 'postgres' && options.destinationSetup !== undefined)
    await target.query(destination, options.destinationSetup);
  count += 1;
  const name = `t_${process.pid}_${count}`;
  const urls = [
    withPort(server.url(source), options.sourcePort),
    kind === 'duckdb'
      ? `duckdb:${destination}`
      : withPort(target.url(destination), options.destinationPort),
  ] as const;
  const running = new Set<ForebayProcess>();

  const startCommand: TestPipeline['startCommand'] = (run, command, ...args) => {
    const started = startForebay([command, ...urls, '--name', name, ...args, ...(run.args ?? [])], {
      env: { FOREBAY_FAILPOINTS: run.failpoints },
      ...(run.timeoutMs === undefined ? {} : { timeoutMs: run.timeoutMs }),
    });
    running.add(started);
    return started;
  };
  const selection = options.audit === true ? ['--streams', 'public.*'] : [];
  const replicate = [
    '--json',
    '--load',
    options.load ?? 'upsert',
    ...selection,
    ...(options.args ?? []),
  ];
  const catchUp = async (run: RunOptions = {}): Promise<ForebayExit> => {
    await using started = startCommand(run, 'replicate', ...replicate, '--until-caught-up');
    return await started.exit;
  };
  const read = async (sql: string): Promise<(string | null)[][]> => {
    if (kind === 'duckdb') return (await readDuckdb(destination, sql)).map((row) => [...row]);
    await using reader = await target.connect(destination);
    const { rows } = await reader.query<(string | number | null)[]>({
      text: sql,
      rowMode: 'array',
    });
    return rows.map((row) => row.map((value) => (value === null ? null : String(value))));
  };
  const rowsOf = async (
    without: readonly string[],
  ): Promise<{ source: TableRows; destination: TableRows }> => {
    const all = await sourceColumns(server, source);
    const tables = new Map([...all].filter(([table]) => !without.includes(table)));
    const there = await postgresRows(server, source, tables);
    const here =
      kind === 'duckdb'
        ? await duckdbRows(destination, tables)
        : await postgresRows(target, destination, tables);
    return { source: there, destination: here };
  };
  return {
    source,
    name,
    destination,
    client,
    urls,
    sql: async (statement) => (await client.query<Record<string, unknown>>(statement)).rows,
    catchUp,
    caughtUp: async (run) => expectCompleted(await catchUp(run)),
    runWithSource: (url) =>
      runForebay(['replicate', url, urls[1], '--name', name, ...replicate, '--until-caught-up']),
    start: (run = {}) => startCommand(run, 'replicate', ...replicate),
    startCommand,
    command: async (command, ...args) => {
      await using started = startCommand({}, command, ...args);
      return await started.exit;
    },
    contents: async (...without) => {
      const rows = await rowsOf(without);
      return { source: contentOf(rows.source), destination: contentOf(rows.destination) };
    },
    expectEqual: async () => {
      const rows = await rowsOf([]);
      assert.deepEqual(differences(rows.source, rows.destination), {}, 'contents differ');
    },
    read,
    loseSlot: async () => {
      const [slot] = await dropSlots(server, source);
      assert.ok(slot !== undefined, 'the pipeline has no slot');
      return slot;
    },
    slots: () =>
      server.query('postgres', `select * from pg_replication_slots where database = '${source}'`),
    [Symbol.asyncDispose]: async () => {
      for (const one of running) await one[Symbol.asyncDispose]();
      await client.end().catch(() => {});
      await dropSlots(server, source);
      await server.dropDatabase(source);
      if (kind === 'postgres') await target.dropDatabase(destination);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function expectCompleted(exit: ForebayExit): ForebayResult {
  assert.equal(exit.code, 0, `exit ${exit.code}, ${exit.signal}:\n${exit.stderr}${exit.stdout}`);
  assert.equal(exit.result?.status, 'completed');
  expectBalanced(exit.result);
  if (exit.result === null) throw new Error('no result');
  return exit.result;
}

export function expectBalanced(result: ForebayResult | null): void {
  for (const { stream, read, applied, folded, filtered, deadLettered } of result?.streams ?? []) {
    assert.equal(read, applied + folded + filtered + deadLettered, stream);
  }
}

/** Every change that was committed is in the histories (`append`) once, and nothing else: see `startAudit`. */
export async function expectAppendedOnce(
  pipeline: TestPipeline,
  server: ServerConnection,
): Promise<void> {
  await expectHistory(
    { server, database: pipeline.source },
    {
      read: pipeline.read,
      dialect: pipeline.destination.endsWith('.duckdb') ? 'duckdb' : 'postgres',
    },
  );
}

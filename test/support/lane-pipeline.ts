// A source database, a destination and a pipeline whose rows are transformed on the way; in this process.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

import { expect } from 'vitest';

import type { Destination } from '../../src/core/connector.ts';
import { SlabPool } from '../../src/core/slab.ts';
import type { PipelineSpec, RunEvent, RunMode, RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';
import { readDuckdb } from './duckdb-read.ts';
import { LANE_SPEC, type LaneExtras, laneSystems } from './lane-systems.ts';
import type { LaneSettings } from './lane-transforms.ts';
import { runDirVariable } from './server-binaries.ts';
import type { DisposableClient, ServerConnection } from './server-connection.ts';
import { dropSlots } from './slots.ts';
import type { DestinationKind } from './test-pipeline.ts';

const MIB = 1024 * 1024;

export interface LaneRun {
  /** Null: nothing is transformed. */
  readonly settings: LaneSettings | null;
  readonly extras?: LaneExtras;
  readonly spec?: Partial<PipelineSpec>;
  readonly mode?: RunMode;
}

export interface LaneOutcome {
  readonly result: RunResult;
  readonly events: readonly RunEvent[];
}

export interface LanePipeline extends AsyncDisposable {
  readonly urls: readonly [string, string];
  readonly name: string;
  readonly client: DisposableClient;
  sql(statement: string): Promise<void>;
  /** Runs until caught up; the result is a value. Its accounts balance. */
  run(run: LaneRun): Promise<LaneOutcome>;
  /** The same, and it must end well with no stream paused. */
  caughtUp(run: LaneRun): Promise<LaneOutcome>;
  /** Rows of the destination as texts; `table` in this place is the way to name one there. */
  read(sql: string): Promise<(string | null)[][]>;
  /** Drops the slot, as somebody may by hand. */
  loseSlot(): Promise<readonly string[]>;
  /** With the destination, decorated, open. */
  withDestination<T>(settings: LaneSettings, act: (opened: Destination) => Promise<T>): Promise<T>;
}

let count = 0;

export async function createLane(
  server: ServerConnection,
  kind: DestinationKind,
  setup: string,
): Promise<LanePipeline> {
  const source = await server.createDatabase();
  await server.query(source, setup);
  const client = await server.connect(source);
  const dir = mkdtempSync(join(process.env[runDirVariable] ?? tmpdir(), 'fb-lane-'));
  const destination = kind === 'duckdb' ? join(dir, 'copy.duckdb') : await server.createDatabase();
  count += 1;
  const name = `lane_${process.pid}_${count}`;
  const urls = [
    server.url(source),
    kind === 'duckdb' ? `duckdb:${destination}` : server.url(destination),
  ] as const;
  const run = async ({ settings, extras, spec, mode }: LaneRun): Promise<LaneOutcome> => {
    const events: RunEvent[] = [];
    const result = await runPipeline(
      mode ?? { kind: 'replicate', untilCaughtUp: true },
      { ...LANE_SPEC, name, ...spec },
      laneSystems(urls, settings, extras),
      { drain: new AbortController().signal, observe: (event) => void events.push(event) },
    );
    for (const stream of result.streams) {
      const { read, applied, folded, filtered, deadLettered } = stream;
      expect({ ...stream, read }).toEqual({
        ...stream,
        read: applied + folded + filtered + deadLettered,
      });
    }
    return { result, events };
  };
  return {
    urls,
    name,
    client,
    sql: async (statement) => void (await client.query(statement)),
    run,
    caughtUp: async (what) => {
      const outcome = await run(what);
      const { status, error, streams } = outcome.result;
      expect({ status, error, paused: streams.map(({ paused }) => paused) }).toEqual({
        status: 'completed',
        error: null,
        paused: streams.map(() => null),
      });
      return outcome;
    },
    read: async (sql) => {
      if (kind === 'duckdb') return (await readDuckdb(destination, sql)).map((row) => [...row]);
      await using reader = await server.connect(destination);
      const { rows } = await reader.query<(string | null)[]>({ text: sql, rowMode: 'array' });
      return rows.map((row) => row.map((value) => (value === null ? null : String(value))));
    },
    loseSlot: () => dropSlots(server, source),
    withDestination: async (settings, act) => {
      const context = {
        signal: new AbortController().signal,
        slabs: new SlabPool(16 * MIB),
        memoryBytes: 64 * MIB,
        options: {},
        notice: () => {},
      };
      await using opened = await laneSystems(urls, settings).openDestination(context);
      return await act(opened);
    },
    [Symbol.asyncDispose]: async () => {
      await client.end().catch(() => {});
      await dropSlots(server, source);
      await server.dropDatabase(source);
      if (kind === 'postgres') await server.dropDatabase(destination);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

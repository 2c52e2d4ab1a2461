/** A real server, a real workload, the real engine; at the end the proof. */
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePostgresUrl } from '../../connectors/postgres/config.ts';
import { PgConnection } from '../../connectors/postgres/connection.ts';
import { type ExitCode, ForebayError } from '../../core/errors.ts';
import type { RunResult } from '../../engine/pipeline.ts';
import type { RunCommand } from '../call.ts';
import { type ComparedTable, compareSchema } from '../demo/comparison.ts';
import { type DemoOutcome, printOutcome } from '../demo/outcome.ts';
import { catchUp, demoPipeline, startReplication } from '../demo/pipeline.ts';
import { type DemoServer, startDemoServer } from '../demo/server.ts';
import { createShop, type ShopSize, shopSize } from '../demo/shop.ts';
import { makeSteps, type Steps } from '../demo/steps.ts';
import { EMPTY_REPORT, printWriter, runWriter, type WriterReport } from '../demo/writer.ts';
import { formatCount } from '../format.ts';
import { withInterruption } from '../interruption.ts';
import { demoShape, readOptions } from '../options.ts';
import type { PipelineCall } from '../pipeline-call.ts';
import { resultExitCode } from '../result-output.ts';
import type { Terminal } from '../terminal.ts';
import { jsonView } from '../view/json-view.ts';
import { liveView } from '../view/live-view.ts';
import { plainView } from '../view/plain-view.ts';
import type { RunView } from '../view/run-view.ts';

const DATABASE = 'shop';

interface Demo {
  readonly seconds: number;
  readonly rows: number;
  readonly json: boolean;
  readonly folder: string;
  readonly file: string;
  readonly signal: AbortSignal;
  readonly terminal: Terminal;
  readonly steps: Steps;
}

async function connect(server: DemoServer, database: string): Promise<PgConnection> {
  // Not bound to the interruption: the writer ends by itself and commits what it has begun.
  const { signal } = new AbortController();
  const config = parsePostgresUrl(server.url(database));
  return await PgConnection.connect(config, { applicationName: 'forebay demo', signal });
}

async function fillShop(demo: Demo, server: DemoServer): Promise<ShopSize> {
  const size = shopSize(demo.rows);
  await demo.steps.perform(`A shop of ${formatCount(demo.rows)} rows in 5 tables`, async () => {
    await using maintenance = await connect(server, 'postgres');
    await maintenance.execute(`create database ${DATABASE}`);
    await using shop = await connect(server, DATABASE);
    await createShop(shop, size);
  });
  return size;
}

function openDemoView(demo: Demo, server: DemoServer, report: WriterReport): RunView {
  const { terminal, json } = demo;
  if (json) return jsonView(terminal);
  const source = server.url(DATABASE).replace(/:[^:@/]*@/, '@');
  const header = { mode: 'replicate', pipeline: 'demo', source, destination: 'duckdb:shop.duckdb' };
  terminal.err('\n');
  if (!terminal.live) return plainView(terminal, header);
  return liveView(terminal, header, { footnote: () => printWriter(report) });
}

interface Replicated {
  readonly result: RunResult;
  readonly writer: WriterReport;
}

/** Replicates while the writer works; stops in order when it has ended. */
async function replicateWhileWriting(
  demo: Demo,
  server: DemoServer,
  pipeline: PipelineCall,
  size: ShopSize,
): Promise<Replicated> {
  const writer: WriterReport = { ...EMPTY_REPORT };
  const view = openDemoView(demo, server, writer);
  try {
    const running = startReplication(pipeline, view);
    const signal = AbortSignal.any([demo.signal, running.ended]);
    const plan = { durationMs: demo.seconds * 1000, size, signal };
    await runWriter(() => connect(server, DATABASE), plan, writer);
    running.stop();
    return { result: await running.result, writer };
  } finally {
    view.end();
  }
}

/** What the writer committed last may still be on its way when the run is stopped. */
async function finish(demo: Demo, pipeline: PipelineCall): Promise<RunResult> {
  const view = demo.json ? jsonView(demo.terminal) : null;
  return await demo.steps.perform('Stopped, taken up again, caught up', () =>
    catchUp(pipeline, demo.signal, (event) => view?.observe(event)),
  );
}

async function compare(demo: Demo, server: DemoServer): Promise<readonly ComparedTable[]> {
  return await demo.steps.perform('Compared every table by content, on both sides', async () => {
    const { DuckDBInstance } = await import('@duckdb/node-api');
    const instance = await DuckDBInstance.create(demo.file, { access_mode: 'READ_ONLY' });
    const destination = await instance.connect();
    try {
      await using source = await connect(server, DATABASE);
      return await compareSchema({ source, destination }, 'public');
    } finally {
      destination.closeSync();
      instance.closeSync();
    }
  });
}

async function perform(demo: Demo, server: DemoServer): Promise<DemoOutcome> {
  const startedAt = performance.now();
  const size = await fillShop(demo, server);
  demo.signal.throwIfAborted();
  const pipeline = await demoPipeline(server.url(DATABASE), `duckdb:${demo.file}`);
  const { result: live, writer } = await replicateWhileWriting(demo, server, pipeline, size);
  demo.signal.throwIfAborted();
  if (!demo.json) demo.terminal.err('\n');
  const result = live.error === null ? await finish(demo, pipeline) : live;
  const isWhole = result.error === null;
  const tables = isWhole ? await compare(demo, server) : [];
  return {
    result,
    writer,
    tables,
    identical: isWhole && tables.length > 0 && tables.every(({ identical }) => identical),
    durationMs: performance.now() - startedAt,
  };
}

function exitCodeOf({ identical, result }: DemoOutcome): ExitCode {
  if (identical) return 0;
  const code = resultExitCode(result);
  return code === 0 ? 6 : code;
}

function printKept(demo: Demo, server: DemoServer): void {
  demo.terminal.err(
    `\nKept in ${demo.folder}; remove it when you are done.\n` +
      `  the copy    duckdb ${demo.file} -c 'select * from public.orders limit 10'\n` +
      `  the server  ${server.startCommand}\n` +
      `              ${server.url(DATABASE)}\n`,
  );
}

export const run: RunCommand = async ({ options, terminal }) => {
  const { seconds, rows, keep, json } = readOptions(demoShape, options);
  const folder = mkdtempSync(join(tmpdir(), 'forebay-demo-'));
  const steps = makeSteps(terminal, json);
  try {
    return await withInterruption(async (signal) => {
      const file = join(folder, 'shop.duckdb');
      const demo: Demo = { seconds, rows, json, folder, file, signal, terminal, steps };
      const label = 'A PostgreSQL server of its own on loopback';
      await using server = await steps.perform(label, () => startDemoServer(folder, keep));
      const outcome = await perform(demo, server);
      printOutcome(outcome, json, terminal);
      if (keep) printKept(demo, server);
      return exitCodeOf(outcome);
    });
  } catch (error) {
    if (error instanceof ForebayError) throw error;
    throw new ForebayError('internal', {
      message: `The demo failed: ${String(error)}`,
      cause: error,
    });
  } finally {
    if (!keep) await rm(folder, { recursive: true, force: true });
  }
};

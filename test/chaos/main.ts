// `npm run chaos -- --seed N --minutes M [--pair pg-pg|pg-duckdb] [--append]`: a seeded random run of changes,
// schema changes, kills and broken connections. Prints its seed and every action; exit 1 when contents differ.
import process, { argv, env, stdout } from 'node:process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type LiveWriter, startWriter } from '../support/live-writer.ts';
import type { ForebayProcess } from '../support/process.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';
import { runDirVariable } from '../support/server-binaries.ts';
import { availableServers, type RunningServer, startServer } from '../support/servers.ts';
import { expectAppendedOnce, createPipeline, type TestPipeline } from '../support/test-pipeline.ts';
import { perform, Workload, WORKLOAD_TABLES } from '../support/workload.ts';

const VERIFY_EVERY_MS = 30_000;

interface Options {
  readonly seed: number;
  readonly minutes: number;
  readonly pair: 'pg-pg' | 'pg-duckdb';
  readonly append: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    args: argv.slice(2),
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string', default: '1' },
      pair: { type: 'string', default: 'pg-pg' },
      append: { type: 'boolean', default: false },
    },
  });
  const seed = Number(values.seed ?? freshSeed());
  const minutes = Number(values.minutes);
  if (!Number.isInteger(seed) || !(minutes > 0))
    throw new TypeError('--seed and --minutes are numbers');
  if (values.pair !== 'pg-pg' && values.pair !== 'pg-duckdb')
    throw new TypeError('--pair is pg-pg or pg-duckdb');
  return { seed, minutes, pair: values.pair, append: values.append };
}

function say(line: string): void {
  stdout.write(`${new Date().toISOString().slice(11, 23)} ${line}\n`);
}

class Run {
  readonly #options: Options;
  readonly #server: RunningServer;
  readonly #proxy: FaultProxy;
  readonly #pipeline: TestPipeline;
  readonly #random: Random;
  readonly #workload: Workload;
  #running: ForebayProcess | null = null;
  #writer: LiveWriter | null = null;

  constructor(
    options: Options,
    parts: { server: RunningServer; proxy: FaultProxy; pipeline: TestPipeline },
  ) {
    this.#options = options;
    this.#server = parts.server;
    this.#proxy = parts.proxy;
    this.#pipeline = parts.pipeline;
    // Two sequences, so that the actions do not depend on how many steps the writer came to.
    this.#random = seededRandom(options.seed);
    this.#workload = new Workload(options.seed, { ddl: options.append ? 'none' : 'additive' });
  }

  async run(): Promise<void> {
    const until = performance.now() + this.#options.minutes * 60_000;
    while (performance.now() < until) {
      const verifyAt = Math.min(until, performance.now() + VERIFY_EVERY_MS);
      this.#writer = await startWriter(this.#server, this.#pipeline.source, this.#workload);
      while (performance.now() < verifyAt) {
        await Promise.race([this.#action(), this.#writer.ended]);
        await this.#replaceEnded();
      }
      await this.#writer.stop();
      await this.#verify();
    }
  }

  /** Until it was connected once a run may end because of its connection; then a supervisor starts it again. */
  async #replaceEnded(): Promise<void> {
    const exit = await Promise.race([this.#running?.exit, delay(1)]);
    if (exit === undefined) return;
    this.#running = null;
    if (exit.result?.error?.class === 'transient') {
      say(`ended: ${exit.result.error.code}`);
      return;
    }
    throw new Error(`the run ended by itself:\n${exit.stderr}${exit.stdout}`);
  }

  async #action(): Promise<void> {
    const random = this.#random;
    if (this.#running === null) {
      say('start');
      this.#running = this.#pipeline.start({ timeoutMs: 600_000 });
    }
    const pauseMs = 100 + random.below(1500);
    const action = random.pick(['kill', 'kill', 'cut', 'reset', 'cut-after', 'wait']);
    say(`wait ${pauseMs} ms, then ${action}`);
    await delay(pauseMs);
    switch (action) {
      case 'kill':
        await this.#kill();
        break;
      case 'cut': {
        const ms = random.below(800);
        this.#proxy.cut();
        await delay(ms);
        this.#proxy.heal();
        break;
      }
      case 'reset':
        this.#proxy.reset();
        break;
      case 'cut-after':
        this.#proxy.cutAfter(random.below(200_000), random.pick(['toClient', 'toServer']));
        break;
      case 'wait':
        break;
    }
  }

  async #kill(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.kill('SIGKILL');
    await running?.exit;
  }

  async #verify(): Promise<void> {
    this.#proxy.heal();
    await this.#kill();
    await perform(this.#pipeline.client, this.#workload.touch());
    const exit = await this.#pipeline.catchUp();
    if (exit.code !== 0) throw new Error(`exit ${exit.code}:\n${exit.stderr}${exit.stdout}`);
    if (this.#options.append) await expectAppendedOnce(this.#pipeline, this.#workload.ledgerRows);
    else await this.#pipeline.expectEqual();
    say(`verified: ${this.#workload.ledgerRows} transactions`);
  }
}

async function main(): Promise<void> {
  const options = readOptions();
  say(
    `seed ${options.seed}, ${options.minutes} min, ${options.pair}${options.append ? ', append' : ''}`,
  );
  const spec = availableServers().at(-1);
  if (spec === undefined) throw new Error('no PostgreSQL server: run `npm run test:setup`');
  const runDir = mkdtempSync(join(tmpdir(), 'fb-chaos-'));
  env[runDirVariable] = runDir;
  try {
    await using server = await startServer(spec);
    await using proxy = await startFaultProxy(server.port);
    await using pipeline = await createPipeline(server, {
      destination: options.pair === 'pg-duckdb' ? 'duckdb' : 'postgres',
      load: options.append ? 'append' : 'upsert',
      setup: WORKLOAD_TABLES,
      sourcePort: proxy.port,
      settings: { logical_decoding_work_mem: '64kB' },
    });
    await new Run(options, { server, proxy, pipeline }).run();
    say('equal');
  } catch (error) {
    say(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    const flags = `--seed ${options.seed} --minutes ${options.minutes} --pair ${options.pair}${options.append ? ' --append' : ''}`;
    say(`replay: npm run chaos -- ${flags}`);
    process.exitCode = 1;
  } finally {
    rmSync(runDir, { recursive: true, force: true });
  }
}

await main();

// One pipeline from its first start on, under writers and faults, until its content was compared a few times.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';

import type { FaultProxy } from '../support/fault-proxy.ts';
import {
  type LiveWriter,
  SLOW_TABLE,
  startSlowWriter,
  startWriter,
} from '../support/live-writer.ts';
import type { ForebayExit, ForebayProcess } from '../support/process.ts';
import { type Random, seededRandom } from '../support/random.ts';
import type { RunningServer } from '../support/servers.ts';
import {
  createPipeline,
  type DestinationKind,
  expectAppendedOnce,
  expectBalanced,
  type TestPipeline,
} from '../support/test-pipeline.ts';
import { HARD_TABLES, TEXT_TABLE, UNIQUE_SEATS } from '../support/workload-hard.ts';
import { perform, Workload, type WorkloadOptions, WORKLOAD_TABLES } from '../support/workload.ts';

const VERIFICATIONS = 2;
const VERIFY_AFTER_MS = 15_000;
const SECOND_WRITER = 1_000_000_000;

export interface RoundOptions {
  readonly seed: number;
  readonly load: 'upsert' | 'append' | 'replace';
  readonly ddl: 'none' | 'additive' | 'all';
  readonly kind: DestinationKind;
  readonly unique: boolean;
}

export interface RoundParts {
  readonly source: RunningServer;
  /** Null where the destination is a file. */
  readonly target: RunningServer | null;
  readonly sourceProxy: FaultProxy;
  readonly targetProxy: FaultProxy | null;
  readonly say: (line: string) => void;
}

const SHARES = {
  kill: 4,
  term: 1,
  cut: 1,
  reset: 2,
  'cut-after': 2,
  'black-hole': 1,
  wait: 1,
  'source-crash': 1,
  'source-restart': 1,
  'target-crash': 1,
} as const;
type Action = keyof typeof SHARES;
/** Each as often as it shall come. */
const ACTIONS = (Object.keys(SHARES) as Action[]).flatMap((action) =>
  Array.from({ length: SHARES[action] }, () => action),
);

export class ChaosRound implements AsyncDisposable {
  readonly #options: RoundOptions;
  readonly #parts: RoundParts;
  readonly #pipeline: TestPipeline;
  readonly #random: Random;
  readonly #workloads: readonly Workload[];
  #running: ForebayProcess | null = null;
  #writers: readonly LiveWriter[] = [];

  private constructor(options: RoundOptions, parts: RoundParts, pipeline: TestPipeline) {
    this.#options = options;
    this.#parts = parts;
    this.#pipeline = pipeline;
    const { seed, ddl } = options;
    this.#random = seededRandom(seed);
    const common: WorkloadOptions = { hard: true };
    this.#workloads = [
      new Workload(seed, { ...common, ddl }),
      new Workload(seed + 1, { ...common, ledgerFrom: SECOND_WRITER }),
    ];
  }

  static async create(options: RoundOptions, parts: RoundParts): Promise<ChaosRound> {
    const { seed, load, kind, unique } = options;
    const { source, target, sourceProxy, targetProxy } = parts;
    // One type without a binary form makes the whole stream come as text: both ways are to be gone.
    const text = seed % 2 === 0 ? TEXT_TABLE : '';
    const pipeline = await createPipeline(source, {
      destination: kind,
      load,
      audit: load === 'append',
      setup: `${WORKLOAD_TABLES};${HARD_TABLES};${SLOW_TABLE};${text}`,
      sourcePort: sourceProxy.port,
      ...(unique && load === 'upsert' && kind === 'postgres'
        ? { destinationSetup: UNIQUE_SEATS }
        : {}),
      ...(target === null ? {} : { destinationServer: target }),
      ...(targetProxy === null ? {} : { destinationPort: targetProxy.port }),
    });
    return new ChaosRound(options, parts, pipeline);
  }

  async run(until: number): Promise<void> {
    for (let i = 0; i < VERIFICATIONS && (i === 0 || performance.now() < until); i += 1) {
      this.#startWriters();
      const verifyAt = performance.now() + VERIFY_AFTER_MS;
      while (performance.now() < verifyAt) {
        await Promise.race([this.#turn(), ...this.#writers.map((writer) => failure(writer))]);
      }
      for (const writer of this.#writers) await writer.stop();
      await this.#verify();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const writer of this.#writers) await writer[Symbol.asyncDispose]();
    await this.#heal();
    await this.#pipeline[Symbol.asyncDispose]();
  }

  #startWriters(): void {
    const { source } = this.#parts;
    const database = this.#pipeline.source;
    this.#writers = [
      ...this.#workloads.map((workload) => startWriter(source, database, workload)),
      startSlowWriter(source, database, this.#random.below(1_000_000)),
    ];
  }

  async #turn(): Promise<void> {
    const random = this.#random;
    await this.#replaceEnded();
    if (this.#running === null) {
      this.#parts.say('start');
      this.#running = this.#pipeline.start({ timeoutMs: 600_000 });
      // The start, the snapshot and what comes between are short: half of the kills are to hit them.
      if (random.chance(50)) {
        const ms = 300 + random.below(2200);
        this.#parts.say(`kill ${ms} ms after the start`);
        await delay(ms);
        await this.#end('SIGKILL');
        return;
      }
    }
    const ms = 100 + random.below(1500);
    const action = random.pick(ACTIONS);
    this.#parts.say(`wait ${ms} ms, then ${action}`);
    await delay(ms);
    await this.#act(action);
  }

  async #act(action: Action): Promise<void> {
    const random = this.#random;
    const { source, target, sourceProxy, targetProxy } = this.#parts;
    const proxy = targetProxy !== null && random.chance(50) ? targetProxy : sourceProxy;
    switch (action) {
      case 'kill':
        await this.#end('SIGKILL');
        break;
      case 'term':
        await this.#end('SIGTERM');
        break;
      case 'cut':
        proxy.cut();
        await delay(random.below(800));
        proxy.heal();
        break;
      case 'black-hole':
        proxy.blackhole();
        await delay(random.below(800));
        proxy.heal();
        break;
      case 'reset':
        proxy.reset();
        break;
      case 'cut-after':
        proxy.cutAfter(random.below(200_000), random.pick(['toClient', 'toServer']));
        break;
      case 'source-crash':
        await source.restart('immediate');
        break;
      case 'source-restart':
        await source.restart('fast');
        break;
      case 'target-crash':
        await target?.restart('immediate');
        break;
      case 'wait':
        break;
    }
  }

  /** Until it was connected once a run may end because of its connection; then a supervisor starts it again. */
  async #replaceEnded(): Promise<void> {
    const exit = await Promise.race([this.#running?.exit, delay(1)]);
    if (exit === undefined) return;
    this.#running = null;
    const code = exit.result?.error?.code;
    if (exit.result?.error?.class !== 'transient') throw ended(exit);
    this.#parts.say(`ended: ${code ?? ''}`);
  }

  async #end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const running = this.#running;
    this.#running = null;
    if (running === null) return;
    running.kill(signal);
    const exit = await running.exit;
    // Ended in order, or was about to try a lost connection again.
    const inOrder =
      exit.code === 0 || exit.code === 130 || exit.code === 143 || exit.signal === 'SIGTERM';
    if (signal === 'SIGTERM' && !inOrder && exit.result?.error?.class !== 'transient')
      throw ended(exit);
  }

  async #heal(): Promise<void> {
    this.#parts.sourceProxy.heal();
    this.#parts.targetProxy?.heal();
    await this.#end('SIGKILL');
  }

  async #verify(): Promise<void> {
    await this.#heal();
    const { source, say } = this.#parts;
    {
      await using client = await source.connect(this.#pipeline.source);
      for (const workload of this.#workloads) await perform(client, workload.touch());
    }
    await this.#expectNoLetters();
    const last = await this.#catchUp();
    try {
      if (this.#options.load === 'append') await expectAppendedOnce(this.#pipeline, source);
      else await this.#pipeline.expectEqual();
      await this.#expectNoLetters();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`${message}\nafter this run:\n${last.stderr}`, { cause: error });
    }
    say(`verified: ${this.#workloads.map((one) => one.ledgerRows).join(' + ')} transactions`);
  }

  async #catchUp(): Promise<ForebayExit> {
    const exit = await this.#pipeline.catchUp({ timeoutMs: 400_000 });
    expectBalanced(exit.result);
    if (exit.code !== 0) await this.#expectNoLetters();
    // What may be a rename or not sets a table aside; to recover it is the way back.
    if (exit.code === 5 && this.#options.ddl === 'all') {
      const paused = exit.result?.streams.filter((stream) => stream.paused !== null) ?? [];
      this.#parts.say(
        `paused: ${paused.map((stream) => JSON.stringify(stream.paused)).join(', ')}`,
      );
      const recovered = await this.#pipeline.command(
        'recover',
        '--json',
        '--load',
        this.#options.load,
      );
      if (recovered.code !== 0) throw ended(recovered);
      const again = await this.#pipeline.catchUp();
      if (again.code !== 0) throw ended(again);
      return again;
    }
    if (exit.code !== 0) throw ended(exit);
    return exit;
  }

  async #expectNoLetters(): Promise<void> {
    const letters = await this.#pipeline.read(
      `select stream, op, code, reason, position, cast(payload as varchar) from _forebay.dead_letters
       order by id limit 20`,
    );
    assert.deepEqual(letters, [], 'rows were refused');
  }
}

function ended(exit: ForebayExit): Error {
  return new Error(`exit ${exit.code}, ${exit.signal}:\n${exit.stderr}${exit.stdout}`);
}

/** Never settles while the writer does well. */
async function failure(writer: LiveWriter): Promise<void> {
  await writer.ended;
  await new Promise(() => {});
}

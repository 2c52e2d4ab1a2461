// Each failpoint in turn on one pipeline: broken there, the next run must bring the destination to the source's
// content, with each change there once.
import { afterAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

import type { ForebayExit } from '../support/process.ts';
import type { ServerConnection } from '../support/server-connection.ts';
import { createPipeline, expectAppendedOnce, type TestPipeline } from '../support/test-pipeline.ts';
import { perform, performMany, Workload, WORKLOAD_TABLES } from '../support/workload.ts';
import {
  type FailpointCase,
  failpointCases,
  loadOf,
  type PairName,
  unreachable,
} from './failpoint-cases.ts';

const SEED = 20_261;
const STEPS = 12;

export type FailpointAction = 'kill' | 'hang' | 'throw' | 'enospc';
/** Whether the run ended with this error, or went on after it by itself. */
export function failedWith(exit: ForebayExit, code: string): boolean {
  const retried = z.looseObject({
    event: z.literal('retry'),
    error: z.looseObject({ code: z.literal(code) }),
  });
  const told = z.looseObject({ error: z.looseObject({ code: z.literal(code) }) });
  return (
    exit.result?.error?.code === code ||
    told.safeParse(exit.json).success ||
    exit.events.some((event) => retried.safeParse(event).success)
  );
}

const ERROR_OF = { throw: 'failpoint', enospc: 'disk_full' } as const;

/** A pipeline that cases use one after the other; after a failure the next case gets a new one. */
class FailpointBench {
  readonly #server: ServerConnection | null;
  readonly #pair: PairName;
  #pipeline: TestPipeline | null = null;
  #workload = new Workload(SEED);
  #turn = 0;
  #clean = true;

  constructor(server: ServerConnection | null, pair: PairName) {
    this.#server = server;
    this.#pair = pair;
  }

  async #fresh(): Promise<TestPipeline> {
    await this.close();
    if (this.#server === null) throw new Error('no server');
    this.#workload = new Workload(SEED);
    const pipeline = await createPipeline(this.#server, {
      destination: this.#pair.includes('duckdb') ? 'duckdb' : 'postgres',
      load: loadOf(this.#pair),
      audit: this.#pair.endsWith('append'),
      setup: WORKLOAD_TABLES,
      settings: { logical_decoding_work_mem: '64kB' },
    });
    this.#pipeline = pipeline;
    await performMany(pipeline.client, this.#workload, STEPS);
    return pipeline;
  }

  async #caughtUp(): Promise<TestPipeline> {
    if (this.#pipeline !== null && this.#clean) return this.#pipeline;
    const pipeline = await this.#fresh();
    await pipeline.caughtUp();
    return pipeline;
  }

  async pass({ name, at, phase, prepare }: FailpointCase, action: FailpointAction): Promise<void> {
    this.#turn += 1;
    const pipeline = phase === 'begin' ? await this.#fresh() : await this.#caughtUp();
    this.#clean = false;
    if (phase !== 'begin') await performMany(pipeline.client, this.#workload, STEPS);
    if (phase === 'recover') {
      await pipeline.loseSlot();
      await performMany(pipeline.client, this.#workload, STEPS);
    }
    await prepare?.(pipeline, this.#turn);
    const failpoints = `${name}=${action}@${at}`;
    {
      await using running =
        phase === 'recover'
          ? pipeline.startCommand({ failpoints }, 'recover', '--json')
          : pipeline.start({ failpoints, args: ['--until-caught-up'] });
      if (action === 'hang') {
        await running.waitForEvent(
          ({ event, ...rest }) => event === 'failpoint' && rest['name'] === name,
        );
        // A comparison reads all tables in one transaction, for which a TRUNCATE would wait.
        if (phase !== 'recover') await performMany(pipeline.client, this.#workload, STEPS / 2);
        running.kill('SIGKILL');
      }
      const exit = await running.exit;
      const reached =
        action === 'kill' || action === 'hang'
          ? exit.signal === 'SIGKILL'
          : failedWith(exit, ERROR_OF[action]);
      expect(reached, `${failpoints} was not reached\n${exit.stderr}${exit.stdout}`).toBe(true);
    }
    await performMany(pipeline.client, this.#workload, STEPS / 2);
    if (phase === 'recover') {
      const recovered = await pipeline.command('recover', '--json');
      expect(recovered.code, recovered.stderr + recovered.stdout).toBe(0);
    }
    await perform(pipeline.client, this.#workload.touch());
    await pipeline.caughtUp();
    if (this.#pair.endsWith('append') && this.#server !== null)
      await expectAppendedOnce(pipeline, this.#server);
    else await pipeline.expectEqual();
    this.#clean = true;
  }

  async close(): Promise<void> {
    const pipeline = this.#pipeline;
    this.#pipeline = null;
    await pipeline?.[Symbol.asyncDispose]();
  }
}

/** Tests of a pair: every failpoint that it passes with every action. */
export function describeFailpoints(
  server: ServerConnection | null,
  pair: PairName,
  actions: readonly FailpointAction[],
): void {
  describe.skipIf(server === null)(`failpoints ${pair}`, () => {
    const bench = new FailpointBench(server, pair);
    afterAll(() => bench.close());
    const reached = failpointCases.filter(({ name }) => unreachable[pair]?.[name] === undefined);
    for (const one of reached) {
      for (const action of actions) {
        test(`${one.name} ${action}`, async () => {
          await bench.pass(one, action);
          expect.hasAssertions();
        });
      }
    }
  });
}

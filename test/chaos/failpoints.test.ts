// Every failpoint, with the process killed there and with the process hanging there until it is killed, for
// every pair: the next run must bring the destination to the source's content, each commit once.
import { afterAll, describe, expect, test } from 'vitest';

import { FAILPOINTS, type FailpointName } from '../../src/core/failpoint.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { createPipeline, expectAppendedOnce, type TestPipeline } from '../support/test-pipeline.ts';
import { perform, performMany, Workload, WORKLOAD_TABLES } from '../support/workload.ts';
import {
  type FailpointCase,
  failpointCases,
  type PairName,
  pairs,
  unreachable,
} from './failpoint-cases.ts';

const SEED = 20_261;
const STEPS = 12;
const server = sharedServer(17);

test('every failpoint is covered, or is said to be out of reach', () => {
  const covered = failpointCases.map(({ name }) => name);
  expect(covered.toSorted()).toEqual((Object.keys(FAILPOINTS) as FailpointName[]).toSorted());
});

/** A pipeline that cases use one after the other; after a failure the next case gets a new one. */
class Bench {
  readonly #pair: PairName;
  #pipeline: TestPipeline | null = null;
  #workload = new Workload(SEED);
  #turn = 0;
  #clean = true;

  constructor(pair: PairName) {
    this.#pair = pair;
  }

  async #fresh(): Promise<TestPipeline> {
    await this.close();
    if (server === null) throw new Error('no server');
    this.#workload = new Workload(SEED);
    const pipeline = await createPipeline(server, {
      destination: this.#pair.includes('duckdb') ? 'duckdb' : 'postgres',
      load: this.#pair.endsWith('append') ? 'append' : 'upsert',
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

  async pass({ name, at, phase, prepare }: FailpointCase, action: 'kill' | 'hang'): Promise<void> {
    this.#turn += 1;
    const pipeline = phase === 'begin' ? await this.#fresh() : await this.#caughtUp();
    this.#clean = false;
    if (phase !== 'begin') await performMany(pipeline.client, this.#workload, STEPS);
    if (phase === 'recover') {
      await pipeline.sql(
        `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = current_database()`,
      );
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
      expect(exit.signal, `${failpoints} was not reached\n${exit.stderr}${exit.stdout}`).toBe(
        'SIGKILL',
      );
    }
    await performMany(pipeline.client, this.#workload, STEPS / 2);
    if (phase === 'recover') {
      const recovered = await pipeline.command('recover', '--json');
      expect(recovered.code, recovered.stderr + recovered.stdout).toBe(0);
    }
    await perform(pipeline.client, this.#workload.touch());
    await pipeline.caughtUp();
    if (this.#pair.endsWith('append') && server !== null)
      await expectAppendedOnce(pipeline, server);
    else await pipeline.expectEqual();
    this.#clean = true;
  }

  async close(): Promise<void> {
    const pipeline = this.#pipeline;
    this.#pipeline = null;
    await pipeline?.[Symbol.asyncDispose]();
  }
}

for (const pair of pairs) {
  describe.skipIf(server === null)(`failpoints ${pair}`, () => {
    const bench = new Bench(pair);
    afterAll(() => bench.close());
    const reached = failpointCases.filter(({ name }) => unreachable[pair]?.[name] === undefined);
    for (const one of reached) {
      for (const action of ['kill', 'hang'] as const) {
        test(`${one.name} ${action}`, async () => {
          await bench.pass(one, action);
          expect.hasAssertions();
        });
      }
    }
  });
}

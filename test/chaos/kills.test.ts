// kill -9 at random moments of a running replication under a live mixed workload, started again at once each
// time. FOREBAY_CHAOS_KILLS sets how many times, FOREBAY_CHAOS_SEED replays a run's choices, FOREBAY_CHAOS_SERVER
// names the server's version.
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { startWriter } from '../support/live-writer.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';
import { postgresMajors } from '../support/server-binaries.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { createPipeline, expectAppendedOnce, type TestPipeline } from '../support/test-pipeline.ts';
import { BANK_TOTAL, perform, Workload, WORKLOAD_TABLES } from '../support/workload.ts';

const kills = Number(env['FOREBAY_CHAOS_KILLS'] ?? 5);
/** From here on the destination has a state of the source at every moment, and money neither comes nor goes. */
const SETTLED_AFTER = 3;
const major = postgresMajors.find((one) => String(one) === env['FOREBAY_CHAOS_SERVER']) ?? 17;
const server = sharedServer(major);

async function killOnce(pipeline: TestPipeline, random: Random): Promise<void> {
  await using running = pipeline.start();
  const early = random.chance(25);
  if (!early) {
    const ended = running.exit.then(({ stdout, stderr }) => {
      throw new Error(`it ended by itself:\n${stderr}${stdout}`);
    });
    ended.catch(() => {});
    await Promise.race([running.waitForEvent(({ event }) => event === 'checkpoint'), ended]);
  }
  // At any moment of the start, or of the changes.
  await delay(random.below(early ? 500 : 300));
  running.kill('SIGKILL');
  const exit = await running.exit;
  expect(exit.signal, exit.stderr + exit.stdout).toBe('SIGKILL');
}

async function expectMoneyKept(pipeline: TestPipeline): Promise<void> {
  const [[sum] = []] = await pipeline.read('select cast(sum(balance) as varchar) from public.bank');
  expect(Number(sum)).toBe(BANK_TOTAL);
}

const pairs = [
  { name: 'pg-pg upsert', destination: 'postgres', load: 'upsert' },
  { name: 'pg-pg append', destination: 'postgres', load: 'append' },
  { name: 'pg-pg replace', destination: 'postgres', load: 'replace' },
  { name: 'pg-duckdb upsert', destination: 'duckdb', load: 'upsert' },
  { name: 'pg-duckdb append', destination: 'duckdb', load: 'append' },
] as const;

for (const { name, destination, load } of pairs) {
  test.skipIf(server === null)(
    `${kills} kills ${name}`,
    async () => {
      if (server === null) return;
      const seed = Number(env['FOREBAY_CHAOS_SEED'] ?? freshSeed());
      console.log(`kills ${name}: FOREBAY_CHAOS_SEED=${seed}`);
      const random = seededRandom(seed);
      const workload = new Workload(seed, {
        ddl: load === 'append' ? 'none' : 'additive',
      });
      await using pipeline = await createPipeline(server, {
        destination,
        load,
        audit: load === 'append',
        setup: WORKLOAD_TABLES,
        settings: { logical_decoding_work_mem: '64kB' },
      });
      {
        await using writer = startWriter(server, pipeline.source, workload);
        for (let i = 0; i < kills; i += 1) {
          await Promise.race([killOnce(pipeline, random), writer.ended]);
          if (i === SETTLED_AFTER) await pipeline.caughtUp();
          if (i >= SETTLED_AFTER && load !== 'append') await expectMoneyKept(pipeline);
        }
        await writer.stop();
      }
      await perform(pipeline.client, workload.touch());
      await pipeline.caughtUp();
      if (load === 'append') await expectAppendedOnce(pipeline, server);
      else await pipeline.expectEqual();
    },
    60_000 + kills * 20_000,
  );
}

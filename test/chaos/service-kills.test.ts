// The service with five streams, kill -9 at random moments and edits of its file in between, under a live workload.
// FOREBAY_CHAOS_KILLS sets how many kills, FOREBAY_CHAOS_SEED replays a run's choices.
import assert from 'node:assert/strict';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { differences, postgresRows, sourceColumns } from '../support/content.ts';
import { expectExit } from '../support/exit.ts';
import { startWriter } from '../support/live-writer.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';
import { openReplication } from '../support/replication.ts';
import { openServiceFile, type ServiceFile, type StreamEntry } from '../support/service.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { Workload, WORKLOAD_TABLES } from '../support/workload.ts';

const kills = Number(env['FOREBAY_CHAOS_KILLS'] ?? 6);
const TABLES = ['keyed', 'pair', 'toasted', 'bank', 'ledger'];
const server = sharedServer(17);

/** Streams as a random edit leaves them: other batches, and some switched off for a while. */
function edited(streams: readonly StreamEntry[], random: Random): readonly StreamEntry[] {
  return streams.map((stream) => ({
    ...stream,
    ...(random.chance(30) ? { batch_size: 10 + random.below(5000) } : {}),
    ...(random.chance(20) ? { enabled: false } : {}),
  }));
}

async function killOnce(
  file: ServiceFile,
  streams: readonly StreamEntry[],
  random: Random,
): Promise<void> {
  await using running = file.start();
  const early = random.chance(25);
  if (!early) {
    await file.until((health) =>
      health.streams.every(({ state }) => state === 'streaming' || state === 'disabled'),
    );
    if (random.chance(60)) {
      file.write(edited(streams, random));
      if (random.chance(50)) file.writeText('streams: [this is, no: configuration');
    }
  }
  await delay(random.below(early ? 800 : 1200));
  running.kill('SIGKILL');
  const exit = await running.exit;
  expect(exit.signal, exit.stderr).toBe('SIGKILL');
}

test.skipIf(server === null)(
  `${kills} kills and edits of a service with five streams`,
  async () => {
    if (server === null) return;
    const seed = Number(env['FOREBAY_CHAOS_SEED'] ?? freshSeed());
    console.log(`service kills: FOREBAY_CHAOS_SEED=${seed}`);
    const random = seededRandom(seed);
    await using pair = await openReplication(server);
    using file = await openServiceFile();
    await pair.sql(WORKLOAD_TABLES);
    const streams = TABLES.map((table) => ({
      id: `${pair.source}-${table}`,
      source: {
        type: 'postgres',
        connection_string: server.url(pair.source),
        database: pair.source,
        collection_table: `public.${table}`,
      },
      destination: {
        type: 'postgres',
        connection_string: server.url(pair.copy),
        database: pair.copy,
      },
      retry_policy: { max_attempts: 100, initial_delay: '100ms', max_delay: '1s' },
    }));
    {
      await using writer = startWriter(server, pair.source, new Workload(seed, { ddl: 'none' }));
      for (let i = 0; i < kills; i += 1) {
        file.write(streams);
        await Promise.race([killOnce(file, streams, random), writer.ended]);
      }
      await writer.stop();
    }
    file.write(streams);
    await using last = file.start('--until-caught-up', '--json');
    const exit = await last.exit;
    expectExit(exit, 0);
    const all = await sourceColumns(server, pair.source);
    const columns = new Map([...all].filter(([table]) => TABLES.includes(table)));
    const source = await postgresRows(server, pair.source, columns);
    const copy = await postgresRows(server, pair.copy, columns);
    assert.deepEqual(differences(source, copy), {}, 'contents differ');
    expect(await letters()).toEqual(0);

    async function letters(): Promise<number> {
      const [row] = await pair.read('postgres', 'select count(*)::text from _forebay.dead_letters');
      return Number(row?.[0]);
    }
  },
  120_000 + kills * 30_000,
);

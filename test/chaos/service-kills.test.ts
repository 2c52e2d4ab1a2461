// The service with six streams, one of them transformed, kill -9 at random moments and edits of its file in between, under a live workload.
// FOREBAY_CHAOS_KILLS sets how many kills, FOREBAY_CHAOS_SEED replays a run's choices.
import assert from 'node:assert/strict';
import { env } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import { expect, test } from 'vitest';

import { differences, postgresRows, sourceColumns } from '../support/content.ts';
import { startWriter } from '../support/live-writer.ts';
import { freshSeed, type Random, seededRandom } from '../support/random.ts';
import { openReplication, type Replication } from '../support/replication.ts';
import {
  openServiceFile,
  type ServiceFile,
  type StreamEntry,
  tableEntry,
} from '../support/service.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { Workload, WORKLOAD_TABLES } from '../support/workload.ts';

const kills = Number(env['FOREBAY_CHAOS_KILLS'] ?? 6);
const TABLES = ['keyed', 'pair', 'toasted', 'bank', 'ledger'];
const server = sharedServer(17);

/** Fails on some rows, on all that have a name and an id that ends with 0. */
const CHECKED = {
  id: 'checked',
  type: 'custom',
  specification: {
    mapping: { set: { score: 'case when id % 10 = 0 then cast(name as integer) else id end' } },
  },
  error_handling: {
    on_error: 'dead_letter',
    dead_letter_destination: 'table:_forebay.dead_letters',
  },
};

/** Every row is at the destination as it is, or its last word is a dead letter. */
async function expectChecked(pair: Replication): Promise<void> {
  const source = await pair.read('source', 'select id::text, name from keyed order by id');
  const fails = ([id, name]: readonly (string | null)[]): boolean =>
    id?.endsWith('0') === true && name !== null;
  const there = await pair.read('postgres', 'select id::text, name from keyed_checked order by id');
  const letters = await pair.read(
    'postgres',
    `select payload ->> 'id', payload ->> 'name' from _forebay.dead_letters
     where superseded_at is null and code = 'transform_cast' order by id`,
  );
  expect(letters.length).toBeGreaterThan(0);
  const last = new Map(letters.map(([id, name]) => [id, name]));
  const good = source.filter((row) => !fails(row));
  const ids = new Set(good.map(([id]) => id));
  assert.deepEqual(
    there.filter(([id]) => ids.has(id ?? null)),
    good,
  );
  for (const [id, name] of source.filter(fails)) expect(last.get(id ?? null)).toBe(name);
  const known = new Set(source.map(([id]) => id));
  expect(there.filter(([id]) => !known.has(id ?? null))).toEqual([]);
}

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
      file.write(edited(streams, random), { transformations: [CHECKED] });
      if (random.chance(50)) file.writeText('streams: [this is, no: configuration');
    }
  }
  await delay(random.below(early ? 800 : 1200));
  running.kill('SIGKILL');
  const exit = await running.exit;
  expect(exit.signal, exit.stderr).toBe('SIGKILL');
}

test.skipIf(server === null)(
  `${kills} kills and edits of a service with six streams`,
  async () => {
    if (server === null) return;
    const seed = Number(env['FOREBAY_CHAOS_SEED'] ?? freshSeed());
    console.log(`service kills: FOREBAY_CHAOS_SEED=${seed}`);
    const random = seededRandom(seed);
    await using pair = await openReplication(server);
    using file = await openServiceFile();
    await pair.sql(WORKLOAD_TABLES);
    const retry_policy = { max_attempts: 100, initial_delay: '100ms', max_delay: '1s' };
    const plain = TABLES.map((table) => tableEntry(server, pair, table, { retry_policy }));
    const [first] = plain;
    const streams: readonly StreamEntry[] = [
      ...plain,
      {
        ...first,
        id: `${pair.source}-checked`,
        destination: {
          ...(first?.['destination'] as object),
          collection_table: 'public.keyed_checked',
        },
        transformation_id: CHECKED.id,
      },
    ];
    const more = { transformations: [CHECKED] };
    {
      await using writer = startWriter(server, pair.source, new Workload(seed, { ddl: 'none' }));
      for (let i = 0; i < kills; i += 1) {
        file.write(streams, more);
        await Promise.race([killOnce(file, streams, random), writer.ended]);
      }
      await writer.stop();
    }
    file.write(streams, more);
    await using last = file.start('--until-caught-up', '--json');
    const exit = await last.exit;
    expect([0, 5], exit.stderr).toContain(exit.code);
    for (const { read, applied, folded, filtered, deadLettered } of exit.result?.streams ?? [])
      expect(applied + folded + filtered + deadLettered).toBe(read);
    const all = await sourceColumns(server, pair.source);
    const columns = new Map([...all].filter(([table]) => TABLES.includes(table)));
    const source = await postgresRows(server, pair.source, columns);
    const copy = await postgresRows(server, pair.copy, columns);
    assert.deepEqual(differences(source, copy), {}, 'contents differ');
    await expectChecked(pair);
  },
  120_000 + kills * 30_000,
);

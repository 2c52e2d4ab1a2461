// The service with seven streams, two of them transformed, kill -9 at random moments and edits of its file in between, under a live workload.
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

/** What the source's own query does in the snapshot, and the objects lane to the changes. */
const NAMED = {
  id: 'named',
  type: 'custom',
  specification: {
    filter: "name is not null and id <> 7 and not name in ('none')",
    mapping: { rename: { name: 'title' }, set: { origin: "'chaos'" } },
  },
};

/** The rows that the filter keeps, no others, under the new name. */
async function expectNamed(pair: Replication): Promise<void> {
  const source = await pair.read(
    'source',
    "select id::text, name, 'chaos' from keyed where name is not null and id <> 7 and name <> 'none' order by id",
  );
  const copy = await pair.read(
    'postgres',
    'select id::text, title, origin from keyed_named order by id',
  );
  expect(source.length).toBeGreaterThan(0);
  assert.deepEqual(copy, source);
}

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
      file.write(edited(streams, random), { transformations: [CHECKED, NAMED] });
      if (random.chance(50)) file.writeText('streams: [this is, no: configuration');
    }
  }
  await delay(random.below(early ? 800 : 1200));
  running.kill('SIGKILL');
  const exit = await running.exit;
  expect(exit.signal, exit.stderr).toBe('SIGKILL');
}

test.skipIf(server === null)(
  `${kills} kills and edits of a service with seven streams`,
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
    const [keyed] = plain;
    const transformed = [CHECKED, NAMED].map(({ id }) => ({
      ...keyed,
      id: `${pair.source}-${id}`,
      destination: {
        ...(keyed?.['destination'] as object),
        collection_table: `public.keyed_${id}`,
      },
      transformation_id: id,
    }));
    const streams: readonly StreamEntry[] = [...plain, ...transformed];
    const more = { transformations: [CHECKED, NAMED] };
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
    await expectNamed(pair);
  },
  120_000 + kills * 30_000,
);

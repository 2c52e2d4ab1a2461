// The index of dead letters: brought up to what destinations keep, by any number at once, without a value of a row.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { type NamedSystem, openDestination, resolveSystem } from '../../src/connectors/registry.ts';
import type { DeadLetterStore } from '../../src/core/dead-letter.ts';
import { ACT_INSERT } from '../../src/core/folded-rows.ts';
import { OP_INSERT } from '../../src/core/row-batch.ts';
import type { Metadata } from '../../src/metadata/database.ts';
import { listDeadLetters } from '../../src/metadata/dead-letters.ts';
import { readEvents } from '../../src/metadata/events-outbox.ts';
import { readLogs } from '../../src/metadata/execution-logs.ts';
import { claimExecution, findExecution, startExecution } from '../../src/metadata/executions.ts';
import { engineName } from '../../src/orchestration/activities/extract.ts';
import { bringUp, bringUpLetters } from '../../src/orchestration/activities/letter-index.ts';
import { rowBatch, streamSchema, streamTarget } from '../support/batches.ts';
import { applyRows, keyedRows, runSql } from '../support/duckdb-fixture.ts';
import { aPipeline } from '../support/metadata-builders.ts';
import { describeEachStore, type Store } from '../support/metadata-stores.ts';
import { testContext } from '../support/postgres-destination.ts';
import { sharedServer } from '../support/shared-servers.ts';

const CANARY = 'canary-of-a-row-91ab';
const COUNT = 1203;

interface Place extends AsyncDisposable {
  readonly system: NamedSystem;
  sql(...statements: readonly string[]): Promise<void>;
  /** Statements of `INSERT ... SELECT` that make letters of a pipeline. */
  letters(pipeline: string, count: number, state?: 'replayed'): string;
}

async function postgres(): Promise<Place | null> {
  const server = sharedServer(17);
  if (server === null) return null;
  const database = await server.createDatabase();
  return {
    system: await resolveSystem(server.url(database)),
    sql: async (...statements) => {
      for (const statement of statements) await server.query(database, statement);
    },
    letters: (pipeline, count, state) =>
      `insert into _forebay.dead_letters
         (id, pipeline, stream, op, code, reason, position, payload, plan, key, replayed_at)
       select gen_random_uuid(), '${pipeline}', 'public.s' || i % 2, 'i', 'value_rejected', '${CANARY}', '1',
         '{"v": "${CANARY}"}', '{"refusal": {"state": "22003", "by": null}}', null,
         ${state === undefined ? 'null' : 'now()'} from generate_series(1, ${count}) i`,
    [Symbol.asyncDispose]: () => server.dropDatabase(database),
  };
}

async function duckdb(): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'fb-index-'));
  const path = join(folder, 'copy.duckdb');
  return {
    system: await resolveSystem(`duckdb:${path}`),
    sql: async (...statements) => void (await runSql(path, statements)),
    letters: (pipeline, count, state) =>
      `insert into _forebay.dead_letters
       select uuid(), '${pipeline}', 'public.s' || i % 2, 'i', 'value_rejected', 'column v is INTEGER', '1',
         '{"v": "${CANARY}"}', now(), ${state === undefined ? 'null' : 'now()'}, null, false, '{}'
       from range(1, ${count + 1}) r(i)`,
    [Symbol.asyncDispose]: () => Promise.resolve(rmSync(folder, { recursive: true })),
  };
}

/** What Forebay remembers there is made. */
async function begin(system: NamedSystem): Promise<void> {
  await using destination = await openDestination(system, testContext());
  await using _session = await destination.openSession('other');
}

async function execution({ db, organization }: Store) {
  const scope = await organization();
  const { id: pipelineId } = await aPipeline(db, scope);
  const { execution: claimed } = await claimExecution(db, scope, {
    pipeline_id: pipelineId,
    workflow: 'ReplicationWorkflow',
    trigger: 'manual',
    parameters: '{}',
  });
  await startExecution(db, scope, { id: claimed.id, run_id: null });
  return { scope, pipelineId, executionId: claimed.id };
}

const signal = new AbortController().signal;

describeEachStore('the index of dead letters', (of) => {
  test.each([
    ['PostgreSQL', postgres],
    ['DuckDB', duckdb],
  ] as const)('has each letter of %s once, whoever looks and how often', async (_, open) => {
    await using place = await open();
    if (place === null) return;
    await begin(place.system);
    const store = of();
    const { db } = store;
    const { scope, pipelineId, executionId } = await execution(store);
    const own = engineName('follow', pipelineId);
    await place.sql(
      place.letters(own, COUNT - 8),
      place.letters(`${engineName('query', pipelineId)}_abcde`, 5),
      place.letters(own, 3, 'replayed'),
      place.letters(engineName('follow', scope.organizationId), 7),
    );
    await using other = await store.again();
    const work = { scope, pipelineId, destination: place.system, executionId, layer: null, signal };
    const open1 = await Promise.all([
      bringUpLetters({ metadata: { db, dialect: store.dialect } as Metadata }, work),
      bringUpLetters({ metadata: other }, work),
      bringUpLetters({ metadata: other }, work),
    ]);
    const page = { after: null, limit: 5000 };
    const list = (resolved?: boolean) => listDeadLetters(db, scope, { pipelineId, resolved }, page);
    expect(await list()).toHaveLength(COUNT);
    expect(await list(true)).toHaveLength(3);
    expect(Math.max(...open1)).toBe(COUNT - 3);
    expect(await findExecution(db, scope, executionId)).toMatchObject({ records_failed: COUNT });
    const events = await readEvents(db, scope, { after: 0, limit: 100 });
    const counts = events.flatMap(
      ({ data }) => (JSON.parse(data) as { rejected: { count: number }[] }).rejected,
    );
    expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(COUNT);
    const lines = await readLogs(db, scope, executionId, { after: 0, limit: 100 });
    const told = lines.map(({ message }) => Number.parseInt(message, 10));
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(COUNT);
    expect(JSON.stringify([events, lines, await list()])).not.toContain(CANARY);

    // Replayed, outdated and dropped ones, and one that comes back.
    const letters = await list(false);
    const ids = letters.slice(0, 3).map(({ letter_id }) => letter_id);
    const outdated =
      place.system.entry.schemes[0] === 'duckdb' ? 'superseded = true' : 'superseded_at = now()';
    await place.sql(
      `update _forebay.dead_letters set replayed_at = now() where id = '${ids[0]}'`,
      `update _forebay.dead_letters set ${outdated} where id = '${ids[1]}'`,
      `delete from _forebay.dead_letters where id = '${ids[2]}'`,
    );
    expect(await bringUpLetters({ metadata: other }, work)).toBe(COUNT - 6);
    const resolved = (await list(true)).map(({ letter_id }) => letter_id);
    expect(resolved).toHaveLength(6);
    expect(resolved).toEqual(expect.arrayContaining(ids));
    await place.sql(`update _forebay.dead_letters set replayed_at = null where id = '${ids[0]}'`);
    expect(await bringUpLetters({ metadata: other }, work)).toBe(COUNT - 5);
    expect(await findExecution(db, scope, executionId)).toMatchObject({ records_failed: COUNT });
  });

  test('of letters that two find at once each is told of by one', async () => {
    const store = of();
    const { db, dialect } = store;
    const { scope, pipelineId, executionId } = await execution(store);
    const destination = await resolveSystem('duckdb:never-opened.duckdb');
    const work = { scope, pipelineId, destination, executionId, layer: null, signal };
    // Both have looked before either writes.
    const bothLooked = Promise.withResolvers<void>();
    let looked = 0;
    const finding = (ids: readonly string[]): DeadLetterStore => ({
      list: () => Promise.resolve([]),
      get: () => Promise.resolve(null),
      replay: () => Promise.resolve([]),
      remove: () => Promise.resolve(0),
      page: async (range) => {
        looked += 1;
        if (looked === 2) bothLooked.resolve();
        await bothLooked.promise;
        const letters = (range.ids ?? ids).map((id) => ({
          id,
          stream: 'public.s',
          code: 'value_rejected',
          reason: 'r',
          at: '2026-01-01T00:00:00.000Z',
          isOpen: true,
        }));
        return { letters, next: null };
      },
    });
    const deps = { metadata: { db, dialect } as Metadata };
    await Promise.all([
      bringUp(deps, work, finding(['1', '2', '3', '4'])),
      bringUp(deps, work, finding(['3', '4', '5'])),
    ]);
    expect(await findExecution(db, scope, executionId)).toMatchObject({ records_failed: 5 });
    const lines = await readLogs(db, scope, executionId, { after: 0, limit: 9 });
    const told = lines.map(({ message }) => Number.parseInt(message, 10));
    expect(told.reduce((sum, count) => sum + count, 0)).toBe(5);
  });
});

const odd = streamSchema(
  { id: { kind: 'int', bits: 32 }, value: { kind: 'text' } },
  { name: 'odd' },
);
const target = streamTarget(odd);
const server = sharedServer(17);

const LONG_NUMBER = '99999999999940017';

test.skipIf(server === null).each([
  ['check (value::int > 0)', CANARY, 'invalid_text_representation (22P02)'],
  ['check (value::int > 0)', LONG_NUMBER, 'numeric_value_out_of_range (22003)'],
  ['check (value::timestamptz > now())', CANARY, 'invalid_datetime_format (22007)'],
  ['unique', CANARY, 'unique_violation (23505), constraint odd_value_key'],
  ["check (value = 'x')", CANARY, 'check_violation (23514), constraint odd_value_check'],
  ['/* fires */', CANARY, 'check_violation (23514)'],
])(
  'of a row that PostgreSQL refuses for `%s` (%s) nothing is told',
  async (rule, canary, reason) => {
    if (server === null) return;
    const database = await server.createDatabase();
    await server.query(database, `create table odd (id int primary key, value text ${rule})`);
    if (rule.includes('fires')) {
      await server.query(
        database,
        `create function refuse() returns trigger language plpgsql as
         $$ begin raise exception 'no %', new.value using errcode = 'check_violation'; end $$;
       create trigger refuse before insert on odd for each row execute function refuse();
       alter table odd enable always trigger refuse`,
      );
    }
    const system = await resolveSystem(server.url(database));
    await using destination = await openDestination(system, testContext());
    await using session = await destination.openSession('p');
    await session.prepare(target);
    const values = [canary, canary].map((value, id) => ({
      op: OP_INSERT,
      values: [String(id), value],
    }));
    await applyRows(
      session,
      target,
      '1',
      keyedRows(rowBatch(odd, values), [ACT_INSERT, ACT_INSERT]),
    );
    const range = {
      pipelines: ['p'],
      stream: null,
      ids: null,
      openOnly: true,
      after: null,
      limit: 9,
    };
    const { letters } = await destination.deadLetters.page(range);
    expect(letters.length).toBeGreaterThan(0);
    expect(new Set(letters.map((letter) => letter.reason))).toEqual(new Set([reason]));
    expect(JSON.stringify(letters)).not.toContain(canary);
  },
);

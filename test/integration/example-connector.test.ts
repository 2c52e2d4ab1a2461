// The connector of docs/connectors/writing-one.md, through the engine and beside a connector of ours.
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { parseAddress } from '../../src/connectors/duckdb/config.ts';
import { connector as duckdb } from '../../src/connectors/duckdb/connector.ts';
import type { Connector, SystemAddress } from '../../src/core/connector.ts';
import type { PipelineSpec, RunMode, RunResult } from '../../src/engine/pipeline.ts';
import { runPipeline } from '../../src/engine/run.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { exampleAddress, exampleConnector } from '../support/example-connector.ts';
import type { Content } from '../support/example-store.ts';
import { TEST_SPEC } from '../support/pipeline-spec.ts';

const SPEC: PipelineSpec = { ...TEST_SPEC, name: 'example' };
const CATCH_UP: RunMode = { kind: 'replicate', untilCaughtUp: true };

interface Side {
  readonly connector: Connector;
  readonly address: SystemAddress;
}

function run(
  mode: RunMode,
  source: Side,
  destination: Side,
  spec: Partial<PipelineSpec> = {},
): Promise<RunResult> {
  return runPipeline(
    mode,
    { ...SPEC, ...spec },
    {
      openSource: async (context) => {
        const opened = await source.connector.openSource?.(source.address, context);
        if (opened === undefined) throw new TypeError('no source');
        return opened;
      },
      openDestination: async (context) => {
        const opened = await destination.connector.openDestination?.(destination.address, context);
        if (opened === undefined) throw new TypeError('no destination');
        return opened;
      },
      sameSystem: false,
      options: {},
    },
    { drain: new AbortController().signal, observe: () => {} },
  );
}

interface Place extends Disposable {
  readonly journal: string;
  readonly from: Side;
  readonly to: Side;
  readonly dir: string;
  log(...lines: readonly unknown[]): void;
  rows(table: string): unknown[];
}

function place(): Place {
  const dir = mkdtempSync(join(tmpdir(), 'fb-example-'));
  const journal = join(dir, 'journal.jsonl');
  const store = join(dir, 'store.json');
  writeFileSync(journal, '');
  return {
    dir,
    journal,
    from: { connector: exampleConnector, address: exampleAddress(`example:${journal}`) },
    to: { connector: exampleConnector, address: exampleAddress(`example:${store}`) },
    log: (...lines) =>
      appendFileSync(journal, lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
    rows: (table) =>
      Object.values((JSON.parse(readFileSync(store, 'utf8')) as Content).tables[table] ?? {}),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

const PEOPLE = {
  table: 'people',
  columns: { id: 'int', name: 'text', active: 'boolean' },
  key: ['id'],
};
const at = '2026-01-01T00:00:00Z';
const FIRST = {
  at,
  changes: [
    ['i', 'people', { id: 1, name: 'Ada', active: true }],
    ['i', 'people', { id: 2, name: 'Grace', active: null }],
  ],
};
const SECOND = {
  at,
  changes: [
    ['u', 'people', { id: 1, name: 'Ada L.', active: false }],
    ['d', 'people', { id: 2 }],
    ['i', 'people', { id: 3, name: 'Édith', active: true }],
  ],
};

test('a snapshot, then the changes of a second run, a new column and a new table', async () => {
  using here = place();
  here.log(PEOPLE, FIRST);
  expect(await run(CATCH_UP, here.from, here.to)).toMatchObject({
    status: 'completed',
    error: null,
  });
  expect(here.rows('journal.people')).toEqual([
    { id: '1', name: 'Ada', active: 't' },
    { id: '2', name: 'Grace', active: null },
  ]);

  here.log(
    SECOND,
    { ...PEOPLE, columns: { ...PEOPLE.columns, city: 'text' } },
    { at, changes: [['i', 'people', { id: 4, name: 'Mary', active: true, city: 'Lyme' }]] },
    { table: 'places', columns: { name: 'text' }, key: ['name'] },
    { at, changes: [['i', 'places', { name: 'Lyme' }]] },
  );
  const second = await run(CATCH_UP, here.from, here.to);
  expect(second).toMatchObject({ status: 'completed', error: null });
  const people = second.streams.find(({ stream }) => stream === 'journal.people');
  expect(people).toMatchObject({
    read: 4,
    applied: 4,
    folded: 0,
    filtered: 0,
    deadLettered: 0,
    paused: null,
  });
  expect(here.rows('journal.people')).toEqual([
    { id: '1', name: 'Ada L.', active: 'f', city: null },
    { id: '3', name: 'Édith', active: 't', city: null },
    { id: '4', name: 'Mary', active: 't', city: 'Lyme' },
  ]);
  expect(here.rows('journal.places')).toEqual([{ name: 'Lyme' }]);
});

test('a journal that was replaced is a lost position, and recover repairs what differs', async () => {
  using here = place();
  here.log(PEOPLE, FIRST);
  await run(CATCH_UP, here.from, here.to);
  rmSync(here.journal);
  // Keeps the number of the file that is gone from being given to the new one.
  writeFileSync(join(here.dir, 'holder'), '');
  writeFileSync(here.journal, '');
  here.log(PEOPLE, { at, changes: [['i', 'people', { id: 1, name: 'Ada', active: false }]] });
  expect((await run(CATCH_UP, here.from, here.to)).error?.code).toBe('position_lost');

  const recovered = await run({ kind: 'recover' }, here.from, here.to);
  expect(recovered).toMatchObject({
    status: 'completed',
    repaired: [{ stream: 'journal.people', rowsCompared: 1, inserted: 0, updated: 1, deleted: 1 }],
  });
  expect(here.rows('journal.people')).toEqual([{ id: '1', name: 'Ada', active: 'f' }]);
});

test('it lands in DuckDB, and DuckDB in it', async () => {
  using here = place();
  const path = join(here.dir, 'copy.duckdb');
  const file: Side = { connector: duckdb, address: parseAddress(`duckdb:${path}`) };
  here.log(PEOPLE, FIRST);
  await run(CATCH_UP, here.from, file);
  here.log(SECOND);
  expect(await run(CATCH_UP, here.from, file)).toMatchObject({ status: 'completed', error: null });
  const texts = `select id::varchar, name, active::varchar from journal.people order by id`;
  expect(await readDuckdb(path, texts)).toEqual([
    ['1', 'Ada L.', 'false'],
    ['3', 'Édith', 'true'],
  ]);

  // DuckDB tables have no key, and this destination takes none without.
  const back = await run({ kind: 'copy' }, file, here.to);
  expect(back.error).toMatchObject({ code: 'destination_incompatible', stream: 'journal.people' });
});

// A run that dies while rows are transformed: the next one brings the destination to what the source's rows are
// transformed to, with each rejected row in one dead letter.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';

import { describe, expect, test } from 'vitest';

import type { FailpointName } from '../../src/core/failpoint.ts';
import { createLane, type LanePipeline } from '../support/lane-pipeline.ts';
import { type LaneSettings, TRANSFORMS } from '../support/lane-transforms.ts';
import { sharedServer } from '../support/shared-servers.ts';

const server = sharedServer(17);
const settings: LaneSettings = { transform: 'eventful' };
const program = join(import.meta.dirname, '..', 'support', 'lane-process.ts');

/** Runs until caught up or dead; how it ended. */
async function runProcess(
  lane: LanePipeline,
  failpoints: string,
): Promise<{ readonly code: unknown; readonly signal: unknown; readonly output: string }> {
  const order = JSON.stringify({ urls: lane.urls, name: lane.name, settings });
  const child = spawn(process.execPath, [program, order], {
    env: { ...process.env, FOREBAY_FAILPOINTS: failpoints },
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (output += data.toString()));
  const [code, signal] = (await once(child, 'close')) as [unknown, unknown];
  return { code, signal, output };
}

/** Every kind of row, under ids from `first` on; 5 is the number of the bad ones. */
function rows(first: number): string {
  const names = ['plain', 'bad', `new f${first}`, 'large', 'plain'];
  return `insert into names select ${first} + n, case (array['${names.join("','")}'])[n % 5 + 1]
    when 'large' then repeat('x', 5000) else (array['${names.join("','")}'])[n % 5 + 1] end, n % 7 <> 0, 0
    from generate_series(0, 24) n`;
}

/**
 * What the destination should hold: the source's rows, transformed here. Where a table is read beside the changes, a row
 * that comes both ways is rejected both times.
 */
async function expectTransformed(lane: LanePipeline, times: 'once' | 'twice'): Promise<void> {
  const { rows: there } = await lane.client.query<Record<string, unknown>>(
    'select id, name, active, n from names order by id',
  );
  const bad = new Set<string>();
  const wanted: (string | null)[][] = [];
  const fields = new Set<string>();
  for (const row of there) {
    const outcome = TRANSFORMS.eventful(JSON.stringify(row));
    if (outcome.kind === 'failed') bad.add(String(row['id']));
    if (outcome.kind !== 'document') continue;
    const document = JSON.parse(outcome.json) as Record<string, unknown>;
    const extra = Object.keys(document).find((key) => key.startsWith('f'));
    if (extra !== undefined) fields.add(extra);
    wanted.push([String(row['id']), String(row['name']), String(row['n']), extra ?? null]);
  }
  const named = [...fields].map((field) => `when ${field} is not null then '${field}'`).join(' ');
  const which = named === '' ? 'null' : `case ${named} end`;
  const found = await lane.read(
    `select cast(id as varchar), name, cast(n as varchar), ${which} from public.names order by id`,
  );
  expect(found).toEqual(wanted);
  const letters = await lane.read(
    `select ${lane.urls[1].startsWith('duckdb') ? `payload->>'$.id'` : `payload->>'id'`} from _forebay.dead_letters`,
  );
  const numbers = letters.map(([id]) => Number(id)).toSorted((a, b) => a - b);
  const expected = [...bad].map(Number).toSorted((a, b) => a - b);
  expect(times === 'once' ? numbers : [...new Set(numbers)]).toEqual(expected);
}

const SNAPSHOT: readonly FailpointName[] = [
  'snapshot.insideChunk',
  'snapshot.afterChunk',
  'snapshot.beforeFinish',
];
const CHANGES: readonly FailpointName[] = [
  'destination.write',
  'changes.insideTransaction',
  'changes.beforeCommit',
  'destination.commit',
  'changes.afterCommit',
  'schema.afterEvolve',
];

describe.skipIf(server === null)('a run that is killed while it transforms', () => {
  if (server === null) return;

  for (const kind of ['postgres', 'duckdb'] as const) {
    const begun = (): Promise<LanePipeline> =>
      createLane(
        server,
        kind,
        `create table names (id int primary key, name text, active boolean, n int);
         alter table names alter name set storage external`,
      );

    test.for(SNAPSHOT)(`${kind}: in the snapshot, at %s`, async (failpoint) => {
      await using lane = await begun();
      await lane.sql(rows(100));
      expect((await runProcess(lane, `${failpoint}=kill`)).signal).toBe('SIGKILL');
      await lane.sql(rows(200));
      const again = await runProcess(lane, '');
      expect(again.code, again.output).toBe(0);
      await expectTransformed(lane, failpoint === 'snapshot.insideChunk' ? 'twice' : 'once');
    });

    test(`${kind}: in the changes, at each place in turn`, async () => {
      await using lane = await begun();
      await lane.sql(rows(100));
      expect((await runProcess(lane, '')).code).toBe(0);
      for (const [turn, failpoint] of CHANGES.entries()) {
        const first = (turn + 2) * 100;
        await lane.sql(rows(first));
        await lane.sql(`update names set n = n + 1 where name not like 'bad%'`);
        await lane.sql(
          `update names set active = not active where id % 4 = 0 and name not like 'bad%'`,
        );
        await lane.sql(`delete from names where id % 100 = 3 and name not like 'bad%'`);
        if (failpoint === 'schema.afterEvolve')
          await lane.sql(
            `alter table names add more int; ${rows(first + 50).replace(', 0\n', ', 0, 1\n')}`,
          );
        expect((await runProcess(lane, `${failpoint}=kill`)).signal, failpoint).toBe('SIGKILL');
        await lane.sql(`update names set n = n + 1 where id % 3 = 0 and name not like 'bad%'`);
        const again = await runProcess(lane, '');
        expect(again.code, again.output).toBe(0);
        await expectTransformed(lane, 'once');
      }
    });
  }
});

// A copy out of a DuckDB file that is killed at each failpoint it passes, and run again: every row once.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import type { FailpointName } from '../../src/core/failpoint.ts';
import { runSql } from '../support/duckdb-fixture.ts';
import { readDuckdb } from '../support/duckdb-read.ts';
import { runForebay } from '../support/process.ts';
import { sharedServer } from '../support/shared-servers.ts';
import { failedWith } from './failpoint-bench.ts';

const server = sharedServer(17);

const places: readonly { name: FailpointName; at: number; only?: 'duckdb' }[] = [
  { name: 'snapshot.beforeChunk', at: 2 },
  { name: 'snapshot.insideChunk', at: 2 },
  { name: 'snapshot.afterChunk', at: 1 },
  { name: 'snapshot.beforeFinish', at: 1 },
  { name: 'snapshot.afterFinish', at: 1 },
  { name: 'destination.write', at: 2, only: 'duckdb' },
  { name: 'destination.commit', at: 2, only: 'duckdb' },
];

const SOURCE = [
  'create table keyed (id integer primary key, v varchar, n decimal(12, 2))',
  `insert into keyed select i, 'v' || i, i / 4 from range(1, 20001) t(i)`,
  'create table bare (kind integer, note varchar)',
  `insert into bare select i % 3, case when i % 5 = 0 then null else 'n' || i % 4 end from range(1, 9001) t(i)`,
];

const QUERIES = [
  `select cast(id as varchar) as key, v, cast(n as varchar) as n from keyed order by id`,
  `select cast(kind as varchar) as kind, coalesce(note, '-') as note, cast(count(*) as varchar) as n from bare group by 1, 2 order by 1, 2`,
];

for (const kind of ['postgres', 'duckdb'] as const) {
  describe.skipIf(server === null)(`copy of a file to ${kind}`, () => {
    for (const { name, at, only } of places) {
      if (only !== undefined && only !== kind) continue;
      test.each(['kill', 'throw'] as const)(`${name} %s`, async (action) => {
        if (server === null) return;
        const dir = mkdtempSync(join(tmpdir(), 'fb-copy-'));
        const source = join(dir, 'source.duckdb');
        const file = join(dir, 'copy.duckdb');
        const database = kind === 'postgres' ? await server.createDatabase() : null;
        try {
          await runSql(source, SOURCE);
          const to = database === null ? `duckdb:${file}` : server.url(database);
          const args = ['copy', `duckdb:${source}`, to, '--schema', 'public', '--json'];
          const env = { FOREBAY_FAILPOINTS: `${name}=${action}@${at}` };
          const broken = await runForebay(args, { env });
          const reached =
            action === 'kill' ? broken.signal === 'SIGKILL' : failedWith(broken, 'failpoint');
          expect(reached, broken.stderr).toBe(true);
          const again = await runForebay(args);
          expect(again.code, again.stderr + again.stdout).toBe(0);
          for (const sql of QUERIES) {
            const here = sql.replace(' from ', ' from public.');
            const rows =
              database === null
                ? await readDuckdb(file, here)
                : (await server.query(database, here)).map((row) => Object.values(row));
            expect(rows).toEqual(await readDuckdb(source, sql));
          }
        } finally {
          rmSync(dir, { recursive: true, force: true });
          if (database !== null) await server.dropDatabase(database);
        }
      });
    }
  });
}

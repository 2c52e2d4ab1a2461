// Values that a destination cannot hold. Other types and values: types-*.test.ts. Each test's number is that of
// the scenario in docs/scoreboard.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { runSql } from '../support/duckdb-fixture.ts';
import { runForebay } from '../support/process.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { createPipeline } from '../support/test-pipeline.ts';

describeEachServer(
  'values',
  (server) => {
    test('40 U+0000 into PostgreSQL: the row is a dead letter, counted, the others arrive', async () => {
      const dir = mkdtempSync(join(tmpdir(), 'fb-nul-'));
      const database = await server.createDatabase();
      try {
        const file = join(dir, 'source.duckdb');
        await runSql(file, [
          'create table notes (id int, body varchar)',
          `insert into notes values (1, 'before'), (2, 'a' || chr(0) || 'b'), (3, 'after')`,
        ]);
        const exit = await runForebay([
          'copy',
          `duckdb:${file}`,
          server.url(database),
          '--schema',
          'public',
          '--json',
        ]);
        expect(exit.code, exit.stderr + exit.stdout).toBe(5);
        expect(exit.result?.streams[0]).toMatchObject({ read: 3, applied: 2, deadLettered: 1 });
        expect(await server.query(database, 'select body from notes order by id')).toEqual([
          { body: 'before' },
          { body: 'after' },
        ]);
        const letters = await server.query(database, 'select reason from _forebay.dead_letters');
        expect(letters).toHaveLength(1);
      } finally {
        await server.dropDatabase(database);
        rmSync(dir, { recursive: true, force: true });
      }
    });

    test('40 U+0000 written as an escape in json: kept as it is', async () => {
      await using pipeline = await createPipeline(server, {
        destination: 'duckdb',
        setup: `create table notes (id int primary key, doc json); insert into notes values (1, '{"a": "\\u0000"}')`,
      });
      await pipeline.caughtUp();
      await pipeline.sql(`insert into notes values (2, '["\\u0000b"]')`);
      await pipeline.caughtUp();
      expect(
        await pipeline.read('select cast(doc as varchar) from public.notes order by id'),
      ).toEqual([['{"a": "\\u0000"}'], ['["\\u0000b"]']]);
    });
  },
  [17],
);

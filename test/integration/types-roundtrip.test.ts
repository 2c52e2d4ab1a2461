// PostgreSQL to DuckDB and back, and from DuckDB file to DuckDB file: the values are the original's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runForebay } from '../support/process.ts';
import { dropSource } from '../support/replication.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { casesFor } from '../support/type-cases.ts';
import {
  duckdbContents,
  expectDone,
  makeTables,
  plainSession,
  postgresContent,
  tableOf,
} from '../support/type-matrix.ts';

describeEachServer('there and back', (server) => {
  const cases = casesFor(server.major);
  const dir = mkdtempSync(join(tmpdir(), 'fb-roundtrip-'));
  const first = join(dir, 'first.duckdb');
  const second = join(dir, 'second.duckdb');
  let source = '';
  let back = '';
  let twice = '';

  beforeAll(async () => {
    [source, back, twice] = (await Promise.all([1, 2, 3].map(() => server.createDatabase()))) as [
      string,
      string,
      string,
    ];
    await makeTables(server, source, cases);
    const copies = [
      [server.url(source), `duckdb:${first}`],
      [`duckdb:${first}`, server.url(back)],
      [`duckdb:${first}`, `duckdb:${second}`],
      [`duckdb:${second}`, server.url(twice)],
    ];
    for (const systems of copies) expectDone(await runForebay(['copy', ...systems, '--json']));
  });

  afterAll(async () => {
    rmSync(dir, { recursive: true, force: true });
    for (const database of [source, back, twice]) await dropSource(server, database);
  });

  test('every type is the same in both files', async () => {
    const [before, after] = [
      await duckdbContents(first, cases),
      await duckdbContents(second, cases),
    ];
    for (const { name } of cases) expect(after.get(name), name).toEqual(before.get(name));
  });

  describe.each(['one file', 'two files'])('through %s', (way) => {
    test.for(cases.map((item) => [item.name, item] as const))('%s', async ([, item]) => {
      const database = way === 'one file' ? back : twice;
      const original = await postgresContent(server, source, item);
      const returned = await postgresContent(server, database, item);
      expect(returned.texts).toEqual(original.texts);
      await using client = await server.connect(source);
      await client.query(plainSession);
      const keeps = item.duckdb.type !== 'VARCHAR' && !item.duckdb.type.endsWith('VARCHAR[]');
      if (keeps && item.elsewhere === undefined && returned.type !== original.type) {
        // The numbers in brackets may be gone, and the way in which JSON is stored.
        const { rows } = await client.query<{ same: boolean }>(
          'select $1::regtype = $2::regtype as same',
          [original.type.replace('jsonb', 'json'), returned.type],
        );
        expect(rows, `${original.type} came back as ${returned.type}`).toEqual([{ same: true }]);
      }
      expect(returned.texts, tableOf(item)).toEqual(original.texts);
    });
  });
});

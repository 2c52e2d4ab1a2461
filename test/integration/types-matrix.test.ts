// Each type with its edge values: in the snapshot, on the stream and by update the same, and as expected.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { ServerConnection } from '../support/server-connection.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { dropSlots } from '../support/slots.ts';
import { casesFor } from '../support/type-cases.ts';
import {
  changeTables,
  duckdbContents,
  expectDone,
  expectedTexts,
  makeTables,
  postgresContent,
  replicate,
  type TableContent,
} from '../support/type-matrix.ts';

function titleOf(name: string): string {
  const scenarios: readonly (readonly [number, RegExp])[] = [
    [36, /^(float|numeric_(nan|any)$)/],
    [37, /^(numeric|money|int8)/],
    [38, /^(date|time|interval)/],
    [42, /^json/],
    [43, /./],
  ];
  const number = scenarios.find(([, pattern]) => pattern.test(name))?.[0] ?? 43;
  return `${number} ${name}`;
}

async function runBoth(
  server: ServerConnection,
  places: { source: string; copy: string; file: string },
) {
  const { source, copy, file } = places;
  const cases = casesFor(server.major);
  await makeTables(server, source, cases);
  const toPostgres = [server.url(source), server.url(copy), '--name', `pg_${source}`];
  const toDuckdb = [server.url(source), `duckdb:${file}`, '--name', `duck_${source}`];
  expectDone(await replicate(...toPostgres));
  expectDone(await replicate(...toDuckdb));
  await changeTables(server, source, cases);
  const exits = [await replicate(...toPostgres), await replicate(...toDuckdb)];
  for (const exit of exits) expectDone(exit);
  return exits;
}

describeEachServer('types', (server) => {
  const cases = casesFor(server.major);
  const dir = mkdtempSync(join(tmpdir(), 'fb-types-'));
  const file = join(dir, 'types.duckdb');
  let source = '';
  let copy = '';
  let files: ReadonlyMap<string, TableContent>;

  beforeAll(async () => {
    source = await server.createDatabase();
    copy = await server.createDatabase();
    await runBoth(server, { source, copy, file });
    files = await duckdbContents(file, cases);
  });

  afterAll(async () => {
    rmSync(dir, { recursive: true, force: true });
    await dropSlots(server, source);
    await server.dropDatabase(source);
    await server.dropDatabase(copy);
  });

  describe('to PostgreSQL', () => {
    test.for(cases.map((item) => [titleOf(item.name), item] as const))('%s', async ([, item]) => {
      const original = await postgresContent(server, source, item);
      const copied = await postgresContent(server, copy, item);
      expect(original.texts).toEqual(expectedTexts(original.texts['in the snapshot'] ?? []));
      expect(copied.texts).toEqual(original.texts);
      expect(copied.type).toBe(item.elsewhere ?? original.type);
    });
  });

  describe('to DuckDB', () => {
    test.for(cases.map((item) => [titleOf(item.name), item] as const))('%s', async ([, item]) => {
      const original = await postgresContent(server, source, item);
      const texts = item.duckdb.texts ?? original.texts['in the snapshot'] ?? [];
      expect(files.get(item.name)?.texts).toEqual(expectedTexts(texts));
      expect(files.get(item.name)?.type).toBe(item.duckdb.type);
    });
  });
});

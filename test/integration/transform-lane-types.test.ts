// Each type with its edge values through the lane: a document that comes back as it went is the row it was, and one
// that is written anew means the same.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { runPipeline } from '../../src/engine/run.ts';
import { LANE_SPEC, laneSystems } from '../support/lane-systems.ts';
import type { LaneSettings } from '../support/lane-transforms.ts';
import { describeEachServer } from '../support/shared-servers.ts';
import { dropSlots } from '../support/slots.ts';
import { casesFor } from '../support/type-cases.ts';
import {
  changeTables,
  duckdbContents,
  expectedTexts,
  makeTables,
  postgresContent,
  type TableContent,
} from '../support/type-matrix.ts';

/** The text of `json` is its value, so one that is written anew is another. */
const REWRITTEN = 'json';

describeEachServer(
  'types through a transformation',
  (server) => {
    const cases = casesFor(server.major);
    const dir = mkdtempSync(join(tmpdir(), 'fb-lane-types-'));
    const file = join(dir, 'types.duckdb');
    const places = { source: '', copy: '', rewritten: '' };
    let files: ReadonlyMap<string, TableContent>;

    async function run(destination: string, name: string, settings: LaneSettings): Promise<void> {
      const result = await runPipeline(
        { kind: 'replicate', untilCaughtUp: true },
        { ...LANE_SPEC, name },
        laneSystems([server.url(places.source), destination], settings),
        { drain: new AbortController().signal, observe: () => {} },
      );
      expect(result.error).toBeNull();
      const bad = result.streams.filter(
        ({ paused, deadLettered }) => paused !== null || deadLettered > 0,
      );
      expect(bad).toEqual([]);
    }

    async function runAll(): Promise<void> {
      const { source, copy, rewritten } = places;
      await run(server.url(copy), `pg_${source}`, { transform: 'identity' });
      await run(`duckdb:${file}`, `duck_${source}`, { transform: 'identity' });
      await run(server.url(rewritten), `new_${source}`, { transform: 'escaped' });
    }

    beforeAll(async () => {
      for (const place of ['source', 'copy', 'rewritten'] as const)
        places[place] = await server.createDatabase();
      await makeTables(server, places.source, cases);
      await runAll();
      await changeTables(server, places.source, cases);
      await runAll();
      files = await duckdbContents(file, cases);
    });

    afterAll(async () => {
      rmSync(dir, { recursive: true, force: true });
      await dropSlots(server, places.source);
      for (const database of Object.values(places)) await server.dropDatabase(database);
    });

    describe('to PostgreSQL', () => {
      test.for(cases.map((item) => [item.name, item] as const))('%s', async ([, item]) => {
        const original = await postgresContent(server, places.source, item);
        const copied = await postgresContent(server, places.copy, item);
        expect(copied.texts).toEqual(original.texts);
        expect(copied.type).toBe(item.elsewhere ?? original.type);
      });
    });

    describe('to PostgreSQL, written anew', () => {
      const plain = cases.filter(({ name }) => name !== REWRITTEN);
      test.for(plain.map((item) => [item.name, item] as const))('%s', async ([, item]) => {
        const original = await postgresContent(server, places.source, item);
        const copied = await postgresContent(server, places.rewritten, item);
        expect(copied.texts).toEqual(original.texts);
        expect(copied.type).toBe(item.elsewhere ?? original.type);
      });
    });

    describe('to DuckDB', () => {
      test.for(cases.map((item) => [item.name, item] as const))('%s', async ([, item]) => {
        const original = await postgresContent(server, places.source, item);
        const texts = item.duckdb.texts ?? original.texts['in the snapshot'] ?? [];
        expect(files.get(item.name)?.texts).toEqual(expectedTexts(texts));
        expect(files.get(item.name)?.type).toBe(item.duckdb.type);
      });
    });
  },
  [17],
);

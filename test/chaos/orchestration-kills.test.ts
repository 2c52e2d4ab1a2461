// Engines that are killed at every place and at any time: each execution ends, each effect is there once.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execPath } from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';

import { afterAll, describe, expect, test } from 'vitest';

import type { FailpointName } from '../../src/core/failpoint.ts';
import { postgresPlace } from '../support/orchestration-subject.ts';

const STEPS = 3;
/** Each step, three of a fan-out, the child. */
const LINES = STEPS + 4;
const POINTS = [
  'journal.beforeCommit',
  'journal.insideTransaction',
  'journal.afterCommit',
] as const satisfies FailpointName[];
const child = join(import.meta.dirname, '..', 'support', 'orchestration-child.ts');
const folder = mkdtempSync(join(tmpdir(), 'fb-orchestration-'));
afterAll(() => rmSync(folder, { recursive: true }));

interface Work {
  readonly sqlite: string | null;
  readonly postgres: string | null;
  readonly file: string;
  readonly workflows: readonly string[];
  readonly steps: number;
}

function launch(work: Work, failpoints = ''): ChildProcess {
  return spawn(execPath, [child, JSON.stringify(work)], {
    env: { ...process.env, FOREBAY_FAILPOINTS: failpoints },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Null when it was killed. */
async function exitOf(process: ChildProcess): Promise<number | null> {
  const [code] = (await once(process, 'exit')) as [number | null];
  return code;
}

function expectOnce({ file, workflows }: Work): void {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  const effects = lines.map((line) => line.slice(line.indexOf(' ') + 1));
  expect(effects.toSorted()).toEqual([...new Set(effects)].toSorted());
  expect(effects).toHaveLength(workflows.length * LINES);
}

const workOf = (name: string, workflows: readonly string[], postgres: string | null): Work => ({
  sqlite: postgres === null ? join(folder, `${name}.db`) : null,
  postgres,
  file: join(folder, `${name}.txt`),
  workflows,
  steps: STEPS,
});

describe('an engine that is killed', () => {
  test('at each write of the journal goes on from there', async () => {
    let killed = true;
    for (let hit = 1; killed; hit += 1) {
      const point = POINTS[hit % POINTS.length];
      const work = workOf(`hit-${hit}`, ['one'], null);
      killed = (await exitOf(launch(work, `${point}=kill@${hit}`))) === null;
      if (killed) expect(await exitOf(launch(work)), `killed at ${point}, hit ${hit}`).toBe(0);
      expectOnce(work);
      expect(hit).toBeLessThan(100);
    }
  }, 300_000);

  test('at any time, beside another one on the same server, loses nothing and does nothing twice', async (context) => {
    const place = await postgresPlace();
    if (place?.place.kind !== 'postgres') return context.skip();
    const names = Array.from({ length: 20 }, (_, index) => `w${index}`);
    const work = workOf('random', names, place.place.url.reveal());
    const seed = Date.now() % 1000;
    let state = seed;
    const random = (): number => (state = (state * 48_271 + 11) % 2_147_483_647) / 2_147_483_647;
    const waits: number[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const pair = [launch(work), launch(work)];
      const exits = Promise.all(pair.map(exitOf));
      waits.push(300 + Math.round(random() * 1200));
      await Promise.race([delay(waits.at(-1)), exits]);
      for (const one of pair) one.kill('SIGKILL');
      if ((await exits).every((code) => code === 0)) break;
    }
    expect(await exitOf(launch(work)), `seed ${seed}, waits ${waits.join()}`).toBe(0);
    expectOnce(work);
  }, 120_000);
});

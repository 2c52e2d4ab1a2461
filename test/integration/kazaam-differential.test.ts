// Ours beside the upstream library in Go, on random specifications and documents.
import { env, stderr, stdout } from 'node:process';

import { expect, test } from 'vitest';

import { compareRandomCases } from '../support/kazaam-comparison.ts';
import { findKazaamHarness } from '../support/kazaam-harness.ts';
import { freshSeed, seededRandom } from '../support/random.ts';

const harness = findKazaamHarness();
if (harness === null) {
  stderr.write(
    '\n*** TESTS SKIPPED: no Kazaam harness: install Go, run `npm run test:setup` ***\n\n',
  );
}

const CASES = Number(env['FOREBAY_KAZAAM_CASES'] ?? 10_000);

test.skipIf(harness === null && env['FOREBAY_TEST_REQUIRE'] !== 'all')(
  'what upstream does with random specifications and documents, Kazaam does',
  () => {
    if (harness === null) throw new Error('the Kazaam harness is required and is not there');
    const seed = Number(env['FOREBAY_KAZAAM_SEED'] ?? freshSeed());
    stdout.write(`kazaam: seed ${seed} (FOREBAY_KAZAAM_SEED plays it again)\n`);
    const tally = compareRandomCases(harness, seededRandom(seed), CASES);
    const equal = tally.compared - tally.differences.length;
    const count = (value: number): string => value.toLocaleString('en');
    stdout.write(`kazaam: ${count(equal)} of ${count(tally.compared)} equal\n`);
    stdout.write(`kazaam: compared ${JSON.stringify(tally.kinds)}\n`);
    stdout.write(`kazaam: undefined upstream, left out ${JSON.stringify(tally.excluded)}\n`);
    expect(tally.differences).toEqual([]);
    expect(tally.compared).toBe(CASES);
    // More than chance has it would be a mistake of ours.
    expect(tally.excluded['shared memory']).toBeLessThan(Math.max(4, CASES / 200));
  },
);

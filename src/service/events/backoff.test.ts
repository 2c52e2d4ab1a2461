import fc from 'fast-check';
import { expect, it } from 'vitest';
import { waitMs } from './backoff.ts';

const middle = (attempts: number): number => waitMs({ attempts, retryAfterMs: null, random: 0.5 });

it('doubles from 5 seconds to an hour', () => {
  expect([1, 2, 3, 10, 11, 12, 1000].map(middle)).toEqual([
    5000, 10_000, 20_000, 2_560_000, 3_600_000, 3_600_000, 3_600_000,
  ]);
});

it('is spread by a fifth, and never shorter than the receiver asks for within the hour', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5000 }),
      fc.double({ min: 0, max: 0.999_999, noNaN: true }),
      fc.option(fc.nat()),
      (attempts, random, retryAfterMs) => {
        const wait = waitMs({ attempts, random, retryAfterMs });
        const least = Math.min(retryAfterMs ?? 0, 3_600_000);
        expect(wait).toBeGreaterThanOrEqual(Math.max(Math.floor(middle(attempts) * 0.8), least));
        expect(wait).toBeLessThanOrEqual(Math.max(Math.ceil(middle(attempts) * 1.2), least));
      },
    ),
  );
});

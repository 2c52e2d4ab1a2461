import fc from 'fast-check';
import { expect, test } from 'vitest';

import { parseDurationMs } from './duration.ts';

test.each([
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['2d', 172_800_000],
  ['0s', 0],
])('%s', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.each(['', '5', 'm', '5 m', '-5m', '1.5h', '5x', '99999999999999999999d'])(
  '%j is none',
  (text) => {
    expect(parseDurationMs(text)).toBeNull();
  },
);

const amount = fc.nat({ max: 999 });

test('parts add up', () => {
  fc.assert(
    fc.property(fc.tuple(amount, amount, amount, amount, amount), ([d, h, m, s, ms]) => {
      const sum = (((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms;
      expect(parseDurationMs(`${d}d${h}h${m}m${s}s${ms}ms`)).toBe(sum);
    }),
    { verbose: true },
  );
});

test('any text is a number of milliseconds or none', () => {
  const text = fc.string({
    unit: fc.constantFrom('1', '0', '9', 'm', 's', 'h', 'd', '.', ' ', '-'),
  });
  fc.assert(
    fc.property(text, (given) => {
      const ms = parseDurationMs(given);
      expect(ms === null || (Number.isSafeInteger(ms) && ms >= 0)).toBe(true);
      if (ms !== null) expect(given).toMatch(/^(\d+(ms|[smhd]))+$/);
    }),
    { verbose: true },
  );
});

import { expect, test } from 'vitest';

import { formatBytes, formatCount, formatDuration } from './format.ts';

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1500, '1.5 s'],
  [60_000, '1 min'],
  [200_000, '3 min 20 s'],
  [7_500_000, '2 h 5 min'],
])('formatDuration prints %i', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('formatBytes keeps three digits', () => {
  expect([0, 999, 1000, 1536, 150 * 1024, 5 * 1024 ** 3].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 KiB',
    '1.5 KiB',
    '150 KiB',
    '5.0 GiB',
  ]);
});

test('formatCount groups digits', () => {
  expect(formatCount(1_234_567.4)).toBe('1,234,567');
});

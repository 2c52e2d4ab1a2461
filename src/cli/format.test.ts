import { expect, test } from 'vitest';

import { formatBytes, formatCount, formatDuration, parseDurationMs } from './format.ts';

test.each([
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['2d', 172_800_000],
  ['0s', 0],
])('parseDurationMs reads %s', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test.each(['', '5', 'm', '5 m', '-5m', '1.5h', '5x', '99999999999999999999d'])(
  'parseDurationMs refuses %j',
  (text) => {
    expect(parseDurationMs(text)).toBeNull();
  },
);

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

import { expect, it } from 'vitest';
import { timeOfText } from './quarantine.ts';

it.each([
  ['2026-01-31 12:00:00+00', '2026-01-31T12:00:00.000Z'],
  ['2026-01-31 12:00:00.123456+00', '2026-01-31T12:00:00.123Z'],
  ['2026-01-31 12:00:00+02', '2026-01-31T10:00:00.000Z'],
  ['2026-01-31 12:00:00.5+05:30', '2026-01-31T06:30:00.500Z'],
  [null, null],
])('%s is %s', (text, time) => {
  expect(timeOfText(text)).toBe(time);
});

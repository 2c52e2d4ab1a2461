import fc from 'fast-check';
import { expect, test } from 'vitest';

import { civilFromDays, daysFromCivil } from './calendar.ts';

test('days are those of the Gregorian calendar', () => {
  fc.assert(
    fc.property(fc.integer({ min: -90_000_000, max: 90_000_000 }), (number) => {
      const date = new Date(number * 86_400_000);
      const expected = {
        year: date.getUTCFullYear(),
        month: date.getUTCMonth() + 1,
        day: date.getUTCDate(),
      };
      expect(civilFromDays(number)).toEqual(expected);
      expect(daysFromCivil(expected.year, expected.month, expected.day)).toBe(number);
    }),
  );
});

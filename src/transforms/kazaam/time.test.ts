import { describe, expect, test } from 'vitest';

import { formatMoment } from './time-format.ts';
import { readLayout } from './time-layout.ts';
import { parseMoment } from './time-parse.ts';

const RFC3339 = readLayout('2006-01-02T15:04:05.999999999Z07:00');

/** Each result is that of Go 1.26 with TZ=UTC. */
describe('times are read and written as by Go', () => {
  test.each([
    ['06-1-2', '69-3-7', '1969-03-07T00:00:00Z'],
    ['06-1-2', '68-3-7', '2068-03-07T00:00:00Z'],
    ['Monday, 02-Jan-06 15:04:05 MST', 'Friday, 21-Jul-17 08:15:27 EST', '2017-07-21T08:15:27Z'],
    ['Jan _2 2006 3:04PM', 'feb  9 2024 12:07AM', '2024-02-09T00:07:00Z'],
    ['Jan _2 2006 3:04pm', 'Feb 29 2024 12:07pm', '2024-02-29T12:07:00Z'],
    ['2006 002', '2024 060', '2024-02-29T00:00:00Z'],
    ['2006 __2', '2023  60', '2023-03-01T00:00:00Z'],
    ['2006-01-02 15:04:05', '2024-02-29 23:59:59,123456', '2024-02-29T23:59:59.123456Z'],
    ['2006-01-02T15:04:05-070000', '2024-02-29T00:00:00+013015', '2024-02-29T00:00:00+01:30'],
    ['2006-01-02T15:04:05 GMT-7', '2024-02-29T00:00:00 GMT-7', '2024-02-29T00:00:00Z'],
    ['2006-01-02', '2023-02-29', null],
    ['15:04', '24:00', null],
    ['2006', '2006 ', null],
  ])('%s from %s', (layout, value, expected) => {
    const read = () => formatMoment(parseMoment(readLayout(layout), value), RFC3339);
    if (expected === null) expect(read).toThrow('parsing time');
    else expect(read()).toBe(expected);
  });

  test.each([
    ['Mon Jan _2 03:04:05.000 pm 2006 MST', 'Thu Feb 29 11:59:08.120 pm 2024 +0530'],
    [
      'Monday January 2 3 4 5 06 002 __2 1 -07 Z0700',
      'Thursday February 29 11 59 8 24 060  60 2 +05 +0530',
    ],
    ['15h .99 ,000 _2006 -07:00:00', '23h .12 ,120 _2024 +05:30:00'],
  ])('into %s', (layout, expected) => {
    const moment = parseMoment(RFC3339, '2024-02-29T23:59:08.12+05:30');
    expect(formatMoment(moment, readLayout(layout))).toBe(expected);
  });
});

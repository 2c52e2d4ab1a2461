import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Moment, parseMoment, printMoment, TRUNCATIONS, truncateMoment } from './moment.ts';

const parsed = (text: string): Moment => {
  const moment = parseMoment(text);
  if (moment === null) throw new Error(`${text} is no moment`);
  return moment;
};

describe('moments', () => {
  it('agree with Date in every millisecond of the years 1 to 9999', () => {
    fc.assert(
      fc.property(
        fc.date({
          min: new Date('0001-01-01Z'),
          max: new Date('9999-12-31T23:59:59.999Z'),
          noInvalidDate: true,
        }),
        (date) => {
          const moment = parsed(date.toISOString());
          expect(moment.micros).toBe(BigInt(date.getTime()) * 1000n);
          expect(new Date(printMoment(moment)).getTime()).toBe(date.getTime());
        },
      ),
    );
  });

  it.each([
    ['2024-05-06', '2024-05-06'],
    ['2024-05-06 07:08:09.123456+02', '2024-05-06T05:08:09.123456Z'],
    ['2024-05-06T07:08', '2024-05-06T07:08:00'],
    ['2024-05-06 07:08:09.1000000', '2024-05-06T07:08:09.1'],
    ['2024-12-31T23:59:59.9999996Z', '2025-01-01T00:00:00Z'],
    ['2024-05-06 00:30:00-05:30', '2024-05-06T06:00:00Z'],
  ])('%s is %s', (text, expected) => {
    expect(printMoment(parsed(text))).toBe(expected);
  });

  it.each([
    '2023-02-29',
    '2024-13-01',
    '2024-04-31',
    '2024-05-06T24:00',
    '06.05.2024',
    '',
    'infinity',
    '2024-05-06T07:08+99',
  ])('%s is no moment', (text) => {
    expect(parseMoment(text)).toBeNull();
  });

  it('are cut down to the start of their unit', () => {
    const cut = TRUNCATIONS.map((unit) =>
      printMoment(truncateMoment(parsed('2024-08-15T07:08:09.5Z'), unit)),
    );
    expect(cut).toEqual([
      '2024-08-15T07:08:09Z',
      '2024-08-15T07:08:00Z',
      '2024-08-15T07:00:00Z',
      '2024-08-15T00:00:00Z',
      '2024-08-12T00:00:00Z',
      '2024-08-01T00:00:00Z',
      '2024-07-01T00:00:00Z',
      '2024-01-01T00:00:00Z',
    ]);
  });
});

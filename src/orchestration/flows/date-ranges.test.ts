import { describe, expect, it } from 'vitest';
import { dateRanges, MOST_RANGES } from './date-ranges.ts';

describe('dateRanges', () => {
  it('cuts days into pieces without gap or overlap, over the end of February', () => {
    expect(dateRanges({ start: '2024-02-27', end: '2024-03-03' }, 2)).toEqual([
      { start: '2024-02-27', end: '2024-02-28' },
      { start: '2024-02-29', end: '2024-03-01' },
      { start: '2024-03-02', end: '2024-03-03' },
    ]);
    expect(dateRanges({ start: '2024-01-01', end: '2024-01-01' }, 7)).toEqual([
      { start: '2024-01-01', end: '2024-01-01' },
    ]);
  });

  it('takes longer pieces where there would be too many', () => {
    const ranges = dateRanges({ start: '1990-01-01', end: '2024-12-31' }, 1);
    expect(ranges.length).toBeLessThanOrEqual(MOST_RANGES);
    expect(ranges.at(-1)?.end).toBe('2024-12-31');
  });
});

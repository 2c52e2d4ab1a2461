import fc from 'fast-check';
import { expect, it } from 'vitest';
import { indexesIn, readIndexes, sizeOf, spansOf, writeIndexes } from './index-set.ts';

const sets = fc.uniqueArray(fc.nat(300), { maxLength: 120 });

it('a set that is written and read is the same set', () => {
  fc.assert(
    fc.property(sets, (indexes) => {
      const spans = spansOf(indexes);
      expect(readIndexes(writeIndexes(spans))).toEqual(spans);
      expect(indexesIn(spans)).toEqual(indexes.toSorted((a, b) => a - b));
      expect(sizeOf(spans)).toBe(indexes.length);
    }),
  );
});

it('neighbours are one span', () => {
  expect(writeIndexes(spansOf([4, 0, 1, 2, 9, 8]))).toBe('0-2,4,8-9');
  expect(writeIndexes([])).toBe('');
});

it.each(['x', '3-1', '1,1', '1-3,4', '5,2', '-1', '1,', ' 1'])('%s is none', (text) => {
  expect(readIndexes(text)).toBeNull();
});

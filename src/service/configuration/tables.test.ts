import fc from 'fast-check';
import { expect, test } from 'vitest';

import { overlap } from './tables.ts';

const letter = fc.constantFrom('a', 'b', '.');
const glob = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 5 });

function matches(pattern: string, name: string): boolean {
  const text = pattern.replaceAll('.', '\\.').replaceAll('*', '.*').replaceAll('?', '.');
  return new RegExp(`^${text}$`, 's').test(name);
}

function names(length: number): string[] {
  if (length === 0) return [''];
  const shorter = names(length - 1);
  return [...shorter, ...shorter.flatMap((name) => ['a', 'b', '.'].map((one) => name + one))];
}

/** Two globs of up to three characters that meet, meet in a name of up to six. */
const ALL_NAMES = [...new Set(names(6))];

test('two globs overlap exactly if some name matches both', () => {
  const short = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*', '?'), maxLength: 3 });
  fc.assert(
    fc.property(short, short, (left, right) => {
      const both = ALL_NAMES.some((name) => matches(left, name) && matches(right, name));
      expect(overlap({ glob: left, exclude: [] }, { glob: right, exclude: [] })).toBe(both);
    }),
    { verbose: true, numRuns: 300 },
  );
});

test('it does not matter which comes first, and what is excluded by its own glob never overlaps', () => {
  fc.assert(
    fc.property(glob, glob, (left, right) => {
      const [one, other] = [
        { glob: left, exclude: [] },
        { glob: right, exclude: [] },
      ];
      expect(overlap(one, other)).toBe(overlap(other, one));
      expect(overlap({ glob: left, exclude: ['*'] }, other)).toBe(false);
    }),
    { verbose: true },
  );
});

test('a name that matches a glob overlaps with it', () => {
  fc.assert(
    fc.property(glob, fc.string({ unit: letter, maxLength: 6 }), (pattern, name) => {
      const found = overlap({ glob: pattern, exclude: [] }, { glob: name, exclude: [] });
      expect(found).toBe(matches(pattern, name));
    }),
    { verbose: true },
  );
});

import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { LogicalType } from '../../core/value.ts';
import { keysOf } from './cursor-ranges.ts';

function schemaOf(type: LogicalType): StreamSchema {
  return {
    stream: { namespace: 'public', name: 'orders' },
    ref: '1',
    version: 1,
    columns: [{ name: 'id', type, nativeType: 'x', nullable: false, ref: '1' }],
    computed: [],
    identity: 'key',
    key: [0],
    family: 'postgres',
  };
}

const bits = fc.constantFrom(16, 32, 64);

it('a key of the column is read exactly where it is in the range, and no bound is beyond its type', () => {
  fc.assert(
    fc.property(
      bits,
      fc.maxSafeInteger(),
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      (width, a, b, any) => {
        const [start, end] = a < b ? [a, b] : [b, a];
        const most = 2n ** BigInt(width - 1) - 1n;
        const key = BigInt.asIntN(width, any);
        const read = keysOf(schemaOf({ kind: 'int', bits: width }), { column: 'id', start, end });
        for (const bound of [read.from, read.to]) {
          if (bound === null) continue;
          expect(BigInt(bound)).toBeLessThanOrEqual(most);
          expect(BigInt(bound)).toBeGreaterThanOrEqual(-most - 1n);
        }
        const isRead =
          (read.from === null || key >= BigInt(read.from)) &&
          (read.to === null || key < BigInt(read.to));
        expect(isRead).toBe(key >= BigInt(start) && key <= BigInt(end));
      },
    ),
    {
      examples: [
        [16, 1, 32_767, 32_767n],
        [32, -2_147_483_648, 2_147_483_647, 2_147_483_647n],
        [32, 2_147_483_648, 3_000_000_000, 2_147_483_647n],
        [16, -40_000, -32_769, -32_768n],
      ],
    },
  );
});

it('keys are integers of a column that is there', () => {
  const range = { column: 'id', start: 1, end: 2 };
  expect(() => keysOf(schemaOf({ kind: 'text' }), range)).toThrow(/integers/);
  expect(() => keysOf(schemaOf({ kind: 'text' }), { ...range, column: 'nope' })).toThrow(/nope/);
});

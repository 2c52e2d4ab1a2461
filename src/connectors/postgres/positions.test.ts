import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { compareLsn, orderOfLsn, parseLsn, printLsn } from './lsn.ts';
import { isVisible, parseVisibility, widenXid } from './visibility.ts';

const lsn = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

describe('log sequence numbers', () => {
  test('are printed and read without loss', () => {
    fc.assert(fc.property(lsn, (value) => parseLsn(printLsn(value)) === value));
    expect(printLsn(0x16_b374d848n)).toBe('16/B374D848');
    expect(parseLsn('ffffffff/ffffffff')).toBe((1n << 64n) - 1n);
  });

  test('have one order, also as the text that rows carry', () => {
    fc.assert(
      fc.property(lsn, lsn, (a, b) => {
        const order = a === b ? 0 : a < b ? -1 : 1;
        expect(compareLsn(printLsn(a), printLsn(b))).toBe(order);
        const [left, right] = [orderOfLsn(a), orderOfLsn(b)];
        expect(left === right ? 0 : left < right ? -1 : 1).toBe(order);
      }),
    );
  });
});

describe('visibility', () => {
  // Transactions that a stream can name are within half the circle of the snapshot.
  const near = fc.bigInt({ min: 3n, max: 1n << 40n });
  const away = fc.bigInt({ min: -(1n << 31n) + 1n, max: (1n << 31n) - 1n });

  test('finds the full id of a transaction from its 32 bits, over the wrap', () => {
    fc.assert(
      fc.property(near, away, (snapshot, distance) => {
        const full = snapshot + distance;
        fc.pre(full >= 0n);
        expect(widenXid(Number(full & 0xffffffffn), snapshot)).toBe(full);
      }),
      { numRuns: 500 },
    );
  });

  test('says of each transaction what the snapshot says', () => {
    const snapshot = fc.record({
      xmin: near,
      spread: fc.integer({ min: 0, max: 50 }),
      running: fc.uniqueArray(fc.integer({ min: 0, max: 49 })),
      asked: fc.integer({ min: -60, max: 120 }),
    });
    fc.assert(
      fc.property(snapshot, ({ xmin, spread, running, asked }) => {
        const xmax = xmin + BigInt(spread);
        const inProgress = running
          .filter((offset) => offset < spread)
          .map((offset) => xmin + BigInt(offset));
        const full = xmin + BigInt(asked);
        fc.pre(full >= 0n);
        const parsed = parseVisibility(`${xmin}:${xmax}:${inProgress.join(',')}`);
        const expected = full < xmin || (full < xmax && !inProgress.includes(full));
        expect(isVisible(parsed, Number(full & 0xffffffffn))).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });
});

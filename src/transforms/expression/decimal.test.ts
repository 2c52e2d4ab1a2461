import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  canonicalLexeme,
  compareLexemes,
  type Decimal,
  divide,
  multiply,
  printDecimal,
  readDecimal,
  remainder,
  roundTo,
  subtract,
} from './decimal.ts';

/** The reference: a fraction of two integers. */
interface Fraction {
  readonly over: bigint;
  readonly under: bigint;
}

function fraction(lexeme: string): Fraction {
  const [, sign, integer = '', places = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(lexeme) ?? [];
  const over = BigInt(integer + places) * (sign === '-' ? -1n : 1n);
  const shift = Number(exponent) - places.length;
  return shift < 0
    ? { over, under: 10n ** BigInt(-shift) }
    : { over: over * 10n ** BigInt(shift), under: 1n };
}

const same = (a: Fraction, b: Fraction) => a.over * b.under === b.over * a.under;
const absolute = (value: bigint) => (value < 0n ? -value : value);
const lexeme = fc.stringMatching(/^-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,2})?$/);
const operate = (operation: (a: Decimal, b: Decimal) => Decimal, a: string, b: string) =>
  fraction(printDecimal(operation(readDecimal(a), readDecimal(b))));

describe('decimals against fractions of integers', () => {
  it('adds, subtracts and multiplies exactly', () => {
    fc.assert(
      fc.property(lexeme, lexeme, (a, b) => {
        const [x, y] = [fraction(a), fraction(b)];
        const under = x.under * y.under;
        expect(same(operate(add, a, b), { over: x.over * y.under + y.over * x.under, under })).toBe(
          true,
        );
        expect(
          same(operate(subtract, a, b), { over: x.over * y.under - y.over * x.under, under }),
        ).toBe(true);
        expect(same(operate(multiply, a, b), { over: x.over * y.over, under })).toBe(true);
      }),
    );
  });

  it('compares exactly and takes equal values to one text', () => {
    fc.assert(
      fc.property(lexeme, lexeme, (a, b) => {
        const difference =
          fraction(a).over * fraction(b).under - fraction(b).over * fraction(a).under;
        expect(compareLexemes(a, b)).toBe(difference === 0n ? 0 : difference > 0n ? 1 : -1);
        expect(canonicalLexeme(a) === canonicalLexeme(b)).toBe(difference === 0n);
        expect(same(fraction(canonicalLexeme(a)), fraction(a))).toBe(true);
      }),
    );
  });

  it('divides to 20 digits at least, off by no more than half of the last', () => {
    fc.assert(
      fc.property(lexeme, lexeme, (a, b) => {
        const [x, y] = [fraction(a), fraction(b)];
        fc.pre(y.over !== 0n);
        const quotient = divide(readDecimal(a), readDecimal(b));
        const exact = { over: x.over * y.under, under: x.under * y.over };
        const unit = 10n ** BigInt(quotient.scale);
        const off = absolute(quotient.digits * exact.under - exact.over * unit);
        expect(2n * off <= absolute(exact.under)).toBe(true);
        expect(2n * off * 10n ** 19n <= absolute(exact.over) * unit).toBe(true);
      }),
    );
  });

  it('has a remainder with the sign of the dividend that fills up the whole quotient', () => {
    fc.assert(
      fc.property(lexeme, lexeme, (a, b) => {
        const [x, y] = [readDecimal(a), readDecimal(b)];
        fc.pre(y.digits !== 0n);
        const rest = remainder(x, y);
        const scale = Math.max(x.scale, y.scale);
        const [p, q] = [x, y].map((d) => d.digits * 10n ** BigInt(scale - d.scale)) as [
          bigint,
          bigint,
        ];
        expect(rest).toEqual({ digits: p - (p / q) * q, scale });
      }),
    );
  });
});

describe('decimals', () => {
  it.each([
    ['1', '3', '0.33333333333333333333'],
    ['2', '3', '0.66666666666666666667'],
    ['-2', '3', '-0.66666666666666666667'],
    ['10.00', '4', '2.50'],
    ['1', '3e30', '0.00000000000000000000000000000033333333333333333333'],
  ])('%s / %s is %s', (a, b, expected) => {
    expect(printDecimal(divide(readDecimal(a), readDecimal(b)))).toMatch(
      new RegExp(`^${expected}\\d?$`),
    );
  });

  it.each([
    ['2.5', 0, 'half-away', '3'],
    ['-2.5', 0, 'half-away', '-3'],
    ['-2.5', 0, 'floor', '-3'],
    ['-2.5', 0, 'ceil', '-2'],
    ['1250', -2, 'half-away', '1300'],
    ['1.5', 3, 'half-away', '1.500'],
  ] as const)('%s to %i places, %s, is %s', (value, places, rounding, expected) => {
    expect(printDecimal(roundTo(readDecimal(value), places, rounding))).toBe(expected);
  });

  it('compares numbers that it would not expand', () => {
    expect(compareLexemes('1e999999999', '1e-999999999')).toBe(1);
    expect(() => readDecimal('1e999999999')).toThrow('out of the range');
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Ff1, leastNumerals } from './ff1.ts';

const KEYS = {
  128: '2B7E151628AED2A6ABF7158809CF4F3C',
  192: '2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F',
  256: '2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94',
} as const;

function encrypt(key: string, radix: number, tweak: string, numerals: string): string {
  return new Ff1(Buffer.from(key, 'hex'), radix, Buffer.from(tweak, 'hex')).encrypt(numerals);
}

describe('FF1', () => {
  // The nine samples that NIST publishes beside SP 800-38G.
  it.each([
    [128, 10, '', '0123456789', '2433477484'],
    [128, 10, '39383736353433323130', '0123456789', '6124200773'],
    [128, 36, '3737373770717273373737', '0123456789abcdefghi', 'a9tv40mll9kdu509eum'],
    [192, 10, '', '0123456789', '2830668132'],
    [192, 10, '39383736353433323130', '0123456789', '2496655549'],
    [192, 36, '3737373770717273373737', '0123456789abcdefghi', 'xbj3kv35jrawxv32ysr'],
    [256, 10, '', '0123456789', '6657667009'],
    [256, 10, '39383736353433323130', '0123456789', '1001623463'],
    [256, 36, '3737373770717273373737', '0123456789abcdefghi', 'xs8a0azh2avyalyzuwd'],
  ] as const)('AES-%i, radix %i, tweak %s: %s is %s', (...sample) => {
    const [bits, radix, tweak, plain, sealed] = sample;
    expect(encrypt(KEYS[bits], radix, tweak, plain)).toBe(sealed);
  });

  it('is a permutation: no two strings of a length become the same', () => {
    const ff1 = new Ff1(Buffer.from(KEYS[256], 'hex'), 10, Buffer.alloc(0));
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9]{7}$/), fc.stringMatching(/^[0-9]{7}$/), (a, b) => {
        expect(ff1.encrypt(a)).toMatch(/^[0-9]{7}$/);
        expect(ff1.encrypt(a) === ff1.encrypt(b)).toBe(a === b);
      }),
    );
  });

  it('refuses strings of which there are less than a million', () => {
    expect([leastNumerals(10), leastNumerals(26), leastNumerals(2)]).toEqual([6, 5, 20]);
    expect(() => encrypt(KEYS[128], 10, '', '12345')).toThrow('this length');
    expect(encrypt(KEYS[128], 10, '', '123456')).toMatch(/^[0-9]{6}$/);
  });
});

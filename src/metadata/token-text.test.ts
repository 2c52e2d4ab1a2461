import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isTokenText, newToken, tokenHash, tokenPrefix } from './token-text.ts';

describe('a token', () => {
  it('has one shape, and is never the same', () => {
    const tokens = Array.from({ length: 1000 }, newToken);
    expect(new Set(tokens).size).toBe(1000);
    for (const token of tokens) {
      expect(token).toMatch(/^fb_[0-9A-Za-z]{49}$/u);
      expect(isTokenText(token)).toBe(true);
    }
  });

  it('with any one character changed is told as wrong', () => {
    const change = fc.record({
      at: fc.integer({ min: 3, max: 51 }),
      to: fc.stringMatching(/^[0-9A-Za-z]$/u),
    });
    fc.assert(
      fc.property(change, ({ at, to }) => {
        const token = newToken();
        const other = `${token.slice(0, at)}${to}${token.slice(at + 1)}`;
        return isTokenText(other) === (other === token);
      }),
      { numRuns: 2000 },
    );
  });

  it('is not what looks like one', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => !isTokenText(text)));
    expect(isTokenText(`${newToken()}\n`)).toBe(false);
    expect(isTokenText(newToken().toUpperCase())).toBe(false);
  });

  it('is stored as its SHA-256, and shown by its beginning', () => {
    expect(tokenHash('abc')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(tokenPrefix('fb_0123456789')).toBe('fb_01234');
  });
});

import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boundTo, seal, unseal } from './envelope.ts';

const key = createSecretKey(randomBytes(32));

describe('what is sealed', () => {
  it('opens as it was, with the same key and for the same thing', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(fc.string()), (plain, parts) => {
        const opened = unseal(key, seal(key, plain, boundTo(...parts)), boundTo(...parts));
        expect(opened).toEqual(Buffer.from(plain));
      }),
    );
  });

  it('does not open when a byte of it is another', () => {
    const sealed = Buffer.from(seal(key, Buffer.from('text'), boundTo('a')), 'base64url');
    for (let at = 0; at < sealed.length; at += 1) {
      const damaged = Buffer.from(sealed);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(unseal(key, damaged.toString('base64url'), boundTo('a'))).toBeNull();
      expect(unseal(key, sealed.subarray(0, at).toString('base64url'), boundTo('a'))).toBeNull();
    }
  });

  it('does not open for what only looks the same when it is joined', () => {
    const sealed = seal(key, Buffer.from('text'), boundTo('ab', 'c'));
    for (const other of [boundTo('a', 'bc'), boundTo('ab', 'c', ''), boundTo('abc')])
      expect(unseal(key, sealed, other)).toBeNull();
    expect(unseal(createSecretKey(randomBytes(32)), sealed, boundTo('ab', 'c'))).toBeNull();
  });

  it('never looks the same twice', () => {
    const all = Array.from({ length: 1000 }, () => seal(key, Buffer.from('same'), boundTo()));
    expect(new Set(all).size).toBe(1000);
  });
});

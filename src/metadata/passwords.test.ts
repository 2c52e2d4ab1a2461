import { describe, expect, it } from 'vitest';
import { checkPassword, hashPassword } from './passwords.ts';

/** Quick, for tests. */
const cheap = { N: 1024, r: 8, p: 1 };
/** Hashing as it is done takes long on purpose. */
const SLOW_MS = 60_000;

describe('a password', () => {
  it('is right when it is the same, however its letters were composed', async () => {
    const stored = await hashPassword('Caf\u00e9 1', cheap);
    expect(await checkPassword('Cafe\u0301 1', stored)).toEqual({ right: true, outdated: true });
    expect(await checkPassword('Cafe 1', stored)).toMatchObject({ right: false });
  });

  it('is hashed with the parameters of today, and with salt', { timeout: SLOW_MS }, async () => {
    const [one, other] = await Promise.all([hashPassword('x'), hashPassword('x')]);
    expect(one).toMatch(/^scrypt\$131072\$8\$1\$[\w-]{22}\$[\w-]{43}$/u);
    expect(one).not.toBe(other);
    expect(await checkPassword('x', one)).toEqual({ right: true, outdated: false });
  });

  it(
    'of a user who has none, or whose hash is damaged, is never right, and takes as long',
    { timeout: SLOW_MS },
    async () => {
      const before = performance.eventLoopUtilization();
      for (const stored of [null, 'scrypt$1024$8$1$short$short'])
        expect(await checkPassword('', stored)).toEqual({ right: false, outdated: false });
      // Off the main thread, which has nothing to do meanwhile.
      const { active, idle } = performance.eventLoopUtilization(before);
      expect(active).toBeLessThan(idle);
    },
  );
});

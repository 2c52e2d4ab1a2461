import { describe, expect, it } from 'vitest';
import { PasswordGate } from './password-gate.ts';

describe('the gate of passwords', () => {
  it('lets two work at once, the others in their order, and turns away too many', async () => {
    const gate = new PasswordGate();
    const done: (() => void)[] = [];
    const begun: number[] = [];
    const work = (number: number): Promise<number> =>
      gate.pass(() => {
        begun.push(number);
        const { promise, resolve } = Promise.withResolvers<number>();
        done.push(() => resolve(number));
        return promise;
      });
    const all = Array.from({ length: 32 }, (_, number) => work(number));
    await expect(work(99)).rejects.toMatchObject({ code: 'too_many_requests' });
    expect(begun).toEqual([0, 1]);
    for (let number = 0; number < 32; number += 1) {
      done[number]?.();
      await all[number];
      await Promise.resolve();
    }
    expect(begun).toEqual(Array.from({ length: 32 }, (_, number) => number));
    const last = work(100);
    expect(begun.at(-1)).toBe(100);
    done.at(-1)?.();
    expect(await last).toBe(100);
  });

  it('opens again after one that failed', async () => {
    const gate = new PasswordGate();
    for (let number = 0; number < 5; number += 1) {
      await expect(gate.pass(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    }
    expect(await gate.pass(() => Promise.resolve(1))).toBe(1);
  });
});

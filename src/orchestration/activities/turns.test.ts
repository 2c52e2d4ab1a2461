import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Turn, type TurnHolder, Turns } from './turns.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const { signal } = new AbortController();
const turn = (label: string, waits: Turn['waits']): Turn => ({
  signal,
  who: { organizationId: 'o', label },
  ...(waits === undefined ? {} : { waits }),
});

describe('a turn', () => {
  it('that is waited for tells once who has it, after two seconds', async () => {
    const turns = new Turns();
    const told: (TurnHolder | null)[] = [];
    const first = Promise.withResolvers<void>();
    const done: string[] = [];
    const one = turns.take('file', turn('first', undefined), () => first.promise);
    const two = turns.take(
      'file',
      turn('second', (holder) => void told.push(holder)),
      () => {
        done.push('second');
        return Promise.resolve();
      },
    );
    await vi.advanceTimersByTimeAsync(1999);
    expect(told).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(told).toEqual([{ organizationId: 'o', label: 'first' }]);
    expect(done).toEqual([]);
    first.resolve();
    await Promise.all([one, two]);
    expect(done).toEqual(['second']);
  });

  it('that comes in time tells nothing', async () => {
    const turns = new Turns();
    const told: (TurnHolder | null)[] = [];
    await turns.take(
      'file',
      turn('only', (holder) => void told.push(holder)),
      () => vi.advanceTimersByTimeAsync(60_000).then(() => {}),
    );
    expect(told).toEqual([]);
  });

  it('that is given up does nothing and keeps nobody', async () => {
    const turns = new Turns();
    const first = Promise.withResolvers<void>();
    const one = turns.take('file', turn('first', undefined), () => first.promise);
    const gone = new AbortController();
    const waiting = { signal: gone.signal, who: { organizationId: 'o', label: 'second' } };
    const two = turns.take('file', waiting, () => Promise.reject(new Error('it was done')));
    gone.abort(new Error('given up'));
    await expect(two).rejects.toThrow('given up');
    first.resolve();
    await one;
    expect(await turns.take('file', turn('third', undefined), () => Promise.resolve(3))).toBe(3);
  });
});

import { describe, expect, it } from 'vitest';
import { decideOverlap, dueFires } from './decisions.ts';

const MINUTE = 60_000;
const timing = { kind: 'interval', seconds: 60, createdAtMs: 0 } as const;
const due = (nextFire: number, now: number, policy: 'skip' | 'allow' = 'skip') =>
  dueFires(timing, {
    nextFireMs: nextFire * MINUTE,
    nowMs: now * MINUTE,
    catchupMs: 10 * MINUTE,
    policy,
  });

describe('a schedule that is due', () => {
  it.each([
    ['skip', true, false, 'skip'],
    ['buffer_one', true, false, 'buffer'],
    ['buffer_one', true, true, 'skip'],
    ['cancel_other', true, false, 'cancel-then-start'],
    ['allow', true, true, 'start'],
    ['skip', false, false, 'start'],
    ['buffer_one', false, true, 'skip'],
  ] as const)('by policy %s, running %s, waiting %s: %s', (policy, running, buffered, kind) => {
    expect(decideOverlap(policy, { running, buffered })).toEqual({ kind });
  });

  it('fires for its time and moves on', () => {
    expect(due(5, 5)).toEqual({ fires: [5 * MINUTE], missed: 0, nextMs: 6 * MINUTE });
  });

  it('after times that were missed fires once, for the last', () => {
    expect(due(5, 8)).toEqual({ fires: [8 * MINUTE], missed: 3, nextMs: 9 * MINUTE });
  });

  it('whose executions may overlap fires for all within the window', () => {
    const { fires, nextMs } = due(1, 30, 'allow');
    expect(fires).toEqual(Array.from({ length: 11 }, (_, index) => (20 + index) * MINUTE));
    expect(nextMs).toBe(31 * MINUTE);
  });

  it('does nothing for what lies before the window', () => {
    const daily = { kind: 'interval', seconds: 86_400, createdAtMs: 0 } as const;
    expect(
      dueFires(daily, {
        nextFireMs: 86_400_000,
        nowMs: 86_400_000 + 60 * MINUTE,
        catchupMs: 10 * MINUTE,
        policy: 'skip',
      }),
    ).toEqual({ fires: [], missed: 1, nextMs: 2 * 86_400_000 });
  });

  it('waits for its time when the clock is set back', () => {
    expect(due(60, 1)).toEqual({ fires: [], missed: 0, nextMs: 60 * MINUTE });
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkTiming, nextFire, nextFires, type ScheduleTiming } from './next-fire.ts';

const ms = (text: string): number => Date.parse(text);
const cron = (expression: string, timeZone = 'UTC'): ScheduleTiming => ({
  kind: 'cron',
  expression,
  timeZone,
});
const texts = (timing: ScheduleTiming, after: string, count: number): string[] =>
  nextFires(timing, ms(after), count).map((at) => new Date(at).toISOString());

describe('a cron schedule', () => {
  it('has five fields, or six with seconds', () => {
    expect(texts(cron('*/15 9 * * 1-5'), '2026-07-03T09:50:00Z', 2)).toEqual([
      '2026-07-06T09:00:00.000Z',
      '2026-07-06T09:15:00.000Z',
    ]);
    expect(texts(cron('*/20 * * * * *'), '2026-07-03T09:50:00.500Z', 2)).toEqual([
      '2026-07-03T09:50:20.000Z',
      '2026-07-03T09:50:40.000Z',
    ]);
  });

  it('follows the clocks of its zone; what lies in a skipped hour comes once, right after', () => {
    expect(texts(cron('30 2 * * *', 'Europe/Berlin'), '2026-03-28T12:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00.000Z',
      '2026-03-30T00:30:00.000Z',
    ]);
  });

  it('at a fixed time comes once in an hour that comes twice', () => {
    expect(texts(cron('30 2 * * *', 'Europe/Berlin'), '2026-10-24T12:00:00Z', 2)).toEqual([
      '2026-10-25T00:30:00.000Z',
      '2026-10-26T01:30:00.000Z',
    ]);
  });

  it('of each half hour goes on through an hour that comes twice', () => {
    const times = nextFires(cron('*/30 * * * *', 'Europe/Berlin'), ms('2026-10-24T22:10:00Z'), 10);
    expect(times.slice(1).map((at, index) => at - (times[index] ?? 0))).toEqual(
      Array.from({ length: 9 }, () => 1_800_000),
    );
  });

  it.each(['* * * *', '* * * * * * *', '@daily', 'x * * * *', '61 * * * *', '0 0 31 2 *'])(
    '%j is refused',
    (expression) => {
      expect(() => checkTiming(cron(expression), 0)).toThrow(
        expect.objectContaining({ code: 'schedule_invalid' }),
      );
    },
  );

  it('in a zone that nobody knows is refused', () => {
    expect(() => checkTiming(cron('0 3 * * *', 'Mars/Olympus'), 0)).toThrow(
      expect.objectContaining({ code: 'schedule_invalid' }),
    );
  });

  it('comes after each moment, and nothing lies in between', () => {
    const minute = fc.constantFrom('0', '*/5', '7,37', '10-20');
    const hour = fc.constantFrom('*', '2', '*/3', '1-3');
    const zone = fc.constantFrom('UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata');
    const after = fc.integer({ min: ms('2025-01-01'), max: ms('2028-01-01') });
    const early = fc.integer({ min: 1, max: 86_400_000 });
    fc.assert(
      fc.property(fc.tuple(minute, hour, zone), after, early, ([m, h, z], at, before) => {
        const timing = cron(`${m} ${h} * * *`, z);
        const next = nextFire(timing, at) ?? 0;
        const earlier = nextFire(timing, at - before) ?? 0;
        return next > at && (earlier > at ? earlier === next : earlier > at - before);
      }),
      { numRuns: 200 },
    );
  });
});

describe('an interval', () => {
  it('is counted from when the schedule was made', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10_000_000 }),
        fc.integer({ min: 0, max: 2 ** 41 }),
        fc.integer({ min: -1e9, max: 1e12 }),
        (seconds, createdAtMs, offset) => {
          const timing = { kind: 'interval', seconds, createdAtMs } as const;
          const after = createdAtMs + offset;
          const next = nextFire(timing, after) ?? 0;
          const first = next === createdAtMs + seconds * 1000;
          return (
            (next - createdAtMs) % (seconds * 1000) === 0 &&
            next > after &&
            (first || next - after <= seconds * 1000)
          );
        },
      ),
    );
  });

  it.each([0, -5, 0.5])('of %d s is refused', (seconds) => {
    expect(() => checkTiming({ kind: 'interval', seconds, createdAtMs: 0 }, 0)).toThrow(
      expect.objectContaining({ code: 'schedule_invalid' }),
    );
  });

  it('that is manual never comes', () => {
    expect(nextFires({ kind: 'manual' }, 0, 3)).toEqual([]);
  });
});

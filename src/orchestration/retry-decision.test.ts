import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ERROR_TABLE, type ErrorCode } from '../core/errors.ts';
import {
  decide,
  DEFAULT_RULES,
  NO_RETRIES,
  type RetryCounts,
  type RetryRules,
  workerDelayMs,
} from './retry-decision.ts';

interface Case {
  readonly code: ErrorCode;
  readonly retryAfterMs?: number;
  readonly systemCode?: string;
  readonly rules?: RetryRules;
  /** Until it gives up. */
  readonly waitsMs: readonly number[];
  readonly why: 'exhausted' | 'permanent';
}

const own = { maxAttempts: 3, initialDelayMs: 200, maxDelayMs: 500, multiplier: 3 };
const override: RetryRules = { ...DEFAULT_RULES, override: own };
const network = [1000, 2000, 4000, 8000, 16_000];

const cases: readonly Case[] = [
  { code: 'connection_lost', waitsMs: network, why: 'exhausted' },
  { code: 'unreachable', waitsMs: network, why: 'exhausted' },
  { code: 'timeout', waitsMs: [1000, 2000, 4000], why: 'exhausted' },
  { code: 'activity_timeout', waitsMs: [1000, 2000, 4000], why: 'exhausted' },
  { code: 'too_many_requests', waitsMs: [60_000, 60_000, 60_000], why: 'exhausted' },
  {
    code: 'too_many_requests',
    retryAfterMs: 7000,
    waitsMs: [7000, 7000, 7000],
    why: 'exhausted',
  },
  { code: 'value_rejected', waitsMs: [0], why: 'exhausted' },
  { code: 'table_missing', waitsMs: [], why: 'permanent' },
  { code: 'invalid_option', waitsMs: [], why: 'permanent' },
  { code: 'unauthenticated', waitsMs: [], why: 'permanent' },
  { code: 'position_lost', waitsMs: [], why: 'permanent' },
  { code: 'internal', waitsMs: [], why: 'permanent' },
  { code: 'flow_cancelled', waitsMs: [], why: 'permanent' },
  { code: 'disk_full', waitsMs: [1000, 2000, 4000, 8000], why: 'exhausted' },
  {
    code: 'file_locked',
    waitsMs: [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000, 60_000],
    why: 'exhausted',
  },
  { code: 'file_locked', rules: override, waitsMs: [200, 500], why: 'exhausted' },
  { code: 'connection_lost', rules: override, waitsMs: [200, 500], why: 'exhausted' },
  { code: 'timeout', rules: override, waitsMs: [200, 500], why: 'exhausted' },
  { code: 'too_many_requests', rules: override, waitsMs: [60_000, 60_000], why: 'exhausted' },
  { code: 'value_rejected', rules: override, waitsMs: [0], why: 'exhausted' },
  {
    code: 'connection_lost',
    systemCode: '57P01',
    rules: { ...DEFAULT_RULES, permanentCodes: ['57P01'] },
    waitsMs: [],
    why: 'permanent',
  },
];

const failureOf = ({ code, retryAfterMs, systemCode }: Omit<Case, 'waitsMs' | 'why'>) => ({
  code,
  class: ERROR_TABLE[code].class,
  systemCode: systemCode ?? null,
  retryAfterMs: retryAfterMs ?? null,
});

describe('a failed step', () => {
  it.each(cases)('of $code waits $waitsMs', ({ rules, waitsMs, why, ...failure }) => {
    const waits: number[] = [];
    let counts: RetryCounts = NO_RETRIES;
    for (;;) {
      const decision = decide(failureOf(failure), counts, rules);
      if (decision.kind === 'fail') {
        expect([waits, decision.why]).toEqual([waitsMs, why]);
        return;
      }
      waits.push(decision.delayMs);
      counts = decision.counts;
    }
  });

  it('of a lost worker is done again without end, at most a minute later', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), (lost) => {
        const decision = decide(failureOf({ code: 'worker_lost' }), {
          ...NO_RETRIES,
          worker: lost,
        });
        if (decision.kind === 'fail') return false;
        return decision.delayMs === Math.min(1000 * 2 ** Math.min(lost, 20), 60_000);
      }),
    );
    expect([0, 1, 2, 3, 9].map(workerDelayMs)).toEqual([0, 0, 1000, 2000, 60_000]);
  });

  it('costs no budget but its own', () => {
    const spent = { ...NO_RETRIES, timeout: 3, data: 1, worker: 50 };
    const decision = decide(failureOf({ code: 'connection_lost' }), spent);
    expect(decision).toMatchObject({ delayMs: 1000, counts: { ...spent, network: 1 } });
  });
});

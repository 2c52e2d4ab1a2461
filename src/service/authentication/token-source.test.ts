import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { AccessToken } from '../../core/credentials.ts';
import { ForebayError } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import { renewalAtMs, TokenSource } from './token-source.ts';

const MINUTE_MS = 60_000;
const never = new AbortController().signal;

/** An issuer that the test answers by hand, and a clock. */
function issuer() {
  const waiting: PromiseWithResolvers<AccessToken>[] = [];
  const signals: AbortSignal[] = [];
  const clock = { nowMs: 1_000_000 };
  const source = new TokenSource(
    (signal) => {
      signals.push(signal);
      const answer = Promise.withResolvers<AccessToken>();
      waiting.push(answer);
      return answer.promise;
    },
    () => clock.nowMs,
  );
  return {
    source,
    clock,
    signals,
    issue: (text: string, lifeMs: number) => {
      waiting.at(-1)?.resolve({ token: new Secret(text), expiresAtMs: clock.nowMs + lifeMs });
    },
    fail: (code: 'token_unavailable' | 'token_not_issued') => {
      waiting.at(-1)?.reject(new ForebayError(code, { message: 'no' }));
    },
  };
}

const text = async (token: Promise<AccessToken>): Promise<string> => (await token).token.reveal();

describe('TokenSource', () => {
  test('asks once for all that wait, and keeps what came', async () => {
    const { source, issue, signals } = issuer();
    const first = source.fetch(never);
    const second = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    expect(await text(first)).toBe('one');
    expect(await text(second)).toBe('one');
    expect(await text(source.fetch(never))).toBe('one');
    expect(signals).toHaveLength(1);
  });

  test('asks anew when five minutes are left', async () => {
    const { source, clock, issue } = issuer();
    const first = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    await first;
    clock.nowMs += 55 * MINUTE_MS - 1;
    expect(await text(source.fetch(never))).toBe('one');
    clock.nowMs += 1;
    const second = source.fetch(never);
    issue('two', 60 * MINUTE_MS);
    expect(await text(second)).toBe('two');
  });

  test('a token that is still good outlasts an issuer that is away, and is not asked about at once', async () => {
    const { source, clock, issue, fail, signals } = issuer();
    const first = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    await first;
    clock.nowMs += 56 * MINUTE_MS;
    const second = source.fetch(never);
    fail('token_unavailable');
    expect(await text(second)).toBe('one');
    expect(await text(source.fetch(never))).toBe('one');
    expect(signals).toHaveLength(2);
    clock.nowMs += MINUTE_MS;
    const third = source.fetch(never);
    issue('two', 60 * MINUTE_MS);
    expect(await text(third)).toBe('two');
  });

  test('a token past its end is never given for want of another', async () => {
    const { source, clock, issue, fail } = issuer();
    const first = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    await first;
    clock.nowMs += 60 * MINUTE_MS;
    const second = source.fetch(never);
    fail('token_unavailable');
    await expect(second).rejects.toMatchObject({ code: 'token_unavailable' });
  });

  test('a refusal is told at once, and the next connection asks again', async () => {
    const { source, clock, issue, fail } = issuer();
    const first = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    await first;
    clock.nowMs += 56 * MINUTE_MS;
    const second = source.fetch(never);
    fail('token_not_issued');
    await expect(second).rejects.toMatchObject({ code: 'token_not_issued' });
    const third = source.fetch(never);
    issue('two', 60 * MINUTE_MS);
    expect(await text(third)).toBe('two');
  });

  test('a token that was discarded is not given again', async () => {
    const { source, issue } = issuer();
    const first = source.fetch(never);
    issue('one', 60 * MINUTE_MS);
    source.discard(await first);
    const second = source.fetch(never);
    issue('two', 60 * MINUTE_MS);
    expect(await text(second)).toBe('two');
    source.discard(await first);
    expect(await text(source.fetch(never))).toBe('two');
  });

  test('who is interrupted leaves; the others get their token', async () => {
    const { source, issue, signals } = issuer();
    const leaving = new AbortController();
    const left = source.fetch(leaving.signal);
    const stays = source.fetch(never);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'interrupted' });
    expect(signals[0]?.aborted).toBe(false);
    issue('one', MINUTE_MS);
    expect(await text(stays)).toBe('one');
  });

  test('a request that nobody waits for is given up, and the next caller gets one of its own', async () => {
    const { source, issue, signals } = issuer();
    const leaving = new AbortController();
    const left = source.fetch(leaving.signal);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: 'interrupted' });
    expect(signals[0]?.aborted).toBe(true);
    const next = source.fetch(never);
    issue('two', MINUTE_MS);
    expect(await text(next)).toBe('two');
    expect(signals).toHaveLength(2);
  });
});

test('a token is replaced before its end and not before four fifths of its life', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 2_000_000_000_000 }),
      fc.integer({ min: -100_000, max: 100_000_000 }),
      (nowMs, lifeMs) => {
        const token = { token: new Secret('t'), expiresAtMs: nowMs + lifeMs };
        const renewMs = renewalAtMs(token, nowMs);
        expect(renewMs).toBeLessThanOrEqual(token.expiresAtMs);
        expect(renewMs).toBeGreaterThanOrEqual(nowMs + Math.min(lifeMs, Math.floor(lifeMs * 0.8)));
        expect(token.expiresAtMs - renewMs).toBeLessThanOrEqual(5 * MINUTE_MS);
      },
    ),
  );
});

import { describe, expect, it } from 'vitest';
import { addressKey, rateLimiter } from './rate-limit.ts';

describe('a limiter', () => {
  it('lets so many through in a window, each asker for itself', () => {
    let now = 1000;
    const limit = rateLimiter({ most: 2, windowMs: 10_000 }, () => now);
    limit('a');
    limit('a');
    limit('b');
    now += 4000;
    expect(() => limit('a')).toThrow(
      expect.objectContaining({ code: 'too_many_requests', headers: { 'retry-after': '6' } }),
    );
    now += 6000;
    expect(() => limit('a')).not.toThrow();
  });
});

describe('an address', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0db8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key);
  });
});

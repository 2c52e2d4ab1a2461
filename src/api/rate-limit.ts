/** How often who may ask. Counts live in this process; the oldest of many askers are forgotten first. */
import { RequestError } from './problem.ts';

export interface RateLimit {
  readonly most: number;
  readonly windowMs: number;
}

/** Refuses with `too_many_requests`. */
export type Limiter = (key: string) => void;

interface Window {
  readonly endsAtMs: number;
  count: number;
}

const MOST_KEYS = 20_000;

export function rateLimiter({ most, windowMs }: RateLimit, nowMs = () => Date.now()): Limiter {
  const windows = new Map<string, Window>();
  return (key) => {
    const now = nowMs();
    const known = windows.get(key);
    const window =
      known === undefined || known.endsAtMs <= now ? { endsAtMs: now + windowMs, count: 0 } : known;
    window.count += 1;
    if (window !== known) {
      windows.delete(key);
      windows.set(key, window);
      const [oldest] = windows.keys();
      if (windows.size > MOST_KEYS && oldest !== undefined) windows.delete(oldest);
    }
    if (window.count <= most) return;
    const seconds = Math.max(1, Math.ceil((window.endsAtMs - now) / 1000));
    throw new RequestError('too_many_requests', {
      message: `More than ${most} requests in ${windowMs / 1000} s`,
      headers: { 'retry-after': String(seconds) },
    });
  };
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Who has an IPv6 address has 2^64 of them: the network counts. */
export function addressKey(address: string): string {
  const mapped = MAPPED.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail = ''] = address.split('%')[0]?.split('::') ?? [];
  const first = head === '' ? [] : head.split(':');
  const last = tail === '' ? [] : tail.split(':');
  const zeros = address.includes('::') ? Math.max(0, 8 - first.length - last.length) : 0;
  const groups = [...first, ...Array.from({ length: zeros }, () => '0'), ...last];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}

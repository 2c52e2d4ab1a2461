/** What makes two requests the same one. */
import { createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { fieldError } from './problem.ts';

const KEY = /^[\x21-\x7e]{1,255}$/;

export function readIdempotencyKey(headers: IncomingHttpHeaders): string | null {
  const header = headers['idempotency-key'];
  if (header === undefined) return null;
  if (typeof header === 'string' && KEY.test(header)) return header;
  throw fieldError('header', '/idempotency-key', 'is not 1 to 255 visible ASCII characters');
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, item]) => [key, sorted(item)]));
}

/** Keyed: bodies hold passwords, which must not be guessed by their hash. */
export function bodyHash(signingKey: Uint8Array, body: unknown): string {
  const text = JSON.stringify(sorted(body)) ?? '';
  return createHmac('sha256', signingKey).update('idempotency\0').update(text).digest('hex');
}

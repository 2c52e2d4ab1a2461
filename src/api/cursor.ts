/** Where a list goes on. Signed, so that nobody reads with it what the list would not show. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { fieldError } from './problem.ts';

export interface ListPosition {
  readonly sort: string;
  readonly id: string;
}

const MAC_BYTES = 16;

function mac(key: Uint8Array, purpose: string, payload: Uint8Array): Buffer {
  const hmac = createHmac('sha256', key).update('cursor\0').update(purpose).update('\0');
  return hmac.update(payload).digest().subarray(0, MAC_BYTES);
}

/** `purpose` says which list it is of: address, organisation, filters. */
export function writeCursor(key: Uint8Array, purpose: string, position: ListPosition): string {
  const payload = Buffer.from(JSON.stringify([position.sort, position.id]));
  return Buffer.concat([mac(key, purpose, payload), payload]).toString('base64url');
}

export function readCursor(key: Uint8Array, purpose: string, cursor: string): ListPosition {
  const bytes = Buffer.from(cursor, 'base64url');
  const payload = bytes.subarray(MAC_BYTES);
  const given = bytes.subarray(0, MAC_BYTES);
  const canonical = bytes.toString('base64url') === cursor;
  if (!canonical || given.length < MAC_BYTES || !timingSafeEqual(given, mac(key, purpose, payload)))
    throw fieldError('query', '/cursor', 'is none that this list gave out');
  // Written by `writeCursor`, as the signature proves.
  const [sort, id] = JSON.parse(payload.toString()) as [string, string];
  return { sort, id };
}

/** UUID version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then random bits; sorts as text by time. */
import { randomFillSync } from 'node:crypto';

export function uuidv7(nowMs: number = Date.now()): string {
  return uuidv7Of(randomFillSync(Buffer.alloc(16)), nowMs);
}

/** Of 16 bytes that are random, or stand for it; they are written over. */
export function uuidv7Of(bytes: Buffer, nowMs: number): string {
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}

import type { Order } from '../../core/position.ts';

/** A log sequence number as PostgreSQL prints it: two hex halves of 32 bits. */
export function parseLsn(text: string): bigint {
  const slash = text.indexOf('/');
  return (BigInt(`0x${text.slice(0, slash)}`) << 32n) | BigInt(`0x${text.slice(slash + 1)}`);
}

export function printLsn(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Sixteen hex digits: sorts as text in log order. */
export function orderOfLsn(lsn: bigint): string {
  return lsn.toString(16).toUpperCase().padStart(16, '0');
}

export function compareLsn(a: string, b: string): Order {
  const left = parseLsn(a);
  const right = parseLsn(b);
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** Names with date codes as strftime has them, in UTC. Pure. */

function padded(value: number, width: number): string {
  return String(value).padStart(width, '0');
}

function dayOfYear(at: Date): number {
  return Math.floor((at.getTime() - Date.UTC(at.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
}

const CODES: Readonly<Record<string, (at: Date) => string>> = {
  Y: (at) => padded(at.getUTCFullYear(), 4),
  y: (at) => padded(at.getUTCFullYear() % 100, 2),
  m: (at) => padded(at.getUTCMonth() + 1, 2),
  d: (at) => padded(at.getUTCDate(), 2),
  H: (at) => padded(at.getUTCHours(), 2),
  M: (at) => padded(at.getUTCMinutes(), 2),
  S: (at) => padded(at.getUTCSeconds(), 2),
  L: (at) => padded(at.getUTCMilliseconds(), 3),
  j: (at) => padded(dayOfYear(at), 3),
  F: (at) => at.toISOString().slice(0, 10),
  s: (at) => String(Math.floor(at.getTime() / 1000)),
  z: () => '+0000',
  '%': () => '%',
};

/** Codes that no table has stay as they are; the configuration's rules refuse them before. */
export function dateName(pattern: string, at: Date): string {
  return pattern.replace(/%(.)/gs, (code, letter: string) => CODES[letter]?.(at) ?? code);
}

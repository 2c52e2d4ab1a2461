const UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Amounts with their units, one after the other. */
export const DURATION = /^(?:\d+(?:ms|s|m|h|d))+$/;

/** Reads `90s`, `5m`, `1h30m`, `250ms`; null if it is none. */
export function parseDurationMs(text: string): number | null {
  if (!DURATION.test(text)) return null;
  let total = 0;
  for (const [, amount = '', unit = ''] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    total += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return Number.isSafeInteger(total) ? total : null;
}

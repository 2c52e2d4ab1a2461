import type { DateRange } from './activities.ts';

const DAY_MS = 86_400_000;
/** More would make a history too long to keep. */
export const MOST_RANGES = 1000;

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Pieces of so many days each, the last one perhaps shorter; longer ones where there would be too many. Pure. */
export function dateRanges({ start, end }: DateRange, days: number): readonly DateRange[] {
  const first = Date.parse(`${start}T00:00:00Z`);
  const last = Date.parse(`${end}T00:00:00Z`);
  const total = Math.round((last - first) / DAY_MS) + 1;
  const each = Math.max(days, Math.ceil(total / MOST_RANGES));
  const ranges: DateRange[] = [];
  for (let from = first; from <= last; from += each * DAY_MS) {
    const to = Math.min(from + (each - 1) * DAY_MS, last);
    ranges.push({ start: dayOf(from), end: dayOf(to) });
  }
  return ranges;
}

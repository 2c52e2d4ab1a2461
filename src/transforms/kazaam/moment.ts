/** Dates of the proleptic Gregorian calendar, counted in days and seconds from 1970 in UTC. */

/** A point in time as Go holds it. The zone matters only where it is written. */
export interface Moment {
  /** Go counts in 64 bits. */
  readonly unixSeconds: bigint;
  readonly nanoseconds: number;
  readonly zone: { readonly name: string; readonly offsetSeconds: number };
}

export const UTC = { name: 'UTC', offsetSeconds: 0 } as const;

export const DAY_SECONDS = 86_400;

export function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

const DAYS_BEFORE = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365] as const;

/** In a year without a leap day; month 13 gives the days of the whole year. */
export function daysBefore(month: number): number {
  return DAYS_BEFORE[month - 1] ?? 0;
}

export function daysIn(month: number, year: number): number {
  if (month === 2 && isLeap(year)) return 29;
  return daysBefore(month + 1) - daysBefore(month);
}

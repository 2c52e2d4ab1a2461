/** Dates and timestamps to the microsecond, in the proleptic Gregorian calendar. */
import { civilFromDays, daysFromCivil } from '../../core/calendar.ts';

export class Moment {
  readonly kind: 'date' | 'timestamp';
  /** Since 1970-01-01 00:00; a timestamp without zone counts as if it were UTC. */
  readonly micros: bigint;
  readonly zoned: boolean;

  constructor(kind: Moment['kind'], micros: bigint, zoned: boolean) {
    this.kind = kind;
    this.micros = micros;
    this.zoned = zoned;
  }
}

export const MICROS_PER_SECOND = 1_000_000n;
const DAY = 86_400n * MICROS_PER_SECOND;
const TEXT =
  /^([0-9]{4,6})-([0-9]{2})-([0-9]{2})(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?(?: ?([Zz]|[+-][0-9]{2}(?::?[0-9]{2}(?::[0-9]{2})?)?))?)?$/;

/**
 * ISO 8601 and the forms databases print: `2024-05-06`, `2024-05-06 07:08:09.123456+02`, with `T` or a
 * space, with or without seconds and zone. What is finer than a microsecond is rounded. Null: no such moment.
 */
export function parseMoment(text: string): Moment | null {
  const match = TEXT.exec(text.trim());
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = [1, 2, 3, 4, 5, 6].map((group) =>
    Number(match[group] ?? 0),
  ) as [number, number, number, number, number, number];
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return null;
  if (hour > 23 || minute > 59 || second > 59) return null;
  const days = BigInt(daysFromCivil(year, month, day)) * DAY;
  if (match[4] === undefined) return new Moment('date', days, false);
  const offset = offsetSeconds(match[8]);
  if (offset === null) return null;
  const seconds = BigInt((hour * 60 + minute) * 60 + second - offset);
  const micros = days + seconds * MICROS_PER_SECOND + fractionMicros(match[7] ?? '');
  return new Moment('timestamp', micros, match[8] !== undefined);
}

/** `2024-05-06`, or `2024-05-06T07:08:09.123456Z` with as many digits of the second as it has. */
export function printMoment(moment: Moment): string {
  const inDay = modulo(moment.micros, DAY);
  const date = printDate((moment.micros - inDay) / DAY);
  if (moment.kind === 'date') return date;
  const seconds = Number(inDay / MICROS_PER_SECOND);
  const clock = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map((part) =>
    String(Math.floor(part)).padStart(2, '0'),
  );
  const micros = String(inDay % MICROS_PER_SECOND)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return `${date}T${clock.join(':')}${micros && `.${micros}`}${moment.zoned ? 'Z' : ''}`;
}

export function startOfDay(moment: Moment): Moment {
  return new Moment('date', moment.micros - modulo(moment.micros, DAY), false);
}

export const TRUNCATIONS = [
  'second',
  'minute',
  'hour',
  'day',
  'week',
  'month',
  'quarter',
  'year',
] as const;
export type Truncation = (typeof TRUNCATIONS)[number];

/** The start of the second, ..., year (UTC) the moment is in; a week begins on Monday. */
export function truncateMoment(moment: Moment, unit: Truncation): Moment {
  const to = (micros: bigint) => new Moment(moment.kind, micros, moment.zoned);
  const down = (size: bigint) => to(moment.micros - modulo(moment.micros, size));
  switch (unit) {
    case 'second':
      return down(MICROS_PER_SECOND);
    case 'minute':
      return down(60n * MICROS_PER_SECOND);
    case 'hour':
      return down(3600n * MICROS_PER_SECOND);
    case 'day':
      return down(DAY);
    case 'week':
      // The epoch was a Thursday.
      return to(moment.micros - modulo(moment.micros + 3n * DAY, 7n * DAY));
    default: {
      const days = Number((moment.micros - modulo(moment.micros, DAY)) / DAY);
      const { year, month } = civilFromDays(days);
      const first = { month, quarter: month - ((month - 1) % 3), year: 1 }[unit];
      return to(BigInt(daysFromCivil(year, first, 1)) * DAY);
    }
  }
}

function fractionMicros(fraction: string): bigint {
  const digits = fraction.slice(0, 7).padEnd(7, '0');
  return (BigInt(digits) + 5n) / 10n;
}

function offsetSeconds(zone: string | undefined): number | null {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0;
  const [hours = 0, minutes = 0, seconds = 0] = (
    zone.slice(1).replaceAll(':', '').match(/../g) ?? []
  ).map(Number);
  if (hours > 15 || minutes > 59 || seconds > 59) return null;
  return (zone.startsWith('-') ? -1 : 1) * ((hours * 60 + minutes) * 60 + seconds);
}

function daysIn(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 ? 28 + Number(leap) : 30 + ((month + (month >> 3)) & 1);
}

function printDate(days: bigint): string {
  const { year, month, day } = civilFromDays(Number(days));
  const two = (part: number) => String(part).padStart(2, '0');
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

function modulo(value: bigint, size: bigint): bigint {
  return ((value % size) + size) % size;
}

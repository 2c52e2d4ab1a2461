/** Dates and times as text in PostgreSQL's ISO form. */
import { civilFromDays, daysFromCivil } from '../../core/calendar.ts';

/** Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01. */
export const EPOCH_DAYS = 10_957;
export const EPOCH_MICROS = 946_684_800_000_000n;
export const DAY_MICROS = 86_400_000_000n;

export const INT32_MAX = 0x7fff_ffff;
export const INT32_MIN = -0x8000_0000;
export const INT64_MAX = 0x7fff_ffff_ffff_ffffn;
export const INT64_MIN = -0x8000_0000_0000_0000n;

const pad = (value: number, width: number): string => value.toString().padStart(width, '0');

function printCivil(days: number): { date: string; era: '' | ' BC' } {
  const { year, month, day } = civilFromDays(days);
  const shown = year > 0 ? year : 1 - year;
  return {
    date: `${pad(shown, 4)}-${pad(month, 2)}-${pad(day, 2)}`,
    era: year > 0 ? '' : ' BC',
  };
}

/** `days` since 2000-01-01, PostgreSQL's infinities included. */
export function printDate(days: number): string {
  if (days === INT32_MAX) return 'infinity';
  if (days === INT32_MIN) return '-infinity';
  const { date, era } = printCivil(days + EPOCH_DAYS);
  return date + era;
}

/** Microseconds since midnight, up to and with 24:00:00. */
export function printTime(micros: bigint): string {
  const whole = Number(micros / 1_000_000n);
  const fraction = Number(micros % 1_000_000n);
  const time = `${pad(Math.floor(whole / 3600), 2)}:${pad(Math.floor(whole / 60) % 60, 2)}:${pad(whole % 60, 2)}`;
  return fraction === 0 ? time : `${time}.${pad(fraction, 6).replace(/0+$/, '')}`;
}

/** `micros` since 2000-01-01, PostgreSQL's infinities included; zoned ones print in UTC. */
export function printTimestamp(micros: bigint, zoned: boolean): string {
  if (micros === INT64_MAX) return 'infinity';
  if (micros === INT64_MIN) return '-infinity';
  const rest = ((micros % DAY_MICROS) + DAY_MICROS) % DAY_MICROS;
  const days = Number((micros - rest) / DAY_MICROS);
  const { date, era } = printCivil(days + EPOCH_DAYS);
  return `${date} ${printTime(rest)}${zoned ? '+00' : ''}${era}`;
}

const DATE = /^(\d{4,})-(\d\d)-(\d\d)( BC)?$/;
const TIMESTAMP =
  /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d{1,6})?)(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?( BC)?$/;
const TIME = /^(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/;

export function parseDate(text: string): number | null {
  if (text === 'infinity') return INT32_MAX;
  if (text === '-infinity') return INT32_MIN;
  const match = DATE.exec(text);
  if (match === null) return null;
  const year = match[4] === undefined ? Number(match[1]) : 1 - Number(match[1]);
  return daysFromCivil(year, Number(match[2]), Number(match[3])) - EPOCH_DAYS;
}

export function parseTime(text: string): bigint | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const seconds = Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]);
  return BigInt(seconds) * 1_000_000n + BigInt((match[4] ?? '').padEnd(6, '0'));
}

export function parseTimestamp(text: string): bigint | null {
  if (text === 'infinity') return INT64_MAX;
  if (text === '-infinity') return INT64_MIN;
  const match = TIMESTAMP.exec(text);
  if (match === null) return null;
  const days = parseDate(`${match[1] ?? ''}${match[7] ?? ''}`);
  const time = parseTime(match[2] ?? '');
  if (days === null || time === null) return null;
  const part = (index: number): number => Number(match[index] ?? 0);
  const offset = part(4) * 3600 + part(5) * 60 + part(6);
  const shift = BigInt(match[3] === '-' ? offset : -offset) * 1_000_000n;
  return BigInt(days) * DAY_MICROS + time + shift;
}

export interface IntervalParts {
  readonly micros: bigint;
  readonly days: number;
  readonly months: number;
}

/** PostgreSQL's `postgres` interval style, as its EncodeInterval writes it. */
export function printInterval({ micros, days, months }: IntervalParts): string {
  if (micros === INT64_MAX && days === INT32_MAX && months === INT32_MAX) return 'infinity';
  if (micros === INT64_MIN && days === INT32_MIN && months === INT32_MIN) return '-infinity';
  const parts: string[] = [];
  let wasNegative = false;
  const add = (value: number, unit: string): void => {
    if (value === 0) return;
    const sign = wasNegative && value > 0 ? '+' : '';
    parts.push(`${sign}${value} ${unit}${value === 1 ? '' : 's'}`);
    wasNegative = value < 0;
  };
  add(Math.trunc(months / 12), 'year');
  add(months % 12, 'mon');
  add(days, 'day');
  if (parts.length === 0 || micros !== 0n) {
    const plus = wasNegative ? '+' : '';
    parts.push(`${micros < 0n ? '-' : plus}${printTime(micros < 0n ? -micros : micros)}`);
  }
  return parts.join(' ');
}

const INTERVAL_FIELD = /([+-]?\d+) (year|mon|day)s?(?: |$)/y;
const INTERVAL_TIME = /([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?$/y;

export function parseInterval(text: string): IntervalParts | null {
  if (text === 'infinity') return { micros: INT64_MAX, days: INT32_MAX, months: INT32_MAX };
  if (text === '-infinity') return { micros: INT64_MIN, days: INT32_MIN, months: INT32_MIN };
  const fields = { year: 0, mon: 0, day: 0 };
  let at = 0;
  for (;;) {
    INTERVAL_FIELD.lastIndex = at;
    const match = INTERVAL_FIELD.exec(text);
    const unit = match?.[2];
    if (match === null || (unit !== 'year' && unit !== 'mon' && unit !== 'day')) break;
    fields[unit] = Number(match[1]);
    at = INTERVAL_FIELD.lastIndex;
  }
  let micros = 0n;
  if (at < text.length) {
    INTERVAL_TIME.lastIndex = at;
    const match = INTERVAL_TIME.exec(text);
    if (match === null) return null;
    const seconds =
      BigInt(match[2] ?? 0) * 3600n + BigInt(match[3] ?? 0) * 60n + BigInt(match[4] ?? 0);
    micros = seconds * 1_000_000n + BigInt((match[5] ?? '').padEnd(6, '0'));
    if (match[1] === '-') micros = -micros;
  } else if (text.length === 0) return null;
  return { micros, days: fields.day, months: fields.year * 12 + fields.mon };
}

/** Reads times by a layout with the rules and messages of Go's time.Parse (1.26), the local zone being UTC. */
import { daysFromCivil } from '../../core/calendar.ts';
import { DAY_SECONDS, daysBefore, daysIn, isLeap, type Moment, UTC } from './moment.ts';
import { type Element, type Layout, MONTHS, WEEKDAYS, type ZoneForm } from './time-layout.ts';
import { KazaamFailure } from './failure.ts';

interface Reading {
  year: number;
  month: number;
  day: number;
  yearDay: number;
  hour: number;
  minute: number;
  second: number;
  nanoseconds: number;
  half: 'AM' | 'PM' | null;
  utc: boolean;
  /** -1 for none, as in Go: an offset of minus one second is lost. */
  offsetSeconds: number;
  zoneName: string;
}

type Step =
  | { readonly rest: string; readonly outOfRange?: string }
  /** The value does not have the form. */
  | null;

function quote(text: string): string {
  const bytes = Buffer.from(text);
  let out = '"';
  for (const byte of bytes) {
    if (byte >= 0x80 || byte < 0x20) out += `\\x${byte.toString(16).padStart(2, '0')}`;
    else
      out +=
        byte === 34 || byte === 92 ? `\\${String.fromCharCode(byte)}` : String.fromCharCode(byte);
  }
  return `${out}"`;
}

class TimeFault extends KazaamFailure {
  constructor(value: string, message: string) {
    super('raw', `parsing time ${quote(value)}${message}`);
    this.name = 'TimeFault';
  }
}

function mismatch(layout: string, value: string, element: string, rest: string): TimeFault {
  const detail = ` as ${quote(layout)}: cannot parse ${quote(rest)} as ${quote(element)}`;
  return new TimeFault(value, detail);
}

/** Text that stands for itself; a run of blanks stands for any number of them. Null with what was left at the fault. */
function skip(value: string, prefix: string): { readonly rest: string; readonly ok: boolean } {
  let rest = value;
  let left = prefix;
  while (left !== '') {
    if (left.startsWith(' ')) {
      if (rest !== '' && !rest.startsWith(' ')) return { rest, ok: false };
      left = left.replace(/^ +/, '');
      rest = rest.replace(/^ +/, '');
    } else {
      if (rest === '' || rest.charAt(0) !== left.charAt(0)) return { rest, ok: false };
      left = left.slice(1);
      rest = rest.slice(1);
    }
  }
  return { rest, ok: true };
}

interface Found {
  readonly value: number;
  readonly rest: string;
}

function digits(text: string, most: number, fixed: boolean): Found | null {
  const found = new RegExp(`^\\d{1,${most}}`).exec(text)?.[0];
  if (found === undefined || (fixed && found.length !== most)) return null;
  return { value: Number(found), rest: text.slice(found.length) };
}

function named(names: readonly string[], length: number | null, text: string): Found | null {
  for (const [value, name] of names.entries()) {
    const wanted = length === null ? name : name.slice(0, length);
    const given = text.slice(0, wanted.length);
    if (given.toLowerCase() === wanted.toLowerCase() && /^[A-Za-z]*$/.test(given)) {
      return { value, rest: text.slice(wanted.length) };
    }
  }
  return null;
}

/** Text that begins with a point or comma and `length` - 1 digits. */
function nanoseconds(text: string, length: number): number | null {
  if (!/^[.,]/.test(text)) return null;
  const given = text.slice(1, Math.min(length, 10));
  return /^[+-]?\d+$/.test(given) ? Number(given) * 10 ** (9 - given.length) : null;
}

const ZONE_FORMS: Readonly<Record<ZoneForm, RegExp>> = {
  hhmm: /^(.)(..)(..)/s,
  'hh:mm': /^(.)(..):(..)/s,
  hh: /^(.)(..)/s,
  hhmmss: /^(.)(..)(..)(..)/s,
  'hh:mm:ss': /^(.)(..):(..):(..)/s,
};

function readZone(text: string, element: Element & { kind: 'zone' }, into: Reading): Step {
  if (element.utcAsZ && text.startsWith('Z')) {
    into.utc = true;
    return { rest: text.slice(1) };
  }
  const found = ZONE_FORMS[element.form].exec(text);
  if (found === null) return null;
  const [all, sign = '', ...fields] = found;
  const numbers: number[] = [0, 0, 0];
  let bad = false;
  for (const [at, field] of fields.entries()) {
    if (!/^\d\d$/.test(field)) bad = true;
    if (bad) break;
    numbers[at] = Number(field);
  }
  const [hh = 0, mm = 0, ss = 0] = numbers;
  const rest = text.slice(all.length);
  if (ss > 60) return { rest, outOfRange: 'time zone offset second' };
  if (mm > 60) return { rest, outOfRange: 'time zone offset minute' };
  if (hh > 24) return { rest, outOfRange: 'time zone offset hour' };
  if (bad || (sign !== '+' && sign !== '-')) return null;
  const offset = (hh * 60 + mm) * 60 + ss;
  into.offsetSeconds = sign === '-' ? -offset : offset;
  return { rest };
}

/** How long the name of a time zone at the beginning is; 0 for none. */
function zoneNameLength(text: string): number {
  if (text.length < 3) return 0;
  if (/^(?:ChST|MeST)/.test(text)) return 4;
  const signed = /^(GMT)?([+-])(\d+)/.exec(text);
  const signedLength =
    signed !== null && Number(signed[3]) <= 23 ? signed[0].length - (signed[1]?.length ?? 0) : 0;
  if (text.startsWith('GMT')) return 3 + signedLength;
  if (/^[+-]/.test(text)) return signedLength;
  const upper = /^[A-Z]{0,6}/.exec(text)?.[0] ?? '';
  if (upper.length === 5) return upper.endsWith('T') ? 5 : 0;
  if (upper.length === 4) return upper.endsWith('T') || upper === 'WITA' ? 4 : 0;
  return upper.length === 3 ? 3 : 0;
}

function readZoneName(text: string, into: Reading): Step {
  if (text.startsWith('UTC')) {
    into.utc = true;
    return { rest: text.slice(3) };
  }
  const length = zoneNameLength(text);
  if (length === 0) return null;
  into.zoneName = text.slice(0, length);
  return { rest: text.slice(length) };
}

function readFraction(text: string, element: Element & { kind: 'fraction' }, into: Reading): Step {
  const length = element.trim ? (/^[.,]\d+/.exec(text)?.[0].length ?? 0) : 1 + element.digits;
  if (length === 0) return { rest: text };
  if (text.length < length) return null;
  const found = nanoseconds(text, length);
  if (found === null) return null;
  into.nanoseconds = found;
  const rest = text.slice(length);
  return found < 0 ? { rest, outOfRange: 'fractional second' } : { rest };
}

type NumberField = 'month' | 'day' | 'yearDay' | 'hour' | 'minute' | 'second';

function readNumber(
  found: Found | null,
  field: NumberField,
  range: readonly [number, number],
  into: Reading,
): Step {
  if (found === null) return null;
  into[field] = found.value;
  const inside = found.value >= range[0] && found.value <= range[1];
  return inside ? { rest: found.rest } : { rest: found.rest, outOfRange: field };
}

function readName(found: Found | null, into: Reading, isMonth: boolean): Step {
  if (found === null) return null;
  if (isMonth) into.month = found.value + 1;
  return { rest: found.rest };
}

function readHalf(text: string, names: readonly [string, string], into: Reading): Step {
  const given = text.slice(0, 2);
  if (given === names[0]) into.half = 'AM';
  else if (given === names[1]) into.half = 'PM';
  else return null;
  return { rest: text.slice(2) };
}

function readYear(text: string, short: boolean, into: Reading): Step {
  const given = text.slice(0, short ? 2 : 4);
  // Go takes a sign in a year of two digits.
  if (!(short ? /^(?:\d\d|[+-]\d)$/ : /^\d{4}$/).test(given)) return null;
  const value = Number(given);
  into.year = short ? value + (value >= 69 ? 1900 : 2000) : value;
  return { rest: text.slice(given.length) };
}

/** A fraction that the layout does not ask for is taken after seconds. */
function readSecond(step: Step, next: Element | undefined, into: Reading): Step {
  if (step === null || step.outOfRange !== undefined || next?.kind === 'fraction') return step;
  const given = /^[.,]\d+/.exec(step.rest)?.[0];
  if (given === undefined) return step;
  into.nanoseconds = nanoseconds(given, given.length) ?? 0;
  return { rest: step.rest.slice(given.length) };
}

const NO_LIMIT = [0, Number.POSITIVE_INFINITY] as const;

function readElement(
  text: string,
  element: Element,
  next: Element | undefined,
  into: Reading,
): Step {
  const { kind } = element;
  switch (kind) {
    case 'shortYear':
    case 'year':
      return readYear(text, kind === 'shortYear', into);
    case 'shortMonth':
    case 'longMonth':
      return readName(named(MONTHS, kind === 'shortMonth' ? 3 : null, text), into, true);
    case 'shortWeekday':
    case 'longWeekday':
      return readName(named(WEEKDAYS, kind === 'shortWeekday' ? 3 : null, text), into, false);
    case 'month':
    case 'zeroMonth':
      return readNumber(digits(text, 2, kind === 'zeroMonth'), 'month', [1, 12], into);
    case 'day':
    case 'zeroDay':
      return readNumber(digits(text, 2, kind === 'zeroDay'), 'day', NO_LIMIT, into);
    case 'spaceDay':
      return readNumber(digits(text.replace(/^ /, ''), 2, false), 'day', NO_LIMIT, into);
    case 'spaceYearDay':
      return readNumber(digits(text.replace(/^ {1,2}/, ''), 3, false), 'yearDay', NO_LIMIT, into);
    case 'zeroYearDay':
      return readNumber(digits(text, 3, true), 'yearDay', NO_LIMIT, into);
    case 'hour':
      return readNumber(digits(text, 2, false), 'hour', [0, 23], into);
    case 'hour12':
    case 'zeroHour12':
      return readNumber(digits(text, 2, kind === 'zeroHour12'), 'hour', [0, 12], into);
    case 'minute':
    case 'zeroMinute':
      return readNumber(digits(text, 2, kind === 'zeroMinute'), 'minute', [0, 59], into);
    case 'second':
    case 'zeroSecond': {
      const step = readNumber(digits(text, 2, kind === 'zeroSecond'), 'second', [0, 59], into);
      return readSecond(step, next, into);
    }
    case 'PM':
      return readHalf(text, ['AM', 'PM'], into);
    case 'pm':
      return readHalf(text, ['am', 'pm'], into);
    case 'zone':
      return readZone(text, element, into);
    case 'zoneName':
      return readZoneName(text, into);
    case 'fraction':
      return readFraction(text, element, into);
    default:
      return null;
  }
}

/** Day and month of a day of the year; a fault where the layout gave them too and they differ. */
function settleDate(into: Reading, value: string): void {
  const fault = (what: string): TimeFault => new TimeFault(value, `: day-of-year ${what}`);
  if (into.yearDay < 0) {
    if (into.month < 0) into.month = 1;
    if (into.day < 0) into.day = 1;
  } else {
    let { yearDay } = into;
    let month = 0;
    let day = 0;
    if (isLeap(into.year)) {
      if (yearDay === 60) [month, day] = [2, 29];
      else if (yearDay > 60) yearDay -= 1;
    }
    if (yearDay < 1 || yearDay > 365) throw fault('out of range');
    if (month === 0) {
      month = Math.floor((yearDay - 1) / 31) + 1;
      if (daysBefore(month + 1) < yearDay) month += 1;
      day = yearDay - daysBefore(month);
    }
    if (into.month >= 0 && into.month !== month) throw fault('does not match month');
    if (into.day >= 0 && into.day !== day) throw fault('does not match day');
    into.month = month;
    into.day = day;
  }
  if (into.day < 1 || into.day > daysIn(into.month, into.year)) {
    throw new TimeFault(value, ': day out of range');
  }
}

function momentOf(into: Reading): Moment {
  let { hour } = into;
  if (into.half === 'PM' && hour < 12) hour += 12;
  else if (into.half === 'AM' && hour === 12) hour = 0;
  const clock = hour * 3600 + into.minute * 60 + into.second;
  const seconds = BigInt(daysFromCivil(into.year, into.month, into.day) * DAY_SECONDS + clock);
  const at = { nanoseconds: into.nanoseconds };
  if (into.utc) return { ...at, unixSeconds: seconds, zone: UTC };
  const { offsetSeconds, zoneName: name } = into;
  if (offsetSeconds !== -1) {
    const isUtc = offsetSeconds === 0 && (name === '' || name === 'UTC');
    const zone = isUtc ? UTC : { name, offsetSeconds };
    return { ...at, unixSeconds: seconds - BigInt(offsetSeconds), zone };
  }
  if (name === '') return { ...at, unixSeconds: seconds, zone: UTC };
  const hours = /^GMT([+-]\d+)$/.exec(name)?.[1];
  // An offset that comes with a name is where the time is shown, not what it was measured against.
  const zone = { name, offsetSeconds: Number(hours ?? 0) * 3600 };
  return { ...at, unixSeconds: seconds, zone };
}

export function parseMoment(layout: Layout, value: string): Moment {
  const into: Reading = {
    year: 0,
    month: -1,
    day: -1,
    yearDay: -1,
    hour: 0,
    minute: 0,
    second: 0,
    nanoseconds: 0,
    half: null,
    utc: false,
    offsetSeconds: -1,
    zoneName: '',
  };
  let rest = value;
  for (const [at, { prefix, text, element }] of layout.chunks.entries()) {
    const skipped = skip(rest, prefix);
    if (!skipped.ok) throw mismatch(layout.text, value, prefix, skipped.rest);
    const next = layout.chunks[at + 1];
    const step = readElement(skipped.rest, element, next?.element, into);
    if (step === null) throw mismatch(layout.text, value, text, skipped.rest);
    if (step.outOfRange !== undefined) {
      throw new TimeFault(value, `: ${rangeName(step.outOfRange)} out of range`);
    }
    rest = step.rest;
  }
  const end = skip(rest, layout.suffix);
  if (!end.ok) throw mismatch(layout.text, value, layout.suffix, end.rest);
  if (end.rest !== '') throw new TimeFault(value, `: extra text: ${quote(end.rest)}`);
  settleDate(into, value);
  return momentOf(into);
}

function rangeName(field: string): string {
  return field === 'yearDay' ? 'day-of-year' : field;
}

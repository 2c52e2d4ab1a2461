import { civilFromDays, daysFromCivil } from '../../core/calendar.ts';
import { DAY_SECONDS, type Moment } from './moment.ts';
import { type Element, type Layout, MONTHS, WEEKDAYS, type ZoneForm } from './time-layout.ts';

/** Padded to a width that does not count the sign. */
function padded(value: number, width: number): string {
  return (value < 0 ? '-' : '') + String(Math.abs(value)).padStart(width, '0');
}

interface Parts {
  readonly moment: Moment;
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly yearDay: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

function partsOf(moment: Moment): Parts {
  const local = moment.unixSeconds + BigInt(moment.zone.offsetSeconds);
  const rest = Number(local % BigInt(DAY_SECONDS));
  const second = rest < 0 ? rest + DAY_SECONDS : rest;
  const number = Number((local - BigInt(second)) / BigInt(DAY_SECONDS));
  const date = civilFromDays(number);
  return {
    moment,
    ...date,
    yearDay: number - daysFromCivil(date.year, 1, 1) + 1,
    weekday: (((number + 4) % 7) + 7) % 7,
    hour: Math.floor(second / 3600),
    minute: Math.floor(second / 60) % 60,
    second: second % 60,
  };
}

function zoneText(offsetSeconds: number, form: ZoneForm): string {
  const minutes = Math.trunc(offsetSeconds / 60);
  const seconds = padded(Math.abs(offsetSeconds) % 60, 2);
  const sign = minutes < 0 ? '-' : '+';
  const hh = padded(Math.floor(Math.abs(minutes) / 60), 2);
  const mm = padded(Math.abs(minutes) % 60, 2);
  // Where the offset is below a minute, Go's seconds keep their own sign.
  const ss = minutes === 0 && offsetSeconds < 0 ? padded(offsetSeconds % 60, 2) : seconds;
  if (form === 'hh') return sign + hh;
  if (form === 'hhmm') return sign + hh + mm;
  if (form === 'hh:mm') return `${sign}${hh}:${mm}`;
  return form === 'hhmmss' ? sign + hh + mm + ss : `${sign}${hh}:${mm}:${ss}`;
}

function fractionText(nanoseconds: number, element: Element & { kind: 'fraction' }): string {
  if (element.trim && nanoseconds === 0) return '';
  const digits = padded(nanoseconds, 9).slice(0, element.digits);
  const shown = element.trim ? digits.replace(/0+$/, '') : digits;
  return shown === '' ? '' : element.separator + shown;
}

const hour12 = (hour: number): number => (hour % 12 === 0 ? 12 : hour % 12);

function elementText(element: Element, parts: Parts): string {
  const { year, month, day, yearDay, hour, moment } = parts;
  const monthName = MONTHS[month - 1] ?? '';
  const weekday = WEEKDAYS[parts.weekday] ?? '';
  const { name, offsetSeconds } = moment.zone;
  switch (element.kind) {
    case 'shortYear':
      return padded(Math.abs(year) % 100, 2);
    case 'year':
      return padded(year, 4);
    case 'shortMonth':
      return monthName.slice(0, 3);
    case 'longMonth':
      return monthName;
    case 'month':
      return String(month);
    case 'zeroMonth':
      return padded(month, 2);
    case 'shortWeekday':
      return weekday.slice(0, 3);
    case 'longWeekday':
      return weekday;
    case 'day':
      return String(day);
    case 'spaceDay':
      return String(day).padStart(2);
    case 'zeroDay':
      return padded(day, 2);
    case 'spaceYearDay':
      return String(yearDay).padStart(3);
    case 'zeroYearDay':
      return padded(yearDay, 3);
    case 'zone':
      return element.utcAsZ && offsetSeconds === 0 ? 'Z' : zoneText(offsetSeconds, element.form);
    case 'zoneName':
      return name === '' ? zoneText(offsetSeconds, 'hhmm') : name;
    case 'fraction':
      return fractionText(moment.nanoseconds, element);
    case 'PM':
      return hour >= 12 ? 'PM' : 'AM';
    case 'pm':
      return hour >= 12 ? 'pm' : 'am';
    default:
      return clockText(element.kind, parts);
  }
}

function clockText(kind: string, { hour, minute, second }: Parts): string {
  const values: Readonly<Record<string, string>> = {
    hour: padded(hour, 2),
    hour12: String(hour12(hour)),
    zeroHour12: padded(hour12(hour), 2),
    minute: String(minute),
    zeroMinute: padded(minute, 2),
    second: String(second),
    zeroSecond: padded(second, 2),
  };
  return values[kind] ?? '';
}

export function formatMoment(moment: Moment, layout: Layout): string {
  const parts = partsOf(moment);
  let text = '';
  for (const { prefix, element } of layout.chunks) text += prefix + elementText(element, parts);
  return text + layout.suffix;
}

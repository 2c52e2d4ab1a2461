/** Layouts of Go's package time (1.26): the reference time Mon Jan 2 15:04:05 MST 2006 in the form that is meant. */

type Field =
  | 'shortYear'
  | 'year'
  | 'shortMonth'
  | 'longMonth'
  | 'month'
  | 'zeroMonth'
  | 'shortWeekday'
  | 'longWeekday'
  | 'day'
  | 'spaceDay'
  | 'zeroDay'
  | 'spaceYearDay'
  | 'zeroYearDay'
  | 'hour'
  | 'hour12'
  | 'zeroHour12'
  | 'minute'
  | 'zeroMinute'
  | 'second'
  | 'zeroSecond'
  | 'PM'
  | 'pm'
  | 'zoneName';

export type ZoneForm = 'hhmm' | 'hh:mm' | 'hh' | 'hhmmss' | 'hh:mm:ss';

export type Element =
  | { readonly kind: Field }
  /** `utcAsZ`: UTC is written as Z. */
  | { readonly kind: 'zone'; readonly form: ZoneForm; readonly utcAsZ: boolean }
  | {
      readonly kind: 'fraction';
      readonly digits: number;
      /** Zeros at the end are left out. */
      readonly trim: boolean;
      readonly separator: string;
    };

export interface Chunk {
  /** Text before the element that stands for itself. */
  readonly prefix: string;
  /** The element as the layout writes it. */
  readonly text: string;
  readonly element: Element;
}

export interface Layout {
  readonly text: string;
  readonly chunks: readonly Chunk[];
  readonly suffix: string;
}

export const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

export const WEEKDAYS = [
  'Sunday',
  'Monday',
  'Tuesday',
  'Wednesday',
  'Thursday',
  'Friday',
  'Saturday',
] as const;

const FIELDS = new Map<string, Field>([
  ['06', 'shortYear'],
  ['2006', 'year'],
  ['Jan', 'shortMonth'],
  ['January', 'longMonth'],
  ['1', 'month'],
  ['01', 'zeroMonth'],
  ['Mon', 'shortWeekday'],
  ['Monday', 'longWeekday'],
  ['2', 'day'],
  ['_2', 'spaceDay'],
  ['02', 'zeroDay'],
  ['__2', 'spaceYearDay'],
  ['002', 'zeroYearDay'],
  ['15', 'hour'],
  ['3', 'hour12'],
  ['03', 'zeroHour12'],
  ['4', 'minute'],
  ['04', 'zeroMinute'],
  ['5', 'second'],
  ['05', 'zeroSecond'],
  ['PM', 'PM'],
  ['pm', 'pm'],
  ['MST', 'zoneName'],
]);

const ZONES = new Map<string, ZoneForm>([
  ['0700', 'hhmm'],
  ['07:00', 'hh:mm'],
  ['07', 'hh'],
  ['070000', 'hhmmss'],
  ['07:00:00', 'hh:mm:ss'],
]);

const ELEMENT =
  /January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|0[1-6]|002|15|1|2006|2|_2(?!006)|__2|3|4|5|PM|pm|[-Z](?:070000|07:00:00|0700|07:00|07)|[.,](?:0+|9+)(?!\d)/g;

function elementOf(text: string): Element {
  const field = FIELDS.get(text);
  if (field !== undefined) return { kind: field };
  const form = ZONES.get(text.slice(1));
  if (form !== undefined) return { kind: 'zone', form, utcAsZ: text.startsWith('Z') };
  const separator = text.charAt(0);
  return { kind: 'fraction', digits: text.length - 1, trim: text.charAt(1) === '9', separator };
}

export function readLayout(text: string): Layout {
  let at = 0;
  const chunks: Chunk[] = [];
  for (const { 0: found, index } of text.matchAll(ELEMENT)) {
    chunks.push({ prefix: text.slice(at, index), text: found, element: elementOf(found) });
    at = index + found.length;
  }
  return { text, chunks, suffix: text.slice(at) };
}

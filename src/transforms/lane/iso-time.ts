/** Timestamps between PostgreSQL's text (`2024-05-06 07:08:09.5+00`) and ISO 8601 (`2024-05-06T07:08:09.5Z`). */

const PRINTED = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)(?:([+-]\d\d)(:\d\d)?(:\d\d)?)?$/;
const ISO =
  /^(\d{4,6}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(?:(Z|z)|([+-]\d\d)(?::?(\d\d))?(?::(\d\d))?)?$/;
/** Infinity, and what lies outside of the four-digit years: as it is printed. */
const OTHER =
  /^(?:-?infinity|\d{4,}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[+-][\d:]+)?(?: BC)?)$/;
const MOST_PLACES = 6;

export function isoClock(text: string): string {
  const match = PRINTED.exec(text);
  if (match === null) return text;
  const [, date = '', time = '', hours, minutes = ':00', seconds = ''] = match;
  if (hours === undefined) return `${date}T${time}`;
  const isUtc = /^[+-]00$/.test(hours) && minutes === ':00' && seconds === '';
  return `${date}T${time}${isUtc ? 'Z' : `${hours}${minutes}${seconds}`}`;
}

function microsOnly(time: string): string | null {
  const [whole = '', fraction = ''] = time.split('.');
  const clock = whole.length === 5 ? `${whole}:00` : whole;
  if (fraction.length <= MOST_PLACES) return fraction === '' ? clock : `${clock}.${fraction}`;
  const rest = fraction.slice(MOST_PLACES);
  return /^0+$/.test(rest) ? `${clock}.${fraction.slice(0, MOST_PLACES)}` : null;
}

function printedZone(match: RegExpExecArray): string {
  const [, , , utc, hours, minutes, seconds] = match;
  if (utc !== undefined || hours === undefined) return '+00';
  return `${hours}${minutes === undefined ? '' : `:${minutes}`}${seconds === undefined ? '' : `:${seconds}`}`;
}

/**
 * Null if it is no timestamp, or one that the type cannot hold: finer than microseconds, or of another zone than UTC
 * where the type has none. Without a zone it is UTC.
 */
export function clockText(text: string, zoned: boolean): string | null {
  const match = ISO.exec(text);
  if (match === null) return OTHER.test(text) ? text : null;
  const time = microsOnly(match[2] ?? '');
  if (time === null) return null;
  const zone = printedZone(match);
  const date = match[1] ?? '';
  if (zoned) return `${date} ${time}${zone}`;
  return /^[+-]00(?::00)*$/.test(zone) ? `${date} ${time}` : null;
}

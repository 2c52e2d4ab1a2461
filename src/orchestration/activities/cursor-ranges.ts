/** Days and keys as the values of a column by which rows are read. Pure. */
import { ForebayError } from '../../core/errors.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type { CursorRange } from '../../engine/pipeline.ts';
import type { DateRange, KeyRange } from '../flows/activities.ts';

const DAY_MS = 86_400_000;

function nextDay(day: string): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);
}

/** Days are UTC's, whatever the zone of the column. */
function dayBound(schema: StreamSchema, column: string, day: string): string {
  const type = schema.columns.find(({ name }) => name === column)?.type;
  return type?.kind === 'timestamp' ? `${day} 00:00:00${type.zoned ? '+00' : ''}` : day;
}

/** `column`: the one that days are told by; null: the stream has none. */
export function daysOf(schema: StreamSchema, column: string | null, range: DateRange): CursorRange {
  const stream = streamId(schema.stream);
  if (column === null) {
    throw new ForebayError('request_unprocessable', {
      message: `${stream} has no cursor column, and the pipeline names no event_time_column`,
      fix: 'Name the column that the days of date_range are told by, or leave date_range out.',
      stream,
    });
  }
  const from = dayBound(schema, column, range.start);
  return { column, from, to: dayBound(schema, column, nextDay(range.end)) };
}

/** What the column cannot hold is not asked for: a bound of its type would not read it. */
export function keysOf(schema: StreamSchema, { column, start, end }: KeyRange): CursorRange {
  const stream = streamId(schema.stream);
  const found = schema.columns.find(({ name }) => name === column);
  if (found === undefined) {
    throw new ForebayError('column_missing', {
      message: `${stream} has no column ${column} to read it by`,
      fix: 'Name a column that every stream of the pipeline has.',
      stream,
    });
  }
  const { type, nativeType } = found;
  if (type.kind !== 'int') {
    throw new ForebayError('request_unprocessable', {
      message: `${column} of ${stream} is of type ${nativeType}; key ranges are of integers`,
      fix: 'Name an integer column, or read days with date_range.',
      stream,
    });
  }
  const most = 2n ** BigInt(type.bits - 1) - 1n;
  const least = -most - 1n;
  const [first, after] = [BigInt(start), BigInt(end) + 1n];
  if (first > most) return { column, from: `${most}`, to: `${most}` };
  if (after <= least) return { column, from: null, to: `${least}` };
  return {
    column,
    from: first <= least ? null : `${first}`,
    to: after > most ? null : `${after}`,
  };
}

/**
 * Types and cell encodings that every connector shares.
 *
 * A cell is bytes. Two encodings exist; a batch says per column which one its cells use:
 *
 * `text`    the value's text, UTF-8, in PostgreSQL's output form (ISO dates, `\x` for bytes, `{1,2}` for
 *           arrays, `t`/`f` for booleans). Every logical type has it.
 * `binary`  a fixed form per logical type, big endian, equal to PostgreSQL's send functions:
 *   boolean    1 byte, 0 or 1
 *   int        2, 4 or 8 bytes, two's complement
 *   float      4 or 8 bytes, IEEE 754
 *   decimal    int16 digit count, int16 weight, uint16 sign (0 +, 0x4000 -, 0xC000 NaN, 0xD000 +inf,
 *              0xF000 -inf), uint16 display scale, then base-10000 digits
 *   text, json UTF-8 (json without PostgreSQL's jsonb version byte)
 *   bytes      as they are
 *   date       int32 days since 2000-01-01; min and max of int32 are -infinity and infinity
 *   time       int64 microseconds since midnight (24:00:00 allowed)
 *   timestamp  int64 microseconds since 2000-01-01 00:00 (UTC if zoned); min/max are -infinity/infinity
 *   interval   int64 microseconds, int32 days, int32 months
 *   uuid       16 bytes
 *   array      int32 dimensions, int32 has-nulls flag, int32 element type id (ignored by readers outside
 *              PostgreSQL), per dimension int32 length and int32 lower bound, then per element int32
 *              length (-1 null) and the element's binary form, row-major
 *   other      has no binary form: always `text`
 */
export type LogicalType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int'; readonly bits: 16 | 32 | 64 }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'decimal'; readonly precision: number | null; readonly scale: number | null }
  | { readonly kind: 'text' }
  | { readonly kind: 'bytes' }
  | { readonly kind: 'date' }
  | { readonly kind: 'time' }
  | { readonly kind: 'timestamp'; readonly zoned: boolean }
  | { readonly kind: 'interval' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'json' }
  | {
      readonly kind: 'array';
      readonly element: LogicalType;
      /** Declared number of dimensions, at least 1; the source need not enforce it per value. */
      readonly dimensions: number;
    }
  /** A type with no neutral form (network, range, full text, geometry, ...): its text is the value. */
  | { readonly kind: 'other' };

export type CellEncoding = 'binary' | 'text';

/** Values of a cell's length word that are no lengths. */
export const NULL_CELL = -1;
/** The source did not send the value because the update left it as it was (PostgreSQL: unchanged TOAST). */
export const UNCHANGED_CELL = -2;
/** The source never sends this column here (non-key columns of a deleted row). */
export const ABSENT_CELL = -3;

export function hasBinaryForm(type: LogicalType): boolean {
  switch (type.kind) {
    case 'other':
      return false;
    case 'array':
      // Elements that are JSON carry a version byte in PostgreSQL's arrays; their text is the neutral form.
      return (
        type.element.kind !== 'json' && type.element.kind !== 'array' && hasBinaryForm(type.element)
      );
    default:
      return true;
  }
}

/** The type as plans and lists print it. */
export function printType(type: LogicalType): string {
  switch (type.kind) {
    case 'int':
    case 'float':
      return `${type.kind}${type.bits}`;
    case 'decimal':
      return type.precision === null ? 'decimal' : `decimal(${type.precision},${type.scale ?? 0})`;
    case 'timestamp':
      return type.zoned ? 'timestamptz' : 'timestamp';
    case 'array':
      return printType(type.element) + '[]'.repeat(type.dimensions);
    default:
      return type.kind;
  }
}

export function sameType(a: LogicalType, b: LogicalType): boolean {
  return printType(a) === printType(b);
}

/** PostgreSQL's types in our words (core/value.ts). Object ids are those of pg_type.dat, equal on all servers. */
import type { LogicalType } from '../../core/value.ts';

/** What the catalog tells about a column's type; for a domain, of its base type. */
export interface CatalogType {
  readonly oid: number;
  readonly typmod: number;
  /** typtype: b base, e enum, c composite, r range, m multirange, ... */
  readonly kind: string;
  /** Internal name of the send function, `textsend` for every type that is plain text on the wire. */
  readonly sendFunction: string;
  /** The element, if the type is a true array (`_int4`; not int2vector) with commas between elements (not box[]). */
  readonly element: Omit<CatalogType, 'element'> | null;
  readonly dimensions: number;
}

const FIXED: Readonly<Record<number, LogicalType>> = {
  16: { kind: 'boolean' },
  17: { kind: 'bytes' },
  19: { kind: 'text' },
  20: { kind: 'int', bits: 64 },
  21: { kind: 'int', bits: 16 },
  23: { kind: 'int', bits: 32 },
  25: { kind: 'text' },
  114: { kind: 'json' },
  700: { kind: 'float', bits: 32 },
  701: { kind: 'float', bits: 64 },
  1042: { kind: 'text' },
  1043: { kind: 'text' },
  1082: { kind: 'date' },
  1083: { kind: 'time' },
  1114: { kind: 'timestamp', zoned: false },
  1184: { kind: 'timestamp', zoned: true },
  1186: { kind: 'interval' },
  2950: { kind: 'uuid' },
  3802: { kind: 'json' },
};

const NUMERIC_OID = 1700;
const TEXT_SENDERS = new Set(['textsend', 'varcharsend', 'bpcharsend', 'enum_send']);

/** Type modifier of numeric: precision in the high half, scale in 11 bits with sign (numeric.c). */
function numericType(typmod: number): LogicalType {
  if (typmod < 4) return { kind: 'decimal', precision: null, scale: null };
  const packed = typmod - 4;
  return {
    kind: 'decimal',
    precision: (packed >> 16) & 0xffff,
    scale: ((packed & 0x7ff) ^ 1024) - 1024,
  };
}

function scalarType(type: Omit<CatalogType, 'element'>): LogicalType {
  if (type.oid === NUMERIC_OID) return numericType(type.typmod);
  const fixed = FIXED[type.oid];
  if (fixed) return fixed;
  return TEXT_SENDERS.has(type.sendFunction) ? { kind: 'text' } : { kind: 'other' };
}

export function logicalType(type: CatalogType): LogicalType {
  if (type.element === null) return scalarType(type);
  return {
    kind: 'array',
    element: scalarType(type.element),
    dimensions: Math.max(1, type.dimensions),
  };
}

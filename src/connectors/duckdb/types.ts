/** DuckDB's column types beside the logical ones: which to create, which will do, how cells should arrive. */
import { type CellEncoding, hasBinaryForm, type LogicalType } from '../../core/value.ts';

export type ColumnType =
  | { readonly kind: 'boolean' }
  | { readonly kind: 'int'; readonly bits: 8 | 16 | 32 | 64 | 128; readonly unsigned: boolean }
  | { readonly kind: 'float'; readonly bits: 32 | 64 }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'varchar' }
  | { readonly kind: 'json' }
  | { readonly kind: 'blob' }
  | { readonly kind: 'date' }
  | { readonly kind: 'time' }
  /** `unit` is what one step of the stored integer means, in microseconds. */
  | { readonly kind: 'timestamp'; readonly zoned: boolean; readonly unit: 1 | 1000 | 1_000_000 }
  | { readonly kind: 'interval' }
  | { readonly kind: 'uuid' }
  | { readonly kind: 'list'; readonly element: ColumnType }
  | { readonly kind: 'unknown'; readonly sql: string };

export const VARCHAR: ColumnType = { kind: 'varchar' };
export const TIMESTAMPTZ: ColumnType = { kind: 'timestamp', zoned: true, unit: 1 };

const MAX_DECIMAL_PRECISION = 38;

const INT = (bits: 8 | 16 | 32 | 64 | 128, unsigned = false): ColumnType => ({
  kind: 'int',
  bits,
  unsigned,
});

const PLAIN_TYPES: Readonly<Record<string, ColumnType>> = {
  BOOLEAN: { kind: 'boolean' },
  TINYINT: INT(8),
  SMALLINT: INT(16),
  INTEGER: INT(32),
  BIGINT: INT(64),
  HUGEINT: INT(128),
  UTINYINT: INT(8, true),
  USMALLINT: INT(16, true),
  UINTEGER: INT(32, true),
  UBIGINT: INT(64, true),
  UHUGEINT: INT(128, true),
  FLOAT: { kind: 'float', bits: 32 },
  DOUBLE: { kind: 'float', bits: 64 },
  VARCHAR,
  JSON: { kind: 'json' },
  BLOB: { kind: 'blob' },
  DATE: { kind: 'date' },
  TIME: { kind: 'time' },
  TIMESTAMP: { kind: 'timestamp', zoned: false, unit: 1 },
  TIMESTAMP_MS: { kind: 'timestamp', zoned: false, unit: 1000 },
  TIMESTAMP_S: { kind: 'timestamp', zoned: false, unit: 1_000_000 },
  'TIMESTAMP WITH TIME ZONE': TIMESTAMPTZ,
  INTERVAL: { kind: 'interval' },
  UUID: { kind: 'uuid' },
};

/** Reads `data_type` as the catalog prints it. */
export function parseColumnType(sql: string): ColumnType {
  if (sql.endsWith('[]')) return { kind: 'list', element: parseColumnType(sql.slice(0, -2)) };
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(sql);
  if (decimal) return { kind: 'decimal', precision: Number(decimal[1]), scale: Number(decimal[2]) };
  return PLAIN_TYPES[sql] ?? { kind: 'unknown', sql };
}

export function printColumnType(type: ColumnType): string {
  switch (type.kind) {
    case 'int': {
      const name = { 8: 'TINYINT', 16: 'SMALLINT', 32: 'INTEGER', 64: 'BIGINT', 128: 'HUGEINT' };
      return `${type.unsigned ? 'U' : ''}${name[type.bits]}`;
    }
    case 'float':
      return type.bits === 32 ? 'FLOAT' : 'DOUBLE';
    case 'decimal':
      return `DECIMAL(${type.precision},${type.scale})`;
    case 'timestamp':
      if (type.zoned) return 'TIMESTAMP WITH TIME ZONE';
      return { 1: 'TIMESTAMP', 1000: 'TIMESTAMP_MS', 1_000_000: 'TIMESTAMP_S' }[type.unit];
    case 'list':
      return `${printColumnType(type.element)}[]`;
    case 'unknown':
      return type.sql;
    default:
      return type.kind.toUpperCase();
  }
}

export function sameColumnType(a: ColumnType, b: ColumnType): boolean {
  return printColumnType(a) === printColumnType(b);
}

function chooseDecimal(precision: number | null, scale: number): ColumnType {
  if (precision === null) return VARCHAR;
  const digits = scale < 0 ? precision - scale : Math.max(precision, scale);
  if (digits > MAX_DECIMAL_PRECISION) return VARCHAR;
  return { kind: 'decimal', precision: digits, scale: Math.max(scale, 0) };
}

/** The type of a column that we create. */
export function chooseColumnType(type: LogicalType): ColumnType {
  switch (type.kind) {
    case 'int':
      return INT(type.bits);
    case 'float':
      return { kind: 'float', bits: type.bits };
    case 'decimal':
      return chooseDecimal(type.precision, type.scale ?? 0);
    case 'text':
    case 'other':
      return VARCHAR;
    case 'bytes':
      return { kind: 'blob' };
    case 'timestamp':
      return { kind: 'timestamp', zoned: type.zoned, unit: 1 };
    case 'array': {
      let list = chooseColumnType(type.element);
      for (let level = 0; level < type.dimensions; level += 1) {
        list = { kind: 'list', element: list };
      }
      return list;
    }
    case 'boolean':
    case 'date':
    case 'time':
    case 'interval':
    case 'uuid':
    case 'json':
      return { kind: type.kind };
  }
}

/** Element of a list nested exactly `depth` deep; null if it is nested less. */
export function listElement(type: ColumnType, depth: number): ColumnType | null {
  let element = type;
  for (let level = 0; level < depth; level += 1) {
    if (element.kind !== 'list') return null;
    element = element.element;
  }
  return element;
}

/** Whether every usual value of the logical type can be kept exactly in a column of this type. */
export function columnTakes(column: ColumnType, type: LogicalType): boolean {
  if (column.kind === 'varchar') return true;
  switch (type.kind) {
    case 'int':
      return column.kind === 'int' && !column.unsigned && column.bits >= type.bits;
    case 'float':
      return column.kind === 'float' && column.bits >= type.bits;
    case 'decimal': {
      const natural = chooseColumnType(type);
      if (column.kind !== 'decimal' || natural.kind !== 'decimal') return false;
      const whole = column.precision - column.scale;
      return column.scale >= natural.scale && whole >= natural.precision - natural.scale;
    }
    case 'timestamp':
      return column.kind === 'timestamp' && column.zoned === type.zoned && column.unit === 1;
    case 'array': {
      const element = listElement(column, type.dimensions);
      return element !== null && columnTakes(element, type.element);
    }
    default:
      return sameColumnType(column, chooseColumnType(type));
  }
}

/** How a snapshot should send cells for this column. */
export function wantedEncoding(column: ColumnType, type: LogicalType): CellEncoding {
  if (!hasBinaryForm(type)) return 'text';
  const isText = type.kind === 'text' || type.kind === 'json';
  if (column.kind === 'varchar' && !isText) return 'text';
  if (type.kind === 'array' && listElement(column, type.dimensions)?.kind === 'varchar') {
    return type.element.kind === 'text' ? 'binary' : 'text';
  }
  return 'binary';
}

/** What a column of DuckDB's is to others. HUGEINT has 39 digits at its ends. */
export function logicalTypeOf(column: ColumnType): LogicalType {
  switch (column.kind) {
    case 'int':
      return logicalInt(column.bits, column.unsigned);
    case 'varchar':
    case 'unknown':
      return { kind: 'text' };
    case 'blob':
      return { kind: 'bytes' };
    case 'timestamp':
      return { kind: 'timestamp', zoned: column.zoned };
    case 'list': {
      const inner = logicalTypeOf(column.element);
      if (inner.kind !== 'array') return { kind: 'array', element: inner, dimensions: 1 };
      return { ...inner, dimensions: inner.dimensions + 1 };
    }
    case 'boolean':
    case 'float':
    case 'decimal':
    case 'json':
    case 'date':
    case 'time':
    case 'interval':
    case 'uuid':
      return column;
  }
}

function logicalInt(bits: 8 | 16 | 32 | 64 | 128, unsigned: boolean): LogicalType {
  if (bits === 128) return { kind: 'decimal', precision: 39, scale: 0 };
  if (bits === 64 && unsigned) return { kind: 'decimal', precision: 20, scale: 0 };
  const needed = unsigned ? bits * 2 : bits;
  if (needed <= 16) return { kind: 'int', bits: 16 };
  return { kind: 'int', bits: needed === 32 ? 32 : 64 };
}

/** Columns read as they are; others are cast to VARCHAR by the reading SELECT. */
export function isReadable(column: ColumnType): boolean {
  if (column.kind === 'list') return isReadable(column.element);
  return column.kind !== 'unknown';
}

/** Whether a column of this type is made VARCHAR when a value comes that it cannot hold. */
export function isWidenable(column: ColumnType): boolean {
  const { kind } = column;
  return kind === 'decimal' || kind === 'timestamp' || kind === 'interval' || kind === 'list';
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function quoteTable(namespace: string, name: string): string {
  return `${quoteName(namespace)}.${quoteName(name)}`;
}

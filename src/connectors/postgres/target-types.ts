/** Which type a column gets at the destination, and whether an existing column can hold it unchanged. */
import type { LogicalType } from '../../core/value.ts';
import type { ExistingColumn, TargetType } from './target-table.ts';

/** What our code knows of a built-in type that a cell's binary form belongs to. */
export interface BuiltinType {
  readonly name: string;
  readonly oid: number;
  readonly receive: string;
}

const builtin = (name: string, oid: number, receive: string): BuiltinType => ({
  name,
  oid,
  receive,
});

/** The built-in type whose binary form a logical type's cells have; null for arrays and `other`. */
export function builtinType(type: LogicalType): BuiltinType | null {
  switch (type.kind) {
    case 'boolean':
      return builtin('boolean', 16, 'boolrecv');
    case 'int':
      if (type.bits === 16) return builtin('smallint', 21, 'int2recv');
      return type.bits === 32
        ? builtin('integer', 23, 'int4recv')
        : builtin('bigint', 20, 'int8recv');
    case 'float':
      return type.bits === 32
        ? builtin('real', 700, 'float4recv')
        : builtin('double precision', 701, 'float8recv');
    case 'decimal':
      return builtin('numeric', 1700, 'numeric_recv');
    case 'text':
      return builtin('text', 25, 'textrecv');
    case 'bytes':
      return builtin('bytea', 17, 'bytearecv');
    case 'date':
      return builtin('date', 1082, 'date_recv');
    case 'time':
      return builtin('time without time zone', 1083, 'time_recv');
    case 'timestamp':
      return type.zoned
        ? builtin('timestamp with time zone', 1184, 'timestamptz_recv')
        : builtin('timestamp without time zone', 1114, 'timestamp_recv');
    case 'interval':
      return builtin('interval', 1186, 'interval_recv');
    case 'uuid':
      return builtin('uuid', 2950, 'uuid_recv');
    case 'json':
      return builtin('json', 114, 'json_recv');
    case 'array':
    case 'other':
      return null;
  }
}

/** numeric(p,s) stops at 1000 digits; wider ones of other systems become unconstrained. */
const MAX_NUMERIC_PRECISION = 1000;

/** Type of a new column for a source of another family. */
export function typeForLogical(type: LogicalType): string {
  if (type.kind === 'array') return `${typeForLogical(type.element)}[]`;
  // jsonb would merge members of one name, sort them, and refuse escapes that are no characters: json keeps the text.
  if (type.kind === 'json') return 'json';
  if (
    type.kind === 'decimal' &&
    type.precision !== null &&
    type.precision <= MAX_NUMERIC_PRECISION
  ) {
    return `numeric(${type.precision},${type.scale ?? 0})`;
  }
  return builtinType(type)?.name ?? 'text';
}

/** Functions that take plain text as their binary form; jsonb takes it behind a version byte. */
const TEXT_RECEIVERS: ReadonlySet<string> = new Set([
  'textrecv',
  'varcharrecv',
  'bpcharrecv',
  'namerecv',
  'enum_recv',
  'json_recv',
  'citextrecv',
]);

export function takesText(receive: string): boolean {
  return TEXT_RECEIVERS.has(receive);
}

/** Types whose values name objects of one server by number: only their text means the same elsewhere. */
const SERVER_BOUND: ReadonlySet<string> = new Set([
  'regprocrecv',
  'regprocedurerecv',
  'regoperrecv',
  'regoperatorrecv',
  'regclassrecv',
  'regcollationrecv',
  'regtyperecv',
  'regrolerecv',
  'regnamespacerecv',
  'regconfigrecv',
  'regdictionaryrecv',
]);

const FIRST_USER_OID = 16_384;

/** True if a value's binary form can go from server to server as it is. */
export function isPortable(type: TargetType): boolean {
  const receivers = [type.receive, type.elementReceive];
  return (
    type.oid < FIRST_USER_OID &&
    type.receive !== '-' &&
    !receivers.some((name) => SERVER_BOUND.has(name))
  );
}

/** Numbers in the brackets of a type's name: `numeric(12,2)` has 12 and 2. */
function modifiers(type: string): number[] {
  const match = /\((-?\d+)(?:,(-?\d+))?\)/.exec(type);
  if (!match) return [];
  return [match[1], match[2]].flatMap((text) => (text === undefined ? [] : [Number(text)]));
}

/** Whether every value of `source` fits `target`; both are of one type and differ at most in the brackets. */
function modifierFits(receive: string, source: string, target: string): boolean {
  const to = modifiers(target);
  const from = modifiers(source);
  const [size = 0, scale = 0] = to;
  const [fromSize = 0, fromScale = 0] = from;
  if (to.length === 0) return true;
  if (from.length === 0) return false;
  switch (receive) {
    case 'numeric_recv':
      return scale >= fromScale && size - scale >= fromSize - fromScale;
    case 'bit_recv':
      return size === fromSize;
    default:
      return size >= fromSize;
  }
}

const INT_DIGITS: Readonly<Record<number, number>> = { 16: 5, 32: 10, 64: 19 };
const INT_BITS: Readonly<Record<string, number>> = { int2recv: 16, int4recv: 32, int8recv: 64 };

function intFits(bits: number, target: ExistingColumn): boolean {
  const targetBits = INT_BITS[target.receive];
  if (targetBits !== undefined) return targetBits >= bits;
  if (target.receive !== 'numeric_recv') return false;
  const [precision, scale = 0] = modifiers(target.type);
  return precision === undefined || precision - scale >= (INT_DIGITS[bits] ?? 0);
}

export interface SourceColumnType {
  readonly logical: LogicalType;
  /** As the source writes it; means something only if `resolved` is there. */
  readonly nativeType: string;
  /** What `nativeType` is at the destination; null for sources of other families and types unknown here. */
  readonly resolved: TargetType | null;
}

function scalarFits(type: LogicalType, source: SourceColumnType, target: ExistingColumn): boolean {
  switch (type.kind) {
    case 'int':
      return intFits(type.bits, target);
    case 'float':
      return (
        target.receive === 'float8recv' || (target.receive === 'float4recv' && type.bits === 32)
      );
    case 'decimal': {
      if (target.receive !== 'numeric_recv') return false;
      const printed = type.precision === null ? '' : `(${type.precision},${type.scale ?? 0})`;
      return modifierFits('numeric_recv', printed, target.type);
    }
    case 'json':
      // Between PostgreSQL servers json keeps its text, which jsonb would not.
      return (
        source.resolved === null &&
        (target.receive === 'jsonb_recv' || target.receive === 'json_recv')
      );
    case 'text': {
      if (target.receive === 'enum_recv') return source.resolved === null;
      if (!['varcharrecv', 'bpcharrecv', 'citextrecv'].includes(target.receive)) return false;
      return modifierFits(target.receive, source.nativeType, target.type);
    }
    case 'array':
    case 'other':
      return false;
    default:
      return target.receive === builtinType(type)?.receive && modifiers(target.type).length === 0;
  }
}

/** Whether every value that the source may send can be stored and read back the same. */
export function columnFits(source: SourceColumnType, target: ExistingColumn): boolean {
  const { logical, resolved, nativeType } = source;
  if (resolved !== null && resolved.oid === target.oid) {
    return modifierFits(target.receive, nativeType, target.type);
  }
  // Every type has a text form that is the value.
  if (target.receive === 'textrecv' && target.elementOid === 0) return true;
  if (logical.kind === 'array') {
    const element = builtinType(logical.element);
    return resolved === null && element !== null && element.receive === target.elementReceive;
  }
  return scalarFits(logical, source, target);
}

import { printDecimal, type Decimal } from './decimal.ts';
import { JsonNumber, type JsonValue } from '../json/value.ts';
import { writeJson } from '../json/write.ts';
import { Moment, printMoment } from './moment.ts';

/** What an expression's parts evaluate to; null is SQL's NULL. */
export type Value = JsonValue | Moment;

export type TypeName = 'boolean' | 'number' | 'text' | 'date' | 'timestamp' | 'json';
/** `any`: known only with the document. */
export type StaticType = TypeName | 'null' | 'any';

export function typeOf(value: Value): TypeName | 'null' {
  if (value === null) return 'null';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'boolean';
  if (value instanceof JsonNumber) return 'number';
  return value instanceof Moment ? value.kind : 'json';
}

export function numberOf(decimal: Decimal): JsonNumber {
  return new JsonNumber(printDecimal(decimal));
}

/** As it goes into the document: moments become their ISO text. */
export function toJson(value: Value): JsonValue {
  return value instanceof Moment ? printMoment(value) : value;
}

/** The text of a value, as `text(...)` and `concat` have it. */
export function textOf(value: Exclude<Value, null>): string {
  if (typeof value === 'string') return value;
  return value instanceof Moment ? printMoment(value) : writeJson(value);
}

/** The one type of all, nulls aside. */
export function commonType(types: readonly StaticType[]): StaticType {
  const known = new Set(types.filter((type) => type !== 'null'));
  const [only] = known;
  return known.size === 1 && only !== undefined ? only : 'any';
}

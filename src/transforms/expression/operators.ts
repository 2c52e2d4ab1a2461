import { JsonNumber } from '../json/value.ts';
import { castValue } from './cast.ts';
import {
  add,
  compareLexemes,
  type Decimal,
  divide,
  multiply,
  readDecimal,
  remainder,
  subtract,
} from './decimal.ts';
import { TransformFailure } from './failure.ts';
import { Moment } from './moment.ts';
import type { Arithmetic, Comparison } from './syntax.ts';
import { numberOf, type StaticType, typeOf, type Value } from './value.ts';

const TO_TIMESTAMP = { name: 'timestamp', size: null } as const;
const isMoment = (type: StaticType) => type === 'date' || type === 'timestamp';
const isUnknown = (type: StaticType) => type === 'any' || type === 'null';

/** Whether values of two types have an order; a text beside a date or timestamp is read as one. */
export function comparable(left: StaticType, right: StaticType): boolean {
  if (left === 'json' || right === 'json') return false;
  if (isUnknown(left) || isUnknown(right) || left === right) return true;
  if (isMoment(left)) return isMoment(right) || right === 'text';
  return isMoment(right) && left === 'text';
}

/** Null when either is null. */
export function compareValues(operator: Comparison, left: Value, right: Value): boolean | null {
  if (left === null || right === null) return null;
  const order = orderOf(left, right);
  switch (operator) {
    case '=':
      return order === 0;
    case '<>':
      return order !== 0;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
  }
}

function orderOf(left: Exclude<Value, null>, right: Exclude<Value, null>): number {
  if (typeof left === 'string' && typeof right === 'string') return textOrder(left, right);
  if (left instanceof JsonNumber && right instanceof JsonNumber) {
    return compareLexemes(left.lexeme, right.lexeme);
  }
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right);
  if (!comparable(typeOf(left), typeOf(right))) {
    throw new TransformFailure(
      'transform_expression',
      `a ${typeOf(left)} cannot be compared with a ${typeOf(right)}`,
    );
  }
  const [from, to] = [micros(left), micros(right)];
  return from < to ? -1 : Number(from > to);
}

function micros(value: Value): bigint {
  const moment = castValue(value, TO_TIMESTAMP, 'a comparison with a moment');
  return moment instanceof Moment ? moment.micros : 0n;
}

/** By code points, which is the order of UTF-8 bytes too (the C collation of databases). */
function textOrder(left: string, right: string): number {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left.charCodeAt(at) === right.charCodeAt(at)) at += 1;
  if (at === length) return left.length < right.length ? -1 : 1;
  return rank(left.charCodeAt(at)) < rank(right.charCodeAt(at)) ? -1 : 1;
}

/** Surrogates stand for characters above all of one unit. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

const OPERATIONS: Readonly<Record<Arithmetic, (a: Decimal, b: Decimal) => Decimal>> = {
  '+': add,
  '-': subtract,
  '*': multiply,
  '/': divide,
  '%': remainder,
};

/** Exact; null when either is null. */
export function calculate(operator: Arithmetic, left: Value, right: Value): JsonNumber | null {
  if (left === null || right === null) return null;
  const [a, b] = [operand(operator, left), operand(operator, right)];
  return numberOf(OPERATIONS[operator](readDecimal(a.lexeme), readDecimal(b.lexeme)));
}

function operand(operator: string, value: Value): JsonNumber {
  if (value instanceof JsonNumber) return value;
  throw wrongType(`'${operator}'`, 'number', value);
}

export function wrongType(subject: string, wanted: string, value: Value): TransformFailure {
  return new TransformFailure(
    'transform_expression',
    `${subject} takes a ${wanted}, and was given a ${typeOf(value)}`,
  );
}

/** A condition's truth; null is unknown. */
export function truth(subject: string, value: Value): boolean | null {
  if (value === null || typeof value === 'boolean') return value;
  throw wrongType(subject, 'boolean', value);
}

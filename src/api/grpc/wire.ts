/**
 * Between JSON as the API speaks it and messages as protobufjs has them. Null and what is left out are the same in a
 * message; within google.protobuf.Value null is null.
 */
import { fieldError } from '../problem.ts';
import type { Field, Message, Shape } from './shape.ts';

type Members = Readonly<Record<string, unknown>>;

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const membersOf = (value: unknown): Members => (isMembers(value) ? value : {});
const itemsOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function mapped(members: Members, change: (value: unknown, name: string) => unknown): Members {
  return Object.fromEntries(
    Object.entries(members).map(([name, value]) => [name, change(value, name)]),
  );
}

function toStruct(members: Members): Members {
  return { fields: mapped(members, toValue) };
}

function toList(items: readonly unknown[]): Members {
  return { values: items.map(toValue) };
}

/** As google.protobuf.Value. */
export function toValue(json: unknown): Members {
  if (typeof json === 'string') return { stringValue: json };
  if (typeof json === 'number') return { numberValue: json };
  if (typeof json === 'boolean') return { boolValue: json };
  if (Array.isArray(json)) return { listValue: toList(json) };
  if (isMembers(json)) return { structValue: toStruct(json) };
  return { nullValue: 0 };
}

function toShape(shape: Shape, json: unknown): unknown {
  switch (shape.kind) {
    case 'string':
    case 'bool':
    case 'int64':
    case 'double':
      return json;
    case 'flag':
      return json === 'true';
    case 'value':
      return toValue(json);
    case 'struct':
      return toStruct(membersOf(json));
    case 'values':
      return toList(itemsOf(json));
    case 'message':
      return toMessage(shape.message, json);
    case 'list':
      return itemsOf(json).map((item) => toShape(shape.of, item));
  }
}

export function toMessage({ fields }: Message, json: unknown): Members {
  const members = membersOf(json);
  return Object.fromEntries(
    fields.flatMap(({ name, shape }) => {
      const value = members[name];
      return value === undefined || value === null ? [] : [[name, toShape(shape, value)]];
    }),
  );
}

/** JSON has no NaN and no infinities: they would become null. */
function fromNumber(value: unknown, pointer: string): unknown {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw fieldError('body', pointer, 'is no number that JSON has');
}

function fromStruct(struct: unknown, pointer: string): Members {
  const fields = membersOf(membersOf(struct)['fields']);
  return mapped(fields, (value, name) => fromValue(value, `${pointer}/${escaped(name)}`));
}

function fromList(list: unknown, pointer: string): readonly unknown[] {
  return itemsOf(membersOf(list)['values']).map((value, index) =>
    fromValue(value, `${pointer}/${index}`),
  );
}

const escaped = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

export function fromValue(value: unknown, pointer: string): unknown {
  const members = membersOf(value);
  if ('stringValue' in members) return members['stringValue'];
  if ('numberValue' in members) return fromNumber(members['numberValue'], pointer);
  if ('boolValue' in members) return members['boolValue'];
  if ('listValue' in members) return fromList(members['listValue'], pointer);
  if ('structValue' in members) return fromStruct(members['structValue'], pointer);
  return null;
}

/** `pointer` is where in the body the value stands. */
export function fromShape(shape: Shape, value: unknown, pointer: string): unknown {
  switch (shape.kind) {
    case 'string':
    case 'bool':
      return value;
    case 'int64':
    case 'double':
      return fromNumber(value, pointer);
    case 'flag':
      return String(value);
    case 'value':
      return fromValue(value, pointer);
    case 'struct':
      return fromStruct(value, pointer);
    case 'values':
      return fromList(value, pointer);
    case 'message':
      return fromFields(shape.message.fields, value, pointer);
    case 'list':
      return itemsOf(value).map((item, index) => fromShape(shape.of, item, `${pointer}/${index}`));
  }
}

/** What was left out is left out. */
export function fromFields(fields: readonly Field[], message: unknown, pointer: string): Members {
  const members = membersOf(message);
  return Object.fromEntries(
    fields.flatMap(({ name, shape }) => {
      const value = members[name];
      return value === undefined || value === null
        ? []
        : [[name, fromShape(shape, value, `${pointer}/${escaped(name)}`)]];
    }),
  );
}

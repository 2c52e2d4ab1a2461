/** What a schema of the API is in Protocol Buffers. Pure: the .proto files and the conversion are made from it alike. */
import { z } from 'zod';

export type Shape =
  | { readonly kind: 'string' | 'bool' | 'int64' | 'double' }
  /** A text that is `true` or `false` over REST. */
  | { readonly kind: 'flag' }
  /** Any JSON value. */
  | { readonly kind: 'value' }
  /** A JSON object with names that nobody knows beforehand. */
  | { readonly kind: 'struct' }
  /** A list that may be left out, which is something else than an empty one: a repeated field cannot tell them apart. */
  | { readonly kind: 'values' }
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'list'; readonly of: Shape };

export interface Field {
  readonly name: string;
  readonly shape: Shape;
  /** Whether it can be left out; then null is the same. */
  readonly optional: boolean;
  readonly comment: string | null;
}

export interface Message {
  readonly name: string;
  readonly comment: string | null;
  readonly fields: readonly Field[];
}

export type Direction = 'input' | 'output';
type Json = z.core.JSONSchema.JSONSchema;

export function pascal(text: string): string {
  return text
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.slice(0, 1).toUpperCase() + word.slice(1))
    .join('');
}

export function jsonSchemaOf(schema: z.ZodType, io: Direction): Json {
  return z.toJSONSchema(schema, { io, unrepresentable: 'any' });
}

const REFERENCE = '#/$defs/';

const isNull = (schema: Json): boolean => schema.type === 'null';

/** Schemas that say nothing are written as true or left out. */
function asSchema(schema: Json[string]): Json {
  const isSchema = typeof schema === 'object' && schema !== null && !Array.isArray(schema);
  // Zod's own types have a union there that only this can take apart.
  return isSchema ? (schema as Json) : {};
}

interface Looked {
  readonly schema: Json;
  readonly nullable: boolean;
}

/** Without the null that it may be. */
function withoutNull(schema: Json): Looked {
  const { type, anyOf } = schema;
  if (isNull(schema)) return { schema, nullable: true };
  if (Array.isArray(type) && type.includes('null')) {
    const rest = type.filter((one) => one !== 'null');
    const [only] = rest;
    return {
      schema: { ...schema, ...(rest.length === 1 && only !== undefined ? { type: only } : {}) },
      nullable: true,
    };
  }
  if (anyOf?.some(isNull) !== true) return { schema, nullable: false };
  const rest = anyOf.filter((one) => !isNull(one));
  const { anyOf: _, ...around } = schema;
  const [only] = rest;
  return rest.length === 1 && only !== undefined
    ? { schema: { ...around, ...only }, nullable: true }
    : { schema: { ...around, anyOf: rest }, nullable: true };
}

/** Shapes of schemas of one direction; messages that have a name of their own are made once. */
export class Shapes {
  readonly #io: Direction;
  readonly #definitions: Readonly<Record<string, Json>>;
  readonly #messages = new Map<string, Message>();

  constructor(root: Json, io: Direction) {
    this.#io = io;
    this.#definitions = root.$defs ?? {};
  }

  /** `name` where the schema brings none. What is written and what is read are two messages: they differ in what can be left out. */
  message(schema: Json, name: string): Message {
    const id = schema.$ref?.slice(REFERENCE.length) ?? schema.id;
    const own = schema.$ref === undefined ? schema : asSchema(this.#definitions[id ?? '']);
    const called = id === undefined ? name : this.#named(id);
    const known = this.#messages.get(called);
    if (known !== undefined) return known;
    const fields: Field[] = [];
    const message: Message = { name: called, comment: own.description ?? null, fields };
    this.#messages.set(called, message);
    fields.push(...this.fields(own, called));
    return message;
  }

  fields(schema: Json, owner: string): Field[] {
    const ways = schema.anyOf ?? schema.oneOf;
    return ways === undefined
      ? this.#fieldsOf(schema, owner)
      : this.#ofEither(
          ways.map((way) => this.#followed(asSchema(way))),
          owner,
        );
  }

  /** A message that may be one of several has the fields of all, and says by those that are set which one it is. */
  #ofEither(ways: readonly Json[], owner: string): Field[] {
    const fields = new Map<string, Field>();
    for (const field of ways.flatMap((way) => this.#fieldsOf(way, owner))) {
      if (!fields.has(field.name)) fields.set(field.name, { ...field, optional: true });
    }
    return [...fields.values()];
  }

  #fieldsOf(schema: Json, owner: string): Field[] {
    const required = new Set(schema.required);
    return Object.entries(schema.properties ?? {}).map(([name, property]) => {
      const { schema: own, nullable } = withoutNull(this.#followed(asSchema(property)));
      const optional = nullable || !required.has(name) || this.#io === 'input';
      const shape = this.shape(own, `${owner}${pascal(name)}`);
      const canLack = nullable || (!required.has(name) && own.default === undefined);
      const isOpen = shape.kind === 'list' && canLack && own.minItems === undefined;
      return {
        name,
        shape: isOpen ? { kind: 'values' } : shape,
        optional,
        comment: commentOf(own),
      };
    });
  }

  shape(given: Json, name: string): Shape {
    const { schema } = withoutNull(this.#followed(given));
    if (schema.anyOf !== undefined || schema.oneOf !== undefined || schema.allOf !== undefined) {
      return { kind: 'value' };
    }
    switch (schema.type) {
      case 'string':
        return { kind: schema.enum?.toSorted().join() === 'false,true' ? 'flag' : 'string' };
      case 'boolean':
        return { kind: 'bool' };
      case 'integer':
        return { kind: 'int64' };
      case 'number':
        return { kind: 'double' };
      // One that is always null now may be a text later, as in other lists.
      case 'null':
        return { kind: 'string' };
      case 'array':
        return { kind: 'list', of: this.shape(asSchema(schema.items), name) };
      case 'object':
        return isOpenObject(schema)
          ? { kind: 'struct' }
          : { kind: 'message', message: this.message(given.$ref ? given : schema, name) };
      default:
        return { kind: 'value' };
    }
  }

  /** A reference with the schema that it leads to; the reference stays, as the name. */
  #followed(schema: Json): Json {
    if (schema.$ref === undefined) return schema;
    const id = schema.$ref.slice(REFERENCE.length);
    return { ...asSchema(this.#definitions[id]), id, ...schema };
  }

  #named(id: string): string {
    return this.#io === 'output' || id.endsWith('Input') ? id : `${id}Input`;
  }
}

function isOpenObject({ properties, additionalProperties }: Json): boolean {
  const takesMore = additionalProperties !== undefined && additionalProperties !== false;
  return takesMore || properties === undefined;
}

function commentOf({ description, enum: values }: Json): string | null {
  const listed =
    values === undefined || description?.includes(String(values[0])) === true
      ? []
      : [`One of: ${values.join(', ')}.`];
  const parts = [...(description === undefined ? [] : [description]), ...listed];
  return parts.length === 0 ? null : parts.join(' ').replaceAll(/\s+/g, ' ');
}

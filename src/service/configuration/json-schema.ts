/** The schema of the file as JSON Schema 2020-12, for editors and for the reference page. Pure. */
import { z } from 'zod';
import type { Path } from './problem.ts';
import { configurationSchema } from './schema.ts';

export interface JsonSchema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly oneOf?: readonly JsonSchema[];
  readonly anyOf?: readonly JsonSchema[];
  /** In words, what a value must keep to. */
  readonly rule?: string;
  readonly unit?: string;
}

const REFERENCE = { type: 'string', pattern: '\\$\\{(env|file):[^}]+\\}' } as const;
const ANY_TEXT = '\\S';

function isUnlimited(bound: number | undefined): boolean {
  return bound !== undefined && Math.abs(bound) === Number.MAX_SAFE_INTEGER;
}

/** What Zod does not say: names with x- are free, and a text may be a reference. */
function refine(schema: z.core.JSONSchema.BaseSchema): void {
  if (isUnlimited(schema.minimum)) delete schema.minimum;
  if (isUnlimited(schema.maximum)) delete schema.maximum;
  if (schema.type === 'object' && schema.additionalProperties === false) {
    schema.patternProperties = { '^x-': {} };
  }
  const isNarrow = schema.enum !== undefined || (schema.pattern ?? ANY_TEXT) !== ANY_TEXT;
  if (schema.type !== 'string' || !isNarrow) return;
  const { type, enum: choices, pattern } = schema;
  const own = {
    type,
    ...(choices === undefined ? {} : { enum: choices }),
    ...(pattern === undefined ? {} : { pattern }),
  };
  delete schema.type;
  delete schema.enum;
  delete schema.pattern;
  schema.anyOf = [own, REFERENCE];
}

export function configurationJsonSchema(): JsonSchema {
  const schema: unknown = z.toJSONSchema(configurationSchema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema }) => {
      // Zod leaves out examples of what is transformed; ours are of the input.
      const examples = z.globalRegistry.get(zodSchema)?.['examples'];
      if (Array.isArray(examples)) jsonSchema.examples = examples;
      refine(jsonSchema);
    },
  });
  // Zod's own type allows every form that JSON Schema knows; from our schema it writes these only.
  return schema as JsonSchema;
}

function inside(schema: JsonSchema, part: string | number): readonly JsonSchema[] {
  if (schema.oneOf !== undefined) return schema.oneOf.flatMap((one) => inside(one, part));
  if (typeof part === 'number') return schema.items === undefined ? [] : [schema.items];
  const own = schema.properties?.[part];
  if (own !== undefined) return [own];
  const others = schema.additionalProperties;
  return typeof others === 'object' ? [others] : [];
}

/** Fields that the mapping at a path may have, whichever type it is of. */
export function fieldsAt(root: JsonSchema, path: Path): readonly string[] {
  let found: readonly JsonSchema[] = [root];
  for (const part of path) found = found.flatMap((schema) => inside(schema, part));
  const mappings = found.flatMap((schema) => schema.oneOf ?? [schema]);
  return [...new Set(mappings.flatMap(({ properties = {} }) => Object.keys(properties)))];
}

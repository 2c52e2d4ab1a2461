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

export const configurationJsonSchema = (): JsonSchema => jsonSchemaOf(configurationSchema);

/** Of any schema whose fields are made of those in `fields.ts`. */
export function jsonSchemaOf(zodSchema: z.ZodType): JsonSchema {
  const schema: unknown = z.toJSONSchema(zodSchema, {
    io: 'input',
    override: ({ zodSchema: part, jsonSchema }) => {
      // Zod leaves out examples of what is transformed; ours are of the input.
      const examples = z.globalRegistry.get(part)?.['examples'];
      if (Array.isArray(examples)) jsonSchema.examples = examples;
      refine(jsonSchema);
    },
  });
  // Zod's own type allows every form that JSON Schema knows; from our schema it writes these only.
  return schema as JsonSchema;
}

function isOfType(schema: JsonSchema, type: unknown): boolean {
  return schema.properties?.['type']?.const === type;
}

/** The alternatives that the entry with this `type` may be; all of them if it is none that is known. */
function alternatives(schema: JsonSchema, type: unknown): readonly JsonSchema[] {
  const all = schema.oneOf ?? [schema];
  const meant = all.filter((one) => isOfType(one, type));
  return meant.length > 0 ? meant : all;
}

function inside(schema: JsonSchema, part: string | number): readonly JsonSchema[] {
  if (typeof part === 'number') return schema.items === undefined ? [] : [schema.items];
  const own = schema.properties?.[part];
  if (own !== undefined) return [own];
  const others = schema.additionalProperties;
  return typeof others === 'object' ? [others] : [];
}

/** Fields that the mapping at a path may have. `typeAt` gives the `type` of the entry at a path. */
export function fieldsAt(
  root: JsonSchema,
  path: Path,
  typeAt: (path: Path) => unknown,
): readonly string[] {
  let found: readonly JsonSchema[] = [root];
  for (const [depth, part] of path.entries()) {
    const type = typeAt(path.slice(0, depth));
    found = found
      .flatMap((schema) => alternatives(schema, type))
      .flatMap((one) => inside(one, part));
  }
  const mappings = found.flatMap((schema) => alternatives(schema, typeAt(path)));
  return [...new Set(mappings.flatMap(({ properties = {} }) => Object.keys(properties)))];
}

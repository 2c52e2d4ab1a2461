// docs/configuration.md from the schema of the configuration file.
import { CONNECTION_FORMS } from '../src/service/configuration/connection-string.ts';
import { ERROR_CODE_FORMS } from '../src/service/configuration/error-codes.ts';
import type { JsonSchema } from '../src/service/configuration/json-schema.ts';

const COLUMNS = ['field', 'type', 'default', 'unit', 'rule', 'example', ''];

function code(text: string): string {
  return `\`${text}\``;
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, member]) => `${key}: ${flow(member)}`)
      .join(', ')}}`;
  }
  if (typeof value !== 'string') return String(value);
  const isPlain = /^[\w./][\w./-]*$/.test(value) && !/^\d+$/.test(value);
  return isPlain ? value : JSON.stringify(value);
}

/** A text may be a reference instead: that alternative is told once, not in every row. */
function own(schema: JsonSchema): JsonSchema {
  return schema.anyOf?.[0] ?? schema;
}

function typeOf(schema: JsonSchema): string {
  const { type, enum: choices, const: only, items, oneOf, properties } = own(schema);
  if (only !== undefined) return code(flow(only));
  if (choices !== undefined) return choices.map((choice) => code(flow(choice))).join(', ');
  if (type === 'array') {
    const entry = items === undefined ? 'anything' : typeOf(items);
    return entry === 'mapping' ? 'list of mappings' : `list of ${entry}`;
  }
  if (oneOf !== undefined || properties !== undefined || type === 'object') return 'mapping';
  if (schema.unit === 'duration') return 'duration';
  const names: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: 'true or false',
  };
  return names[type ?? ''] ?? 'anything';
}

function rangeOf({ minimum, maximum }: JsonSchema): string | null {
  if (minimum === undefined) return null;
  return maximum === undefined ? `at least ${minimum}` : `${minimum} to ${maximum}`;
}

function defaultOf(schema: JsonSchema, required: boolean): string {
  if (required) return 'required';
  if (schema.default === undefined) return '';
  const isEmpty = JSON.stringify(schema.default) === '{}';
  return isEmpty ? 'its defaults' : code(flow(schema.default));
}

function row(name: string, schema: JsonSchema, required: boolean): string {
  const rules = [rangeOf(schema), schema.rule ?? null].filter((one) => one !== null);
  const example = schema.examples?.[0];
  const cells = [
    code(name),
    typeOf(schema),
    defaultOf(schema, required),
    schema.unit === 'duration' ? '' : (schema.unit ?? ''),
    rules.join('; '),
    example === undefined ? '' : code(flow(example)),
    schema.description ?? '',
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** Mappings inside a field that get a table of their own. */
function innerOf(schema: JsonSchema, path: string): readonly (readonly [string, JsonSchema])[] {
  if (schema.oneOf !== undefined) {
    return schema.oneOf.flatMap((one) => innerOf(one, `${path} (${one.title ?? ''})`));
  }
  if (schema.type === 'array') return innerOf(schema.items ?? {}, `${path}[]`);
  return schema.properties === undefined ? [] : [[path, schema]];
}

function section(path: string, schema: JsonSchema): string[] {
  const properties = Object.entries(schema.properties ?? {});
  // The entries of a list that may hold anything.
  if (properties.length === 0) return [];
  const required = schema.required ?? [];
  const inner = properties.flatMap(([name, field]) =>
    innerOf(field, path === '' ? name : `${path}.${name}`),
  );
  return [
    '',
    path === '' ? '## The file' : `## ${path}`,
    '',
    ...(schema.description === undefined ? [] : [schema.description, '']),
    `| ${COLUMNS.join(' | ')} |`,
    `|${COLUMNS.map(() => '---').join('|')}|`,
    ...properties.map(([name, field]) => row(name, field, required.includes(name))),
    ...inner.flatMap(([name, field]) => section(name, field)),
  ];
}

const INTRODUCTION = [
  '# The configuration file',
  '',
  '<!-- Made by `npm run docs` from src/service/configuration/schema.ts. -->',
  '',
  'One YAML or JSON file, UTF-8, up to 16 MiB. `forebay validate <config.yaml>` lists every mistake in it with',
  'file, line and column, and connects to nothing. With this first line editors complete and check it:',
  '',
  '```yaml',
  '# yaml-language-server: $schema=../schema/configuration.schema.json',
  '```',
  '',
  '- Names that no table below lists are refused, with the nearest one that exists. Names that begin with `x-`',
  '  are yours. Anchors, aliases and merge keys (`<<: *defaults`) work.',
  '- A duration is an amount with its unit, several may follow one another: `500ms`, `30s`, `1h30m`, `2d`.',
  '- `${env:NAME}` and `${file:path}` stand inside any text: the value of a variable, the content of a file',
  '  without its closing line break. In connection strings, credentials and specifications they are followed when a',
  '  stream starts, and never shown. `$${` is the text `${` itself.',
  '- Relative paths start at the folder of the file.',
  '- A field without a value counts as left out.',
];

function connectionSection(): string[] {
  return [
    '',
    '## Connection strings',
    '',
    '| type | form |',
    '|---|---|',
    ...Object.entries(CONNECTION_FORMS).flatMap(([type, forms]) =>
      forms.map((form) => `| \`${type}\` | \`${form}\` |`),
    ),
    '',
    'Special characters in user and password are percent-encoded. User and password may be left out where `auth_id`',
    'names an entry that gives them. Source and destination of a stream must not be the same tables of the same',
    'database, and streams must not feed one another in a circle; `localhost`, `127.0.0.1`, `::1` and the usual',
    'sockets are one machine, and a port that is left out is the usual one.',
  ];
}

function codesSection(): string[] {
  return [
    '',
    '## Error codes',
    '',
    'In `permanent_error_codes`, each of the type of the source or of the destination:',
    '',
    ...Object.entries(ERROR_CODE_FORMS).map(([type, { words }]) => `- \`${type}\`: ${words}`),
  ];
}

export function configurationPage(schema: JsonSchema): string {
  return [
    ...INTRODUCTION,
    ...section('', schema),
    ...connectionSection(),
    ...codesSection(),
    '',
  ].join('\n');
}

/** What a connection is configured with, as files and options say it: secrets only by reference. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import { connectorConfiguration, type ConnectorType } from '../../api/schemas/connectors.ts';
import {
  fillTemplate,
  type FileText,
  lookUp,
  parseTemplate,
  type Surroundings,
  type Template,
} from '../../service/configuration/references.ts';

export interface ConnectionFields {
  readonly plain: Readonly<Record<string, unknown>>;
  /** Null: there is one, and what it is stays as the server has it. */
  readonly secrets: ReadonlyMap<string, Template | null>;
}

export interface FieldFault {
  readonly field: string;
  readonly message: string;
  readonly fix: string;
}

export type Filled<T> =
  | { readonly value: T; readonly faults: readonly [] }
  | { readonly value: null; readonly faults: readonly FieldFault[] };

function readText(path: string): FileText {
  try {
    return { text: readFileSync(path, 'utf8') };
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Relative paths of `${file:...}` start at the folder. */
export function surroundingsOf(folder: string): Surroundings {
  return {
    folder,
    variable: (name) => process.env[name],
    file: (path) => readText(resolve(folder, path)),
  };
}

/** A text where the field is a number or a truth value: it came through a reference or an option. */
function converted(type: ConnectorType, field: string, text: string): unknown {
  const { properties = {} } = connectorConfiguration(type).jsonSchema as {
    properties?: Readonly<Record<string, { readonly type?: string }>>;
  };
  const kind = properties[field]?.type;
  if (kind === 'integer' || kind === 'number') return /^-?\d+$/.test(text) ? Number(text) : text;
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

const hasReference = ({ parts }: Template): boolean => parts.some(({ kind }) => kind !== 'text');

export function fillSecret(
  field: string,
  template: Template,
  surroundings: Surroundings,
): Filled<string> {
  const { text, flaws } = fillTemplate(template, (one) => lookUp(one, surroundings));
  if (text !== null) return { value: text, faults: [] };
  return { value: null, faults: flaws.map((flaw) => ({ field, ...flaw })) };
}

interface Reading {
  readonly type: ConnectorType;
  readonly surroundings: Surroundings;
  readonly plain: Record<string, unknown>;
  readonly secrets: Map<string, Template | null>;
  readonly faults: FieldFault[];
}

function readSecret(reading: Reading, field: string, value: unknown): void {
  const template = typeof value === 'string' ? parseTemplate(value, 'all') : null;
  if (value === null) reading.secrets.set(field, null);
  else if (template === null || (template.flaws.length === 0 && !hasReference(template))) {
    reading.faults.push({
      field,
      message: 'is a secret, and must not stand here as it is',
      fix: `Write \${env:NAME} or \${file:path}, and put the secret there.`,
    });
  } else if (template.flaws.length > 0) {
    reading.faults.push(...template.flaws.map((flaw) => ({ field, ...flaw })));
  } else reading.secrets.set(field, template);
}

function readPlain(reading: Reading, field: string, value: unknown): void {
  if (value === null) return;
  if (typeof value !== 'string') {
    reading.plain[field] = value;
    return;
  }
  const template = parseTemplate(value, 'all');
  const { text, flaws } = fillTemplate(template, (one) => lookUp(one, reading.surroundings));
  reading.faults.push(...[...template.flaws, ...flaws].map((flaw) => ({ field, ...flaw })));
  if (text !== null) reading.plain[field] = converted(reading.type, field, text);
}

/** Secrets are looked up when they are sent, not before. */
export function readConnectionFields(
  type: ConnectorType,
  config: Readonly<Record<string, unknown>>,
  surroundings: Surroundings,
): Filled<ConnectionFields> {
  const { secretNames } = connectorConfiguration(type);
  const reading: Reading = { type, surroundings, plain: {}, secrets: new Map(), faults: [] };
  for (const [field, value] of Object.entries(config)) {
    if (secretNames.has(field)) readSecret(reading, field, value);
    else readPlain(reading, field, value);
  }
  const { plain, secrets, faults } = reading;
  return faults.length === 0 ? { value: { plain, secrets }, faults: [] } : { value: null, faults };
}

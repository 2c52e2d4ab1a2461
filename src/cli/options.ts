/** Reads the options of a command with their units; every mistake is named at once. */
import { z } from 'zod';
import { parseDurationMs } from '../core/duration.ts';
import { ForebayError } from '../core/errors.ts';
import { nearest } from '../connectors/nearest.ts';
import { throwAll } from './failure.ts';

function whole(min: number, max: number, unit: string) {
  return z.string().transform((text, context) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    context.addIssue(`must be a whole number of ${unit} between ${min} and ${max}`);
    return z.NEVER;
  });
}

function oneOf<const T extends readonly string[]>(values: T) {
  return z.string().transform((text, context): T[number] => {
    const found = values.find((value) => value === text);
    if (found !== undefined) return found;
    const meant = nearest(text, values);
    const list = `must be one of ${values.join(', ')}`;
    context.addIssue(meant === null ? list : `${list}; did you mean ${meant}?`);
    return z.NEVER;
  });
}

const loadMethod = z.string().transform((text, context) => {
  if (text === 'history') {
    context.addIssue('history is not there yet: use upsert, append or replace');
    return z.NEVER;
  }
  const parsed = oneOf(['upsert', 'append', 'replace']).safeParse(text);
  if (parsed.success) return parsed.data;
  context.addIssue(parsed.error.issues[0]?.message ?? '');
  return z.NEVER;
});

const duration = z.string().transform((text, context) => {
  const ms = parseDurationMs(text);
  if (ms !== null) return ms;
  context.addIssue('must be a duration such as 90s, 5m or 1h30m');
  return z.NEVER;
});

/** Globs, from a list with commas or from the option given again and again. */
const globs = z.array(z.string()).transform((texts, context) => {
  const found = texts.flatMap((text) => text.split(',')).map((glob) => glob.trim());
  if (found.length > 0 && found.every((glob) => /^!?[^!]/.test(glob))) return found;
  context.addIssue("must be globs separated by commas, e.g. 'public.*,!public.audit_*'");
  return z.NEVER;
});

const settings = z.array(z.string()).transform((texts, context) => {
  const entries: [string, string][] = [];
  for (const text of texts) {
    const [, key, value] = /^([a-z][\w.-]*)=(.*)$/is.exec(text) ?? [];
    if (key !== undefined && value !== undefined) entries.push([key, value]);
    else context.addIssue('must be key=value, e.g. duckdb.memory-mib=512');
  }
  return Object.fromEntries(entries);
});

const pipelineName = z
  .string()
  .regex(/^[a-z0-9_]{1,40}$/, 'must be 1 to 40 lower-case letters, digits or underscores');

export const selectionShape = {
  name: pipelineName.optional(),
  streams: globs.optional(),
  schema: z
    .string()
    .min(1, 'must not be empty')
    .max(63, 'must have at most 63 characters')
    .optional(),
  load: loadMethod.default('upsert'),
  set: settings.default({}),
};

export const pipelineShape = {
  ...selectionShape,
  deletes: oneOf(['hard', 'soft', 'ignore']).default('hard'),
  schemaChanges: oneOf(['evolve', 'pause', 'ignore']).default('evolve'),
  batchRows: whole(1, 1_000_000, 'rows').default(20_000),
  batchMs: whole(1, 60_000, 'milliseconds').default(200),
  memoryMib: whole(32, 1_048_576, 'MiB').default(256),
  parallel: whole(1, 64, 'chunks').optional(),
  errorBudget: whole(0, 1_000_000_000, 'rows').default(1000),
  retryFor: duration.optional(),
};

export const listShape = {
  output: oneOf(['table', 'json', 'yaml']).optional(),
  json: z.boolean().default(false),
};

export const runShape = { json: z.boolean().default(false) };
export const settingsShape = { set: settings.default({}) };
export const roleShape = { as: oneOf(['source', 'destination']).optional() };
export const nameShape = { name: pipelineName.optional() };
export const demoShape = {
  seconds: whole(1, 86_400, 'seconds').default(20),
  rows: whole(1000, 100_000_000, 'rows').default(300_000),
  keep: z.boolean().default(false),
  json: z.boolean().default(false),
};

export const transformShape = {
  type: oneOf(['kazaam', 'custom']),
  spec: z.string(),
  mode: oneOf(['compat', 'strict']).default('compat'),
  dialect: oneOf(['kazaam', 'extended']).default('kazaam'),
};

export type OutputFormat = 'table' | 'json' | 'yaml';

export function outputFormat(options: {
  readonly output?: OutputFormat | undefined;
  readonly json: boolean;
}): OutputFormat {
  return options.output ?? (options.json ? 'json' : 'table');
}

/** `schemaChanges` as it stands on the command line. */
function flagOf(key: PropertyKey | undefined): string {
  return `--${String(key ?? '').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

export type Parsed<T> =
  | { readonly value: T; readonly errors: readonly [] }
  | { readonly value: null; readonly errors: readonly ForebayError[] };

/** Reads what commander collected; keys that the shape does not name are left alone. */
export function parseOptions<Shape extends z.ZodRawShape>(
  shape: Shape,
  options: Readonly<Record<string, unknown>>,
): Parsed<z.output<z.ZodObject<Shape>>> {
  const parsed = z.object(shape).safeParse(options);
  if (parsed.success) return { value: parsed.data, errors: [] };
  const errors = parsed.error.issues.map(
    ({ path, message }) =>
      new ForebayError('invalid_option', {
        message: `${flagOf(path[0])} ${message}`,
        fix: 'Correct the option; --help lists all of them.',
      }),
  );
  return { value: null, errors };
}

/** The same for a command whose options are all that can be wrong: throws them together. */
export function readOptions<Shape extends z.ZodRawShape>(
  shape: Shape,
  options: Readonly<Record<string, unknown>>,
): z.output<z.ZodObject<Shape>> {
  const { value, errors } = parseOptions(shape, options);
  throwAll(errors);
  if (value === null) throw new ForebayError('internal', { message: 'options without a value' });
  return value;
}

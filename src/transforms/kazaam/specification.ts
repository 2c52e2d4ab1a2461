/** Reads a specification as upstream's loader does: Go's JSON decoder takes member names in any case. */
import { z } from 'zod';

import { ForebayError } from '../../core/errors.ts';

const operation = z.object({
  operation: z.string(),
  spec: z.record(z.string(), z.unknown()).nullish(),
  over: z.string().nullish(),
  require: z.boolean().nullish(),
  inplace: z.boolean().nullish(),
  keyseparator: z.string().nullish(),
  converters: z.unknown().optional(),
});

export interface OperationSpec {
  readonly operation: string;
  /** Null where there is none; upstream then fails when the operation is called. */
  readonly spec: Readonly<Record<string, unknown>> | null;
  readonly over: string | null;
  readonly require: boolean;
  readonly inplace: boolean;
  readonly keySeparator: string;
  /** Settings of converters, in the extended dialect. */
  readonly converters: unknown;
}

function refuse(message: string): ForebayError {
  return new ForebayError('kazaam_spec', { message });
}

function folded(key: string): string {
  return key.replaceAll('\u017f', 's').replaceAll('\u212a', 'k').toLowerCase();
}

/** An exact name and one in another case are the same member; the later wins, as where a name is repeated. */
function foldKeys(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [folded(key), one]));
}

/** Go reads numbers into a float64 and refuses what does not fit; lone surrogates become U+FFFD. */
function checkNumbers(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw refuse('the specification has a number that is too large');
  }
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(checkNumbers);
}

/** An operation with no member but its name and `over` is called once, on the whole document. */
function hasSettings(data: object): boolean {
  return ['spec', 'require', 'inplace', 'keyseparator'].some((name) => Object.hasOwn(data, name));
}

function readOne(value: unknown, at: number, names: readonly string[]): OperationSpec {
  const parsed = operation.safeParse(foldKeys(value));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw refuse(`operation ${at}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
  }
  const { data } = parsed;
  if (!names.includes(data.operation)) {
    throw refuse(`Invalid spec operation specified: operation ${at} is ${data.operation}`);
  }
  if (data.spec != null && Object.keys(data.spec).length === 0) {
    throw refuse(`Spec must contain at least one element: operation ${at} (${data.operation})`);
  }
  const keySeparator = data.keyseparator ?? '';
  return {
    operation: data.operation,
    spec: data.spec ?? null,
    over: hasSettings(data) ? (data.over ?? null) : null,
    require: data.require ?? false,
    inplace: data.inplace ?? false,
    keySeparator: keySeparator === '' ? '.' : keySeparator,
    converters: data.converters,
  };
}

/** Null for a specification of `null`, which upstream loads and then refuses with every document. */
export function readSpecification(
  value: unknown,
  names: readonly string[],
): readonly OperationSpec[] | null {
  if (value === '') return [];
  if (value === null) return null;
  if (!Array.isArray(value)) throw refuse('the specification is no array of operations');
  checkNumbers(value);
  return value.map((one, index) => readOne(one, index + 1, names));
}

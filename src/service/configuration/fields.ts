/** Kinds of fields that the schema is made of. `rule` and `unit` are for the reference page. */
import { z } from 'zod';
import { DURATION, parseDurationMs } from '../../core/duration.ts';

export interface FieldMeta {
  readonly description: string;
  readonly examples: readonly unknown[];
  /** What a value must keep to, besides its type, in words. */
  readonly rule?: string;
  readonly unit?: string;
}

/** A time span; compared and stored in milliseconds, whatever unit it was written in. */
export interface Duration {
  readonly ms: number;
}

export function meta({ description, examples, rule, unit }: FieldMeta) {
  return {
    description,
    examples: [...examples],
    ...(rule === undefined ? {} : { rule }),
    ...(unit === undefined ? {} : { unit }),
  };
}

/** Message and fix in the one text that Zod carries. */
function wording(message: string, fix: string): string {
  return `${message}\n${fix}`;
}

/** A text that a pattern describes; the pattern is in the JSON Schema too. */
export function patterned(pattern: RegExp, message: string, fix: string) {
  return z.string().regex(pattern, wording(message, fix));
}

export const text = patterned(/\S/, 'must not be empty', 'Write a text, or leave the field out.');

export function identifier() {
  return patterned(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    'must be 1 to 100 letters, digits, dots, hyphens or underscores, the first a letter or digit',
    'Write an id such as orders-to-warehouse; name takes any text.',
  );
}

export function whole(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z.int().min(min).max(max);
}

const NO_DURATION = [
  'must be a positive duration',
  'Write an amount with its unit, e.g. 500ms, 30s or 1h30m.',
] as const;

/** `500ms`, `30s`, `1h30m`; more than nothing. */
export function duration() {
  return patterned(DURATION, ...NO_DURATION).transform((value, context): Duration => {
    const ms = parseDurationMs(value) ?? 0;
    if (ms > 0) return { ms };
    context.addIssue(wording(...NO_DURATION));
    return z.NEVER;
  });
}

/** Retries of a pipeline. Delays are written in milliseconds or as durations, and are stored and answered as the former. */
import { z } from 'zod';
import { DURATION, parseDurationMs } from '../../core/duration.ts';

const LONGEST_DELAY_MS = 86_400_000;
const DEFAULT_MS = { initial_delay_ms: 1000, max_delay_ms: 60_000 } as const;

/** By the name of the duration, that of its milliseconds. */
const DELAYS = [
  ['initial_delay', 'initial_delay_ms'],
  ['max_delay', 'max_delay_ms'],
] as const;

const delayMs = z.int().min(1).max(LONGEST_DELAY_MS);

const delay = z
  .string()
  .regex(DURATION, 'is no duration such as 500ms, 30s or 1h30m')
  .refine((text) => {
    const ms = parseDurationMs(text);
    // One that is none is told above.
    return ms === null || (ms >= 1 && ms <= LONGEST_DELAY_MS);
  }, 'is not between 1ms and 24h')
  .meta({ examples: ['500ms', '30s', '1h30m'] });

const attempts = z.int().min(1).max(1000);
const multiplier = z.number().min(1).max(1000);
const codes = z.array(z.string().min(1).max(100)).max(1000);

const written = z.strictObject({
  max_attempts: attempts.default(5),
  initial_delay_ms: delayMs.meta({ default: DEFAULT_MS.initial_delay_ms }).optional(),
  max_delay_ms: delayMs.meta({ default: DEFAULT_MS.max_delay_ms }).optional(),
  backoff_multiplier: multiplier.default(2),
  permanent_error_codes: codes.default([]),
  initial_delay: delay.optional().meta({ description: 'Instead of initial_delay_ms.' }),
  max_delay: delay.optional().meta({ description: 'Instead of max_delay_ms.' }),
});
type Written = z.output<typeof written>;

const stored = z.strictObject({
  max_attempts: attempts,
  initial_delay_ms: delayMs,
  max_delay_ms: delayMs,
  backoff_multiplier: multiplier,
  permanent_error_codes: codes,
});

function delaysOf(policy: Written): Pick<z.output<typeof stored>, keyof typeof DEFAULT_MS> {
  const of = (text: string | undefined, ms: number | undefined, usual: number): number =>
    (text === undefined ? null : parseDurationMs(text)) ?? ms ?? usual;
  const { initial_delay_ms: first, max_delay_ms: longest } = DEFAULT_MS;
  return {
    initial_delay_ms: of(policy.initial_delay, policy.initial_delay_ms, first),
    max_delay_ms: of(policy.max_delay, policy.max_delay_ms, longest),
  };
}

export const retryPolicy = written
  .superRefine((policy, context) => {
    for (const [name, inMs] of DELAYS) {
      if (policy[name] === undefined || policy[inMs] === undefined) continue;
      const message = `is said by ${inMs} already; keep one of the two`;
      context.addIssue({ code: 'custom', path: [name], message });
    }
    const { initial_delay_ms: first, max_delay_ms: longest } = delaysOf(policy);
    if (longest >= first) return;
    const path = [policy.max_delay === undefined ? 'max_delay_ms' : 'max_delay'];
    const shorter = policy.initial_delay === undefined ? 'initial_delay_ms' : 'initial_delay';
    context.addIssue({ code: 'custom', path, message: `is shorter than ${shorter}` });
  })
  .transform((policy) => {
    const { initial_delay: _, max_delay: __, ...rest } = policy;
    return { ...rest, ...delaysOf(policy) };
  })
  .pipe(stored)
  .meta({ id: 'RetryPolicy', description: 'Instead of the usual retries.' });

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a merge patch finds: a delay that it gives under its other name does not stay beside it. */
export function withoutReplacedDelays(
  pipeline: Readonly<Record<string, unknown>>,
  patch: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { retry_policy: before } = pipeline;
  const { retry_policy: changes } = patch;
  if (!isObject(before) || !isObject(changes)) return { ...pipeline };
  const replaced = new Set<string>(
    DELAYS.flatMap(([name, inMs]) => (Object.hasOwn(changes, name) ? [inMs] : [])),
  );
  const kept = Object.entries(before).filter(([name]) => !replaced.has(name));
  return { ...pipeline, retry_policy: Object.fromEntries(kept) };
}

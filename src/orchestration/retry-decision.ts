/**
 * Whether a failed step is done again, and when. Pure: the flow waits, so that the wait outlives every process.
 *
 * | failure | retries | waits |
 * |---|---|---|
 * | network | 5 | 1, 2, 4, 8, 16 s |
 * | rate limit | 3 | until the reset, else 60 s |
 * | timeout | 3 | 1, 2, 4 s |
 * | data | 1 | none |
 * | schema, config, auth, lost position, bug | 0 | |
 * | lost worker, own metadata or cluster away | without end | 1 s doubled up to 60 s |
 * | a file that another process holds | 11 | 1 s doubled up to 60 s: six minutes |
 * | what else time may mend | as configured | as configured |
 */
import type { ErrorClass, ErrorCode } from '../core/errors.ts';

export interface RetryFailure {
  readonly code: ErrorCode;
  readonly class: ErrorClass;
  readonly systemCode: string | null;
  readonly retryAfterMs: number | null;
}

/** How often something was retried since the last progress. */
export type RetryCounts = Readonly<Record<RetryBudget, number>>;
export type RetryBudget =
  | 'network'
  | 'rateLimit'
  | 'timeout'
  | 'data'
  | 'held'
  | 'worker'
  | 'other';

export const NO_RETRIES: RetryCounts = {
  network: 0,
  rateLimit: 0,
  timeout: 0,
  data: 0,
  held: 0,
  worker: 0,
  other: 0,
};

export interface Backoff {
  /** The first one counts. */
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
}

export interface RetryRules {
  /** For failures that time may mend and the table does not name. */
  readonly fallback: Backoff;
  /** Of a pipeline that has its own policy: in place of the table for network, timeouts and the fallback. */
  readonly override: Backoff | null;
  /** Codes of the systems, or of the product, that are never retried. */
  readonly permanentCodes: readonly string[];
}

export const DEFAULT_RULES: RetryRules = {
  fallback: { maxAttempts: 5, initialDelayMs: 1000, maxDelayMs: 60_000, multiplier: 2 },
  override: null,
  permanentCodes: [],
};

const NETWORK: Backoff = {
  maxAttempts: 6,
  initialDelayMs: 1000,
  maxDelayMs: 16_000,
  multiplier: 2,
};
const TIMEOUT: Backoff = { maxAttempts: 4, initialDelayMs: 1000, maxDelayMs: 4000, multiplier: 2 };
const RATE_LIMIT_ATTEMPTS = 4;
const RATE_LIMIT_WAIT_MS = 60_000;
const HELD: Backoff = {
  maxAttempts: 12,
  initialDelayMs: 1000,
  maxDelayMs: 60_000,
  multiplier: 2,
};
const WORKER: Backoff = {
  maxAttempts: Number.POSITIVE_INFINITY,
  initialDelayMs: 1000,
  maxDelayMs: 60_000,
  multiplier: 2,
};

const NETWORK_CODES: ReadonlySet<ErrorCode> = new Set([
  'unreachable',
  'connection_lost',
  'server_starting',
  'token_unavailable',
] satisfies ErrorCode[]);
/** For a command that is a mistake to be told at once; an execution may wait for somebody else to end. */
const HELD_CODES: ReadonlySet<ErrorCode> = new Set(['file_locked'] satisfies ErrorCode[]);
/** Of the server itself, and not of the systems: no reason to give an execution up. */
const WORKER_CODES: ReadonlySet<ErrorCode> = new Set([
  'worker_lost',
  'worker_stopping',
  'metadata_unreachable',
  'metadata_full',
  'orchestrator_unreachable',
] satisfies ErrorCode[]);

export type StepDecision =
  | {
      readonly kind: 'retry';
      readonly delayMs: number;
      readonly budget: RetryBudget;
      readonly counts: RetryCounts;
    }
  | { readonly kind: 'fail'; readonly why: 'permanent' | 'exhausted' };

const PERMANENT: StepDecision = { kind: 'fail', why: 'permanent' };

export function decide(
  failure: RetryFailure,
  counts: RetryCounts,
  rules: RetryRules = DEFAULT_RULES,
): StepDecision {
  const codes = rules.permanentCodes;
  if (codes.includes(failure.code)) return PERMANENT;
  if (failure.systemCode !== null && codes.includes(failure.systemCode)) return PERMANENT;
  const budget = budgetOf(failure);
  if (budget === null) return PERMANENT;
  const backoff = backoffOf(budget, failure, rules);
  const retries = counts[budget];
  if (retries + 1 >= backoff.maxAttempts) return { kind: 'fail', why: 'exhausted' };
  return {
    kind: 'retry',
    delayMs: delayMs(backoff, retries),
    budget,
    counts: { ...counts, [budget]: retries + 1 },
  };
}

function budgetOf({ code, class: errorClass }: RetryFailure): RetryBudget | null {
  if (HELD_CODES.has(code)) return 'held';
  switch (errorClass) {
    case 'transient':
      if (WORKER_CODES.has(code)) return 'worker';
      return NETWORK_CODES.has(code) ? 'network' : 'other';
    case 'rate-limited':
      return 'rateLimit';
    case 'timeout':
      return 'timeout';
    case 'data':
      return 'data';
    case 'config':
    case 'auth':
    case 'schema':
    case 'position-lost':
    case 'bug':
      return null;
  }
}

function backoffOf(budget: RetryBudget, failure: RetryFailure, rules: RetryRules): Backoff {
  switch (budget) {
    case 'network':
      return rules.override ?? NETWORK;
    case 'timeout':
      return rules.override ?? TIMEOUT;
    case 'held':
      return rules.override ?? HELD;
    case 'other':
      return rules.override ?? rules.fallback;
    case 'rateLimit': {
      const waitMs = failure.retryAfterMs ?? RATE_LIMIT_WAIT_MS;
      const maxAttempts = rules.override?.maxAttempts ?? RATE_LIMIT_ATTEMPTS;
      return { maxAttempts, initialDelayMs: waitMs, maxDelayMs: waitMs, multiplier: 1 };
    }
    case 'data':
      return { maxAttempts: 2, initialDelayMs: 0, maxDelayMs: 0, multiplier: 1 };
    case 'worker':
      return WORKER;
  }
}

function delayMs({ initialDelayMs, maxDelayMs, multiplier }: Backoff, retries: number): number {
  return Math.min(initialDelayMs * multiplier ** Math.min(retries, 60), maxDelayMs);
}

/** Before a step is done again whose worker was lost so often; the first time at once. */
export function workerDelayMs(lost: number): number {
  return lost <= 1 ? 0 : delayMs(WORKER, lost - 2);
}

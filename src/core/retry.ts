import type { ErrorClass } from './errors.ts';

export interface RetryPolicy {
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
  /** Time since the first failure without progress after which the run gives up; null means never. */
  readonly giveUpAfterMs: number | null;
  /** Failures in a row without progress after which it gives up; null means never. */
  readonly maxAttempts: number | null;
  /** Codes of the systems themselves (SQLSTATE and the like) that time will not mend here. */
  readonly permanentCodes: readonly string[];
}

export const DEFAULT_RETRY: RetryPolicy = {
  initialDelayMs: 250,
  maxDelayMs: 30_000,
  multiplier: 2,
  giveUpAfterMs: null,
  maxAttempts: null,
  permanentCodes: [],
};

export type RetryDecision =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'give-up'; readonly why: 'permanent' | 'exhausted' };

export interface RetryState {
  readonly class: ErrorClass;
  /** The system's own code, where it gave one. */
  readonly systemCode: string | null;
  /** Failures in a row without progress, this one included; from 1. */
  readonly attempt: number;
  /** Time since the first of them. */
  readonly elapsedMs: number;
  /** In [0, 1): spreads the delays of many pipelines that lost the same server. */
  readonly random: number;
}

/** Exponential backoff with jitter in [0.5, 1] of the delay; only classes that time can mend are retried. */
export function decideRetry(policy: RetryPolicy, state: RetryState): RetryDecision {
  if (state.systemCode !== null && policy.permanentCodes.includes(state.systemCode)) {
    return { kind: 'give-up', why: 'permanent' };
  }
  switch (state.class) {
    case 'transient':
    case 'rate-limited':
    case 'timeout': {
      if (policy.giveUpAfterMs !== null && state.elapsedMs >= policy.giveUpAfterMs) {
        return { kind: 'give-up', why: 'exhausted' };
      }
      if (policy.maxAttempts !== null && state.attempt >= policy.maxAttempts) {
        return { kind: 'give-up', why: 'exhausted' };
      }
      const grown = policy.initialDelayMs * policy.multiplier ** Math.min(state.attempt - 1, 30);
      const capped = Math.min(grown, policy.maxDelayMs);
      return { kind: 'retry', delayMs: Math.round(capped * (0.5 + state.random / 2)) };
    }
    case 'config':
    case 'auth':
    case 'schema':
    case 'data':
    case 'position-lost':
    case 'bug':
      return { kind: 'give-up', why: 'permanent' };
  }
}

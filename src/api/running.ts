/** What the requests of one application share. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { FeedPlaces, FeedSettings } from './feed.ts';
import type { Limiter, RateLimit } from './rate-limit.ts';
import type { ApiContext, Caller } from './route.ts';

export interface ApiLimits {
  readonly perAddress: RateLimit;
  readonly perToken: RateLimit;
  /** Of addresses that try passwords and setup tokens. */
  readonly guesses: RateLimit;
}

export const LIMITS: ApiLimits = {
  perAddress: { most: 60_000, windowMs: 60_000 },
  perToken: { most: 30_000, windowMs: 60_000 },
  guesses: { most: 10, windowMs: 60_000 },
};

export interface ApiOptions extends ApiContext {
  readonly limits?: Partial<ApiLimits>;
  readonly feeds?: Partial<FeedSettings>;
  /** Answers that are not as their schema says fail, for tests. */
  readonly checkReplies?: boolean;
}

export interface Running {
  readonly options: ApiOptions;
  readonly app: FastifyInstance;
  readonly limiters: Readonly<Record<keyof ApiLimits, Limiter>>;
  readonly feedSettings: FeedSettings;
  readonly places: FeedPlaces;
  readonly stopping: AbortController;
  readonly callers: WeakMap<FastifyRequest, Caller>;
  readonly registered: {
    readonly pattern: RegExp;
    readonly method: string;
    readonly path: string;
  }[];
}

export const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cache-control': 'no-store',
} as const;

export function pathOf(request: FastifyRequest): string {
  return request.url.split('?')[0] ?? '/';
}

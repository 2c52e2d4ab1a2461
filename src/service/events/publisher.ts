/** What a way out for events must be able to do; how often and when is not its concern. */
import { asForebayError } from '../../core/errors.ts';
import type { OutboxEvent } from '../../metadata/events-outbox.ts';
import type { PostReply } from './http-post.ts';

export type SendOutcome =
  | { readonly kind: 'delivered' }
  /** `isDown`: no other event would get through now. */
  | {
      readonly kind: 'later';
      readonly error: string;
      readonly isDown: boolean;
      readonly retryAfterMs: number | null;
    }
  /** The receiver wants no more events. */
  | { readonly kind: 'disabled'; readonly error: string };

export interface Publisher extends AsyncDisposable {
  /** Deliveries are kept by it. */
  readonly id: string;
  /** Failures that time may mend are outcomes; what it throws counts as such, too. */
  send(event: OutboxEvent, signal: AbortSignal): Promise<SendOutcome>;
}

export const DELIVERED: SendOutcome = { kind: 'delivered' };

const GONE = 410;

export function outcomeOfReply({ status, retryAfterMs }: PostReply): SendOutcome {
  if (status >= 200 && status < 300) return DELIVERED;
  const error = `the receiver answered ${status}`;
  if (status === GONE) return { kind: 'disabled', error };
  // The receiver has trouble of its own, or wants to be left alone; else it is this event that it does not take.
  const isDown = status >= 500 || status === 429 || status === 408;
  return { kind: 'later', error, isDown, retryAfterMs };
}

/** In words that name no address: some have a secret in their path. */
export function outcomeOfFailure(failure: unknown): SendOutcome {
  const systemCode =
    failure instanceof Error && 'code' in failure && typeof failure.code === 'string'
      ? failure.code
      : null;
  const isTimeout = failure instanceof Error && failure.name === 'TimeoutError';
  const error = isTimeout ? 'no answer in time' : (systemCode ?? asForebayError(failure).message);
  return { kind: 'later', error, isDown: true, retryAfterMs: null };
}

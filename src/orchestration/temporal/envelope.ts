/** What travels between our client, flows and activities on Temporal; `core` of both sides, and of the sandbox. */
import type { FailureReport } from '../failure.ts';
import type { Json } from '../flow.ts';
import type { PendingStep } from '../orchestrator.ts';

export interface Letter {
  readonly name: string;
  readonly id: string;
  readonly payload: Json;
}

/** The input of a workflow: with what the run before it did not take. */
export interface FlowEnvelope {
  readonly input: Json;
  readonly inbox: readonly Letter[];
  /** Ids of signals that came, so that one that is sent again is known. */
  readonly seen: readonly string[];
}

export interface ActivityEnvelope {
  readonly input: Json;
  readonly attempt: number;
  readonly stepKey: string;
  readonly lastHeartbeat: Json | null;
  /** Null means none; left out, the worker's own. */
  readonly timeoutMs?: number | null;
  readonly heartbeatTimeoutMs: number | null;
}

/** What an activity ends with: only a worker that is lost altogether fails the activity itself. */
export type ActivityReply =
  | { readonly kind: 'completed'; readonly result: Json }
  | { readonly kind: 'failed'; readonly failure: FailureReport }
  | {
      readonly kind: 'again';
      readonly cause: 'stopping' | 'lost';
      readonly lastHeartbeat: Json | null;
    };

/** Answers `PendingStep[]`. */
export const PENDING_QUERY = '__pending';
export type Pending = readonly PendingStep[];

/** Signals of one workflow whose ids are kept. */
export const MOST_SEEN = 1000;

export function queueName(prefix: string, queue: string | undefined): string {
  return queue === undefined ? prefix : `${prefix}-${queue}`;
}

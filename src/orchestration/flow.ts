/**
 * What a flow may do, on either engine. A flow is a function that decides; all that touches the world is an activity.
 * It must do the same each time it is run over the same answers: no clock, no randomness, no timers, no input or output
 * but through `ctx`.
 */
import type { ForebayError } from '../core/errors.ts';

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

export interface ActivityContext {
  /** Aborted with a `ForebayError`: `flow_cancelled`, `activity_timeout`, `worker_stopping` or `worker_lost`. */
  readonly signal: AbortSignal;
  /** From 1. One that a stopping worker gave back does not count. */
  readonly attempt: number;
  /** Grows with each worker that takes the run over: what is written under a lower one is of somebody who lost it. */
  readonly epoch: number;
  /** What the attempt before told last. A hint: the truth about progress stands where the data is. */
  readonly lastHeartbeat: Json | null;
  heartbeat(details: Json): void;
  /** The same for every attempt of the same step. */
  readonly stepKey: string;
}

/**
 * Input and result are `Json` of at most 64 KiB; the parameter is typed by each activity, hence the bivariant method.
 * It fails with a `ForebayError`; anything else becomes `internal`.
 */
export interface ActivityMap {
  readonly [name: string]: Activity;
}
export type Activity = {
  // A method, so that an activity may name the type of its input.
  bivarianceHack(input: Json, context: ActivityContext): Promise<unknown>;
}['bivarianceHack'];

export interface RunOptions {
  /** Of one attempt; null means none. Left out, the engine's `activityTimeoutMs`. */
  readonly timeoutMs?: number | null;
  /** One that is silent for longer is aborted and begun again, whatever the budgets of retries say. */
  readonly heartbeatTimeoutMs?: number;
  /** Long ones have a queue of their own, so that they hold no place of the short ones. */
  readonly queue?: string;
  /** For a step that is the continuation of another one. */
  readonly stepKey?: string;
  /** What the first attempt finds as `lastHeartbeat`. */
  readonly lastHeartbeat?: Json;
}

export type Settled<O> =
  | { readonly status: 'fulfilled'; readonly value: O }
  | { readonly status: 'rejected'; readonly error: ForebayError };

export interface FlowContext<A extends ActivityMap> {
  readonly workflowId: string;
  readonly runId: string;
  /** Fails with `ActivityFailure`, or with `flow_cancelled`. */
  run<N extends keyof A & string>(
    name: N,
    input: Parameters<A[N]>[0],
    options?: RunOptions,
  ): Promise<Awaited<ReturnType<A[N]>>>;
  sleep(ms: number): Promise<void>;
  /** The next one of this name that was not yet taken; null after the timeout. */
  signal(name: string, options?: { readonly timeoutMs?: number }): Promise<Json | null>;
  query(name: string, answer: () => Json): void;
  child(flow: string, input: Json, options: { readonly workflowId: string }): Promise<Json>;
  /** In the order of the items; at most `limit` at a time. */
  all<I, O>(
    items: readonly I[],
    limit: number,
    act: (item: I) => Promise<O>,
  ): Promise<readonly Settled<O>[]>;
  /** Ends this run and begins another one of the same workflow; does not come back. */
  continueAsNew(input: Json): Promise<never>;
  /** Milliseconds since 1970 of what the flow saw last. */
  now(): number;
  uuid(): string;
  /** 1 for runs that came here first in this release or a later one, 0 for those that passed before. */
  version(id: string): number;
  /** What it does goes on when the flow is cancelled (clean-up). */
  uncancelled<T>(act: () => Promise<T>): Promise<T>;
}

// Input and result differ from flow to flow; both cross as Json.
export type Flow<A extends ActivityMap, I, O> = (ctx: FlowContext<A>, input: I) => Promise<O>;

/** As an engine keeps them; `I` and `O` are Json to it. */
export interface FlowMap {
  readonly [name: string]: {
    bivarianceHack(ctx: FlowContext<ActivityMap>, input: Json): Promise<unknown>;
  }['bivarianceHack'];
}

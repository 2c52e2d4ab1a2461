/** What the rest of the product asks of an engine. */
import type { FailureReport } from './failure.ts';
import type { Json } from './flow.ts';

export type FlowOutcome =
  | { readonly status: 'completed'; readonly result: Json }
  | { readonly status: 'failed'; readonly error: FailureReport }
  | { readonly status: 'cancelled'; readonly error: FailureReport };

export interface PendingStep {
  readonly kind: string;
  readonly name: string;
  /** Of an activity, from 1. */
  readonly attempt: number;
  /** RFC 3339; of a timer or a wait that ends. */
  readonly dueAt: string | null;
}

export interface RunDescription {
  readonly workflowId: string;
  readonly runId: string;
  readonly flow: string;
  /** `parked`: the flow does something else than its history tells; somebody has to look. */
  readonly status: 'running' | 'completed' | 'failed' | 'cancelled' | 'parked';
  readonly error: FailureReport | null;
  readonly startedAt: string;
  readonly completedAt: string | null;
  readonly pending: readonly PendingStep[];
}

export interface Orchestrator extends AsyncDisposable {
  /** Fails with `workflow_exists` while one of this id is open, with `flow_payload` where the input is too large. */
  start(
    flow: string,
    what: { readonly workflowId: string; readonly input: Json },
  ): Promise<{ readonly runId: string }>;
  /** Sent again under the same id it is the same. Fails with `not_found` where no such workflow is open. */
  signal(
    workflowId: string,
    signal: { readonly name: string; readonly id: string; readonly payload: Json },
  ): Promise<void>;
  /** Fails with `not_found` where there is no such workflow or query. */
  query(workflowId: string, name: string): Promise<Json>;
  /** Nothing happens where it is not open. */
  cancel(workflowId: string): Promise<void>;
  describe(workflowId: string): Promise<RunDescription | null>;
  /** Waits for the end of the workflow, through all its runs. A parked run is told as failed with `flow_diverged`. */
  result(workflowId: string, options?: { readonly signal?: AbortSignal }): Promise<FlowOutcome>;
  /** Whether the cluster answers, known within two seconds; null where flows run in this process. */
  readonly reachable: (() => Promise<boolean>) | null;
}

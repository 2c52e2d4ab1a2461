/** What flows ask of the world. Types only; `activities/` has the code. Everything here crosses as JSON. */
import type { Json } from '../flow.ts';

export type LayerName = 'bronze' | 'silver' | 'gold';

/** Which execution a step belongs to. */
export type ExecutionRef = {
  readonly organizationId: string;
  readonly pipelineId: string;
  readonly executionId: string;
};

export type TriggerParameters = {
  /** UTC days, both inclusive. */
  readonly dateRange: DateRange | null;
  /** Read again what the cursor says is done. */
  readonly force: boolean;
};

export type FailureSummary = {
  readonly code: string;
  readonly class: string;
  readonly message: string;
  readonly fix: string;
  readonly stream: string | null;
};

export type BackoffSettings = {
  readonly maxAttempts: number;
  readonly initialDelayMs: number;
  readonly maxDelayMs: number;
  readonly multiplier: number;
};

/** In place of the table of retries where a pipeline has its own. */
export type RetrySettings = BackoffSettings & { readonly permanentCodes: readonly string[] };

/** As it was when the execution began. */
export type RetryPlan = {
  /** Of the server: for failures that the table does not name. */
  readonly fallback: BackoffSettings;
  readonly own: RetrySettings | null;
};

export type ExecutionPlan = {
  readonly layers: readonly LayerName[];
  readonly retry: RetryPlan;
};

export type RetryNote = {
  readonly step: string;
  readonly layer: LayerName | null;
  /** Of failures, from 1. */
  readonly attempt: number;
  readonly error: FailureSummary;
  /** RFC 3339. */
  readonly nextTryAt: string;
};

/** Both ends inclusive. */
export type BackfillRange =
  | ({ readonly kind: 'days' } & DateRange)
  | ({ readonly kind: 'keys' } & KeyRange);

/** Integers of a column. */
export type KeyRange = {
  readonly column: string;
  readonly start: number;
  readonly end: number;
};

/** UTC days, both inclusive. */
export type DateRange = { readonly start: string; readonly end: string };

export type Control = 'pause' | 'resume' | 'stop' | 'reconfigure';

/** Streams that are to be read again in full. */
export type Resync = {
  /** Names the demand, which is taken up once. */
  readonly demand: string;
  /** Null: all of the pipeline. */
  readonly streams: readonly string[] | null;
};

type Done = Promise<null>;

export type FlowActivities = {
  /** Marks the execution as running; says which layers it goes through. */
  beginExecution(input: ExecutionRef): Promise<ExecutionPlan>;
  /** Looks at both systems: what is missing fails here, with its fix. */
  connect(input: ExecutionRef): Done;
  bronze(input: ExecutionRef & { readonly parameters: TriggerParameters }): Done;
  silver(input: ExecutionRef): Done;
  gold(input: ExecutionRef): Done;
  noteRetry(input: ExecutionRef & RetryNote): Done;
  /** `layer`: the one that failed; those after it are skipped. */
  endExecution(
    input: ExecutionRef & {
      readonly status: 'completed' | 'failed' | 'cancelled';
      readonly layer: LayerName | null;
      readonly error: FailureSummary | null;
      readonly output: Json;
    },
  ): Done;
  /** Follows the source's changes until it is told to stop. */
  replicate(input: ExecutionRef & { readonly resync?: readonly Resync[] }): Promise<{
    readonly ended: 'told' | 'completed';
    /** It came to following changes, and has recorded what is to be read again. */
    readonly begun?: boolean;
  }>;
  /** Tells a `replicate` that is under way; it drains and ends. */
  tellReplication(input: ExecutionRef & { readonly control: Control }): Done;
  /** Fails where no range could be read: a stream has no such column, or none by which days are told. */
  checkBackfill(input: ExecutionRef & { readonly range: BackfillRange }): Done;
  /** `part` tells it apart from those that are read beside it. */
  backfillRange(
    input: ExecutionRef & { readonly range: BackfillRange; readonly part: number },
  ): Promise<{ readonly rows: number }>;
  createOrganization(input: {
    readonly name: string;
  }): Promise<{ readonly organizationId: string }>;
  createConnection(input: {
    readonly organizationId: string;
    readonly name: string;
    readonly connectorType: string;
    /** Where the fields are kept sealed until then: secrets do not go through a flow. */
    readonly sealedFields: string;
  }): Promise<{ readonly connectionId: string }>;
  checkConnection(input: {
    readonly organizationId: string;
    readonly connectionId: string;
  }): Promise<{ readonly success: boolean; readonly message: string }>;
  discoverStreams(input: {
    readonly organizationId: string;
    readonly connectionId: string;
  }): Promise<{ readonly streams: readonly string[] }>;
  createPipeline(input: {
    readonly organizationId: string;
    readonly name: string;
    readonly sourceConnectionId: string;
    readonly destinationConnectionId: string;
    readonly streams: readonly string[];
  }): Promise<{ readonly pipelineId: string }>;
};

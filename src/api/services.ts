/**
 * What the routes need of the running system beside the metadata database. Failures are `ForebayError`s; those of
 * other systems are answered as theirs, not as failures of the request.
 */
import type { DeadLetter } from '../core/dead-letter.ts';
import type { ConnectionsTable, DeadLettersTable, PipelinesTable } from '../metadata/tables.ts';
import type { OrganizationScope } from '../metadata/scope.ts';
import type { MetadataTransaction } from '../metadata/transaction.ts';
import type { PlannedBackfill } from './backfill-request.ts';
import type { BackfillPreview } from './schemas/backfills.ts';
import type { Catalog, ConnectionTest } from './schemas/connections.ts';
import type { DroppedLetters, ReplayedLetters } from './schemas/dead-letters.ts';
import type { ConnectorType } from './schemas/connectors.ts';
import type { Onboarding, OnboardingInput } from './schemas/onboarding.ts';
import type { QuarantinedRow } from './schemas/quality.ts';
import type { Lint } from './schemas/operations.ts';
import type {
  Comparison,
  ExecutionParameters,
  KeptPart,
  PipelineState,
  Resynced,
} from './schemas/pipelines.ts';

export interface ConnectorCapabilities {
  readonly source: readonly string[];
  readonly destination: readonly string[];
}

export interface ScheduledExecution {
  readonly executionId: string;
  /** RFC 3339; now where nothing of the pipeline runs. */
  readonly estimatedStart: string;
}

export interface ResyncRequest {
  /** Names, no globs. */
  readonly streams: readonly string[];
  /** Under the same one it is the same demand; null: it is one of its own. */
  readonly key: string | null;
  readonly signal: AbortSignal;
}

export interface ModelDescription {
  readonly name: string;
  readonly materialization: string;
  readonly description: string | null;
  readonly dependsOn: readonly string[];
  readonly file: string;
}

/** Letters of a pipeline. */
export interface LetterChoice {
  /** Null: of all. */
  readonly stream: string | null;
  /** As the index has them; null: all there are at the destination. */
  readonly letters: readonly DeadLettersTable[] | null;
  readonly signal: AbortSignal;
}

export interface QuarantineChoice {
  /** Null: of all. */
  readonly stream: string | null;
  readonly rule: string | null;
  readonly limit: number;
  readonly signal: AbortSignal;
}

export interface Readiness {
  /** What was looked at, and whether it is in order. */
  readonly checks: Readonly<Record<string, boolean>>;
}

/**
 * What is given a transaction does everything by it: in SQLite a question beside it would wait for its end for ever.
 */
export interface ControlServices {
  /** By type; a type that is not named can be configured, and does nothing in this release. */
  connectors(): Readonly<Partial<Record<ConnectorType, ConnectorCapabilities>>>;
  /** A failed test is a result. Secrets are read from the connection. */
  testConnection(
    scope: OrganizationScope,
    connection: ConnectionsTable,
    signal: AbortSignal,
  ): Promise<ConnectionTest>;
  catalog(
    scope: OrganizationScope,
    connection: ConnectionsTable,
    signal: AbortSignal,
  ): Promise<Catalog>;
  /**
   * Writes the execution as scheduled, in the transaction of the request. Fails with `execution_waits` where one runs
   * and one waits already. `executionScheduled` follows after the commit.
   */
  triggerExecution(
    transaction: MetadataTransaction,
    scope: OrganizationScope,
    request: { readonly pipeline: PipelinesTable; readonly parameters: ExecutionParameters },
  ): Promise<ScheduledExecution>;
  triggerBackfill(
    transaction: MetadataTransaction,
    scope: OrganizationScope,
    request: { readonly pipeline: PipelinesTable; readonly backfill: PlannedBackfill },
  ): Promise<ScheduledExecution>;
  /** Per stream what it would read; fails where a stream has no column to read it by. */
  previewBackfill(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    request: { readonly backfill: PlannedBackfill; readonly signal: AbortSignal },
  ): Promise<BackfillPreview['streams']>;
  /** Something was scheduled and committed: a hint to look now. What it misses is found by looking regularly. */
  executionScheduled(executionId: string): void;
  /** Asks for the end of it; asking again, or of one that has ended, changes nothing. */
  cancelExecution(scope: OrganizationScope, executionId: string): Promise<void>;
  /** Each is the same when it is asked again. One that follows its source; others are executed. */
  startPipeline(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState>;
  /** Also of one that does not follow its source: what runs or waits of it is cancelled. */
  stopPipeline(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState>;
  pausePipeline(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState>;
  resumePipeline(scope: OrganizationScope, pipeline: PipelinesTable): Promise<PipelineState>;
  /** Reads streams of a replication again; fails with a pointer where the pipeline has no such stream. */
  resyncPipeline(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    request: ResyncRequest,
  ): Promise<Resynced>;
  /** What the systems of a pipeline that ran may keep of it; connects to none. */
  keptParts(scope: OrganizationScope, pipeline: PipelinesTable): Promise<readonly KeptPart[]>;
  /** Ends that; it may be done again. Tables and dead letters stay. */
  dropPipeline(
    scope: OrganizationScope,
    request: { readonly pipeline: PipelinesTable; readonly signal: AbortSignal },
  ): Promise<void>;
  comparePipeline(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    options: { readonly streams: readonly string[] | null; readonly signal: AbortSignal },
  ): Promise<Comparison>;
  /** With its row, from the destination; null: it is there no longer. */
  readDeadLetter(
    scope: OrganizationScope,
    letter: DeadLettersTable,
    signal: AbortSignal,
  ): Promise<DeadLetter | null>;
  /** Fails with `file_locked` where an execution has the destination to itself, and then changes nothing. */
  replayDeadLetters(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    choice: LetterChoice,
  ): Promise<ReplayedLetters>;
  dropDeadLetters(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    choice: LetterChoice,
  ): Promise<DroppedLetters>;
  /** From the warehouse; fails with a pointer where the pipeline has no such stream. */
  quarantinedRows(
    scope: OrganizationScope,
    pipeline: PipelinesTable,
    choice: QuarantineChoice,
  ): Promise<readonly QuarantinedRow[]>;
  /** A pipeline or its schedule was changed or deleted, and that is committed. */
  pipelineChanged(pipelineId: string): void;
  /** Fails with `capability_missing` where there is nothing to lint with. */
  lintBenthos(configuration: string, signal: AbortSignal): Promise<Lint>;
  /** Starts the flow. Under the same key it is the same one; null: it is one of its own. */
  startOnboarding(
    scope: OrganizationScope,
    input: OnboardingInput,
    key: string | null,
  ): Promise<Onboarding>;
  /** Null: there is none of this organisation. */
  onboarding(scope: OrganizationScope, workflowId: string): Promise<Onboarding | null>;
  models(scope: OrganizationScope): Promise<readonly ModelDescription[]>;
  readiness(): Promise<Readiness>;
  /** In Prometheus' text format. */
  metrics(scope: OrganizationScope): Promise<string>;
}

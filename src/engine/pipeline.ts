import type { RowAccount, StreamState } from '../core/checkpoint.ts';
import type {
  ConnectorContext,
  DeleteMethod,
  Destination,
  Finding,
  LoadMethod,
  Source,
  TargetColumn,
} from '../core/connector.ts';
import type { ErrorReport } from '../core/errors.ts';
import type { Position } from '../core/position.ts';
import type { RetryPolicy } from '../core/retry.ts';
import type { StreamId, StreamName } from '../core/stream-schema.ts';

export type SchemaChangePolicy = 'evolve' | 'pause' | 'ignore';

/** What the user asked for; every field has been validated and has its default. */
export interface PipelineSpec {
  /** Name of the pipeline: lower-case letters, digits, underscores, at most 40. */
  readonly name: string;
  /** Globs over `namespace.name`; a leading `!` excludes. Empty: everything that may be read. */
  readonly selection: readonly string[];
  /** Destination namespace; null means the source's. */
  readonly targetNamespace: string | null;
  /** Destination table of a pipeline with a single stream; null means the source's name. */
  readonly targetTable: string | null;
  readonly load: LoadMethod;
  readonly deletes: DeleteMethod;
  readonly schemaChanges: SchemaChangePolicy;
  readonly batchRows: number;
  readonly batchMs: number;
  readonly memoryBytes: number;
  /** Chunks read at once; null lets the engine decide. */
  readonly parallel: number | null;
  /** Dead letters per run after which a stream's run fails. */
  readonly errorBudget: number;
  readonly retry: RetryPolicy;
  /** A system that was never there is waited for as well as one that was lost: nobody stands by to be told. */
  readonly awaitSystems: boolean;
  /** Refuses to begin while another process runs the pipeline; otherwise it takes the other one's place. */
  readonly exclusive: boolean;
  /** Of a copy: the rows that are read, by stream; others are read whole. */
  readonly ranges?: ReadonlyMap<StreamId, CursorRange>;
  /** Of a copy: streams whose changes another pipeline appends to the same table, with how far it has come. */
  readonly placed?: ReadonlyMap<StreamId, Position>;
  /** What is to be read again. A demand is taken up once; of several for a stream the last one is. */
  readonly resync?: readonly Resync[];
  /** See `StreamTarget.stamp`. */
  readonly stamp?: string;
  /** Whether a new pipeline reads the tables, or takes only what changes from its start on. */
  readonly begins: 'snapshot' | 'changes';
}

export interface Resync {
  /** Its name. */
  readonly demand: string;
  /** Null: all that the pipeline has. */
  readonly streams: readonly StreamId[] | null;
}

/** Rows by the value of a column, in the text form of its type. */
export interface CursorRange {
  readonly column: string;
  /** The least; null: there is none. */
  readonly from: string | null;
  /** The first that is not in it; null: there is none. */
  readonly to: string | null;
  /** Rows whose column is NULL are in it, too. A range without ends has them anyway. */
  readonly withNulls?: boolean;
}

/** The two systems, opened anew after every lost connection. */
export interface PipelineSystems {
  readonly openSource: (context: ConnectorContext) => Promise<Source>;
  readonly openDestination: (context: ConnectorContext) => Promise<Destination>;
  /** Both have the same address. */
  readonly sameSystem: boolean;
  /** `--set` options, passed on to both connectors. */
  readonly options: Readonly<Record<string, string>>;
}

export type RunMode =
  /** One consistent snapshot, then ends. */
  | { readonly kind: 'copy' }
  /** Snapshot, then changes; `untilCaughtUp` ends when all committed before the start is applied. */
  | { readonly kind: 'replicate'; readonly untilCaughtUp: boolean }
  /** New position, then compare and repair; ends. */
  | { readonly kind: 'recover' };

/** Rows of a stream as they go along, for counters; called often, so it must be quick. */
export interface RunMeter {
  /** Read and on their way; after a failure some of them come again. */
  readonly moved: (stream: StreamId, rows: number) => void;
  /** Committed. */
  readonly counted: (stream: StreamId, account: RowAccount) => void;
  /** An attempt is over: what moved and was not counted is given up; most of it comes again. */
  readonly gaveUp?: () => void;
  readonly batch?: (batch: CommittedBatch) => void;
}

/** One transaction of the destination. */
export interface CommittedBatch {
  readonly kind: 'chunk' | 'changes';
  /** Null where it holds changes of several tables. */
  readonly stream: StreamId | null;
  /** Where the transaction began, in milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly rows: number;
  readonly bytes: number;
  /** Position that is now durable; the chunk's id for a chunk. */
  readonly upTo: string;
}

export interface RunControl {
  /** Aborts: commit or abandon what is in hand, then end as `stopped`. */
  readonly drain: AbortSignal;
  readonly observe: (event: RunEvent) => void;
  readonly meter?: RunMeter;
}

/** Events of a run, as `--json` prints them (the printer adds `v`). */
export type RunEvent = {
  readonly at: string;
  readonly pipeline: string;
  readonly stream: StreamId | null;
} & (
  | { readonly event: 'started'; readonly mode: RunMode['kind'] }
  /** With changes: the checkpoint's position, from where they are followed. */
  | { readonly event: 'phase'; readonly phase: RunPhase; readonly position?: Position }
  | ({ readonly event: 'progress' } & Progress)
  | { readonly event: 'checkpoint'; readonly position: string }
  | { readonly event: 'schema-change'; readonly change: string }
  | {
      readonly event: 'stream-paused';
      readonly code: string;
      readonly reason: string;
      readonly fix: string;
    }
  | {
      readonly event: 'retry';
      readonly error: ErrorReport;
      readonly attempt: number;
      readonly delayMs: number;
    }
  | { readonly event: 'notice'; readonly message: string }
  | { readonly event: 'stopped'; readonly status: RunStatus }
);

export type RunPhase = 'plan' | 'snapshot' | 'changes' | 'compare' | 'repair';
export type RunStatus = 'completed' | 'stopped' | 'failed';

export interface Progress {
  readonly phase: RunPhase;
  /** Rows so far in this phase; for a stream, or for the pipeline when `stream` is null. */
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly bytes: number;
  readonly bytesPerSecond: number;
  /** Rows expected in the snapshot, if known. */
  readonly totalRows: number | null;
  readonly etaMs: number | null;
  readonly lagMs: number | null;
  readonly lagBytes: number | null;
}

export interface StreamResult extends RowAccount {
  readonly stream: StreamId;
  readonly phase: 'snapshot' | 'changes';
  /** Why the stream is paused; null if it is not. */
  readonly paused: { readonly code: string; readonly reason: string; readonly fix: string } | null;
  /** It was paused already when this run began. */
  readonly pausedEarlier: boolean;
}

/** The result object, as printed (the printer adds `v` and the key order of the documents). */
export interface RunResult {
  readonly pipeline: string;
  readonly status: RunStatus;
  readonly durationMs: number;
  readonly streams: readonly StreamResult[];
  readonly position: { readonly from: string | null; readonly to: string | null };
  readonly lagMs: number | null;
  readonly error: ErrorReport | null;
  /** True once something was written; an interrupt before that ends with 130. */
  readonly begun: boolean;
  /** Only of `recover`: what compare found and repair moved. */
  readonly repaired: readonly RepairedStream[] | null;
}

export interface RepairedStream {
  readonly stream: StreamId;
  readonly rowsCompared: number;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** Where the rows of a snapshot are transformed; those of the change stream are transformed one by one, here. */
export interface PlannedTransformation {
  readonly pushedDown: boolean;
  /** Why the source's query cannot do it; null if it does. */
  readonly why: string | null;
}

/** What `forebay plan` prints, one per stream. */
export interface PlannedStream {
  readonly stream: StreamId;
  readonly target: StreamName;
  readonly lane: 'relay' | 'bytes' | 'objects';
  /** Null where nothing is transformed. */
  readonly transformation: PlannedTransformation | null;
  /** Encoding of the change stream's cells, null where there is no change stream. */
  readonly changeEncoding: 'binary' | 'text' | null;
  readonly key: readonly string[];
  readonly load: LoadMethod;
  readonly deletes: DeleteMethod;
  /** What is promised of its rows, for people. */
  readonly delivery: string;
  readonly exists: boolean;
  readonly estimatedRows: number | null;
  readonly columns: readonly {
    readonly name: string;
    readonly sourceType: string;
    readonly target: TargetColumn;
  }[];
  readonly state: StreamState | null;
}

export interface PipelinePlan {
  readonly pipeline: string;
  readonly streams: readonly PlannedStream[];
  readonly findings: readonly Finding[];
  /** Tables that will be made and things made in the source; empty when a run would change nothing. */
  readonly changes: readonly string[];
}

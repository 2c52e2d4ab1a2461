/** The interfaces between the engine and a system that is written. */
import type { Checkpoint, PipelineState, StreamRecord } from './checkpoint.ts';
import type { Finding, FrameStream, Leftover } from './connector.ts';
import type { DeadLetterStore, RejectedRow } from './dead-letter.ts';
import type { FoldedRows } from './folded-rows.ts';
import type { Position } from './position.ts';
import type { PlannedProjection, Projection } from './projection.ts';
import type { RowBatch } from './row-batch.ts';
import type { StreamId, StreamName, StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';

export type LoadMethod = 'upsert' | 'append' | 'replace';
export type DeleteMethod = 'hard' | 'soft' | 'ignore';

/** How a stream lands; made by the engine's plan, handed to the destination with every call. */
export interface StreamTarget {
  readonly id: StreamId;
  readonly schema: StreamSchema;
  readonly table: StreamName;
  readonly load: LoadMethod;
  readonly deletes: DeleteMethod;
  /** With `append`: what loads the rows, in columns of their own (`_forebay_execution_id`, `_forebay_loaded_at`). */
  readonly stamp?: string;
}

export interface TargetColumn {
  readonly name: string;
  /** In the destination's own words. */
  readonly type: string;
  /** How the destination wants this column's cells from a snapshot. */
  readonly encoding: CellEncoding;
}

export interface TargetPlan {
  readonly exists: boolean;
  readonly empty: boolean;
  readonly columns: readonly TargetColumn[];
  /** The snapshot may be sent in this bulk format; null where values must be transcoded. */
  readonly frameFormat: string | null;
  readonly findings: readonly Finding[];
  /** Of rows that are transformed on the way: where that happens to the rows of a snapshot. */
  readonly transform?: SnapshotTransform;
}

export type SnapshotTransform =
  /** In the source's own query, where that can do it. */
  | { readonly kind: 'projection'; readonly planned: PlannedProjection }
  /** Row by row, here. */
  | { readonly kind: 'rows'; readonly why: string };

/** A checkpoint as it was committed at some time. */
export interface PastCheckpoint {
  readonly position: Position;
  /** Events read since the pipeline began. */
  readonly events: number;
  readonly checksum: string;
  readonly epoch: number;
  readonly committedAt: string;
}

export interface Destination extends AsyncDisposable {
  readonly family: string;
  /** See `Source.place`. */
  place?(): Promise<string>;
  /** How delivery is described to people: see `docs/data-path.md`. */
  readonly delivery: 'effectively once' | 'idempotent' | 'at least once';
  /** Chunks that may be loaded at once. */
  readonly parallelLoads: number;
  /** Rows are changed on the way: all cells must come as text, and the table cannot be compared with the source. */
  readonly transforms?: true;
  check(): Promise<Finding[]>;
  /** What `prepare` would do; touches nothing. */
  plan(target: StreamTarget): Promise<TargetPlan>;
  /** What is remembered of a pipeline; null if nothing. Touches nothing. Fails with `checkpoint_corrupt`. */
  readState(pipeline: string): Promise<PipelineState | null>;
  pipelines(): Promise<readonly string[]>;
  /** Checkpoints of a pipeline, latest first; not every one is kept. Absent where none is. */
  readonly history?: (pipeline: string) => Promise<readonly PastCheckpoint[]>;
  /** Starts a run: takes the next epoch, which fences every earlier run. */
  openSession(pipeline: string, options?: SessionOptions): Promise<DestinationSession>;
  /** What `drop` would remove. */
  leftovers(pipeline: string): Promise<readonly Leftover[]>;
  drop(pipeline: string): Promise<void>;
  readonly deadLetters: DeadLetterStore;
}

export interface SessionOptions {
  /** Recovering: a checkpoint that does not match its checksum is given as it is, as far as it can be read. */
  readonly acceptDamaged: boolean;
  /**
   * Names the run that takes the epoch, and is given back as `PipelineState.run`: one that lost the answer finds its
   * own name there. Each session takes a new epoch all the same.
   */
  readonly run?: string;
  /** Fails with `pipeline_in_use` while another process runs the pipeline, instead of taking its place. */
  readonly exclusive?: boolean;
}

export type ChunkData = {
  /** The source gave the rows as `DestinationSession.projection` asked for them. */
  readonly projected?: Projection;
} & (
  | { readonly kind: 'frames'; readonly stream: FrameStream }
  /** The destination is done with a batch when it asks for the next one. */
  | {
      readonly kind: 'batches';
      /** In a chunk that is merged, a row with OP_DELETE removes the row with its key. */
      readonly batches: AsyncIterable<RowBatch>;
      /** Rows rejected since it was asked last; asked after each batch and at the end. */
      readonly takeRejected?: () => readonly RejectedRow[];
    }
);

interface RowCounts {
  readonly applied: number;
  /** Left out on purpose by a transformation. */
  readonly filtered?: number;
  readonly deadLettered: number;
}

export interface LoadResult extends RowCounts {
  readonly read: number;
  readonly bytes: number;
}

export interface WriteResult extends RowCounts {
  /**
   * Updates that left columns unchanged but whose row is not there (it moved while the snapshot was read
   * again): row numbers per part of what was written. The engine reads them from the source.
   */
  readonly missing: readonly { readonly batch: RowBatch; readonly rows: readonly number[] }[];
}

/** A step that brings a destination table to a newer schema. */
export type EvolutionStep =
  | {
      readonly kind: 'add-column';
      readonly column: number;
      /** Value of the rows that are there already, as text; null means NULL. */
      readonly existing: string | null;
    }
  | { readonly kind: 'widen-column'; readonly column: number }
  /** `to` is a passing name where two columns swap theirs; null: the column's name in the target's schema. */
  | {
      readonly kind: 'rename-column';
      readonly from: string;
      readonly column: number;
      readonly to: string | null;
    };

/**
 * One run of a pipeline at the destination. Every commit carries the epoch: when a later run has begun, it
 * fails with `fenced` and nothing of it is there.
 */
export interface SnapshotReset {
  /** `own`: of a stamped `append`, the rows alone that came under its stamp. */
  readonly removeRows: boolean | 'own';
}

export interface DestinationSession extends AsyncDisposable {
  readonly epoch: number;
  readonly state: PipelineState;
  /** Creates the table if it is missing, otherwise makes sure that it fits. Idempotent. */
  prepare(target: StreamTarget): Promise<void>;
  /** Records streams (and, if given, the position), and prepares `tables`, in one transaction of its own. */
  save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables?: readonly StreamTarget[],
  ): Promise<void>;
  /**
   * Forgets the loaded chunks of a stream and, if asked, empties its table, which may not be there (`append`: only
   * the rows of snapshots; `replace`: the table beside, asked or not).
   */
  resetSnapshot(target: StreamTarget, options: SnapshotReset): Promise<void>;
  /**
   * How the source may transform the rows of the next chunk itself; null where that would not give the same. Absent
   * where nothing is transformed.
   */
  projection?(
    target: StreamTarget,
    chunk: { readonly merge: boolean },
  ): Promise<PlannedProjection | null>;
  /**
   * Loads one chunk and records it, in one transaction. `merge` false: the rows are new to the table, plain
   * load; true: rows that are there are replaced by key. For `append` the rows get the position of event 0 of
   * `order`.
   */
  loadChunk(
    target: StreamTarget,
    chunk: { readonly id: string; readonly merge: boolean; readonly order: string },
    data: ChunkData,
  ): Promise<LoadResult>;
  /** All chunks are in, which may be none: makes keys, swaps a replaced table in. Idempotent. */
  finishSnapshot(target: StreamTarget): Promise<void>;
  /** A transaction over any streams: begin, any number of evolve, truncate and write, then commit or rollback. */
  begin(): Promise<void>;
  evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void>;
  write(target: StreamTarget, rows: FoldedRows): Promise<WriteResult>;
  /**
   * Before the commit: writes, of the rows that were told as dead-lettered in this transaction, those that can be
   * written by now, and gives their number by stream. Absent where what is refused once stays so.
   */
  settle?(): Promise<ReadonlyMap<StreamId, number>>;
  /** Makes data, checkpoint and stream records visible at once. */
  commit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void>;
  rollback(): Promise<void>;
  /** Writes rejected rows to the dead letters in the open transaction. Without it and `alter` nothing is transformed. */
  reject?(target: StreamTarget, rows: readonly RejectedRow[]): Promise<void>;
  /**
   * Brings the table that the stream's snapshot goes to to a newer schema and records it, in a transaction of its own
   * while no other is open. Steps that were done before are passed over.
   */
  alter?(
    target: StreamTarget,
    steps: readonly EvolutionStep[],
    records: readonly StreamRecord[],
  ): Promise<void>;
  /** Fails with `fenced` if a later run has begun. */
  assertEpoch(): Promise<void>;
  /**
   * Rows as they stand, in the target's schema, as OP_READ; for compare. Soft-deleted rows are left out. Slabs come
   * from the context's pool and are given back by the caller.
   */
  read(target: StreamTarget, encodings: readonly CellEncoding[]): AsyncIterable<RowBatch>;
}

/**
 * The interfaces between the engine and a system. A capability is there when its member is: the engine asks
 * `source.changes !== undefined`, never for a flag. `docs/connectors/writing-one.md` tells how to write one.
 */
import type { ChangeSink, TransactionMark } from './change-event.ts';
import type { Checkpoint, PipelineState, StreamRecord } from './checkpoint.ts';
import type { Credentials } from './credentials.ts';
import type { DeadLetterStore, RejectedRow } from './dead-letter.ts';
import type { ForebayError } from './errors.ts';
import type { FoldedRows } from './folded-rows.ts';
import type { Order, Position, SourceIdentity } from './position.ts';
import type { RowBatch } from './row-batch.ts';
import type { Secret } from './secret.ts';
import type { SlabPool } from './slab.ts';
import type { StreamId, StreamName, StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';

export type LoadMethod = 'upsert' | 'append' | 'replace';
export type DeleteMethod = 'hard' | 'soft' | 'ignore';

/** A system as a URL named it, read by the connector's `config.ts` without loading a driver. */
export interface SystemAddress {
  readonly connector: string;
  readonly url: Secret;
  /** For people: the URL without its secrets. */
  readonly display: string;
  /** What makes it the same system on the next run (host, port, database; no user, no options). */
  readonly identity: string;
  /** Short name for the default pipeline name, e.g. the database or the file's stem. */
  readonly label: string;
  /** Who connects, where something beside the URL says it; for every connection to the system. */
  readonly credentials?: Credentials;
}

export interface ConnectorContext {
  readonly signal: AbortSignal;
  readonly slabs: SlabPool;
  /** Bytes that the connector may hold beside the slabs. */
  readonly memoryBytes: number;
  /** `--set key=value` options; a connector refuses keys it does not know with its own prefix. */
  readonly options: Readonly<Record<string, string>>;
  /** Things a person wants to know that are no failure; constant name, no row values. */
  notice(event: string, fields: Readonly<Record<string, string | number | boolean | null>>): void;
}

export interface Connector {
  readonly name: string;
  readonly openSource?: (address: SystemAddress, context: ConnectorContext) => Promise<Source>;
  readonly openDestination?: (
    address: SystemAddress,
    context: ConnectorContext,
  ) => Promise<Destination>;
}

export interface Finding {
  /** Constant name of what was looked at, e.g. `wal_level`. */
  readonly step: string;
  readonly severity: 'ok' | 'info' | 'warning' | 'error';
  readonly message: string;
  /** Statement or action that mends it; null if there is nothing to mend. */
  readonly fix: string | null;
  readonly stream: StreamId | null;
  /** The failure that a run would end with; only with severity `error`. */
  readonly error: ForebayError | null;
}

/** A table, collection or file set that discovery found. */
export interface CatalogStream {
  readonly schema: StreamSchema;
  /** False if the user may not read it. */
  readonly readable: boolean;
  readonly estimatedRows: number | null;
  readonly estimatedBytes: number | null;
  /**
   * Parts that came to the table with rows of their own, which no change tells (attached partitions). When a new one
   * shows, the table is read again.
   */
  readonly attached?: readonly string[];
}

export interface Source extends AsyncDisposable {
  readonly family: string;
  /**
   * What a system has in common with itself under another address, and with no other. Absent where the address says
   * as much.
   */
  place?(): Promise<string>;
  /** Looks at everything a run would need; never changes anything. `purpose` decides what must hold. */
  check(
    streams: readonly StreamSchema[] | null,
    purpose: 'snapshot' | 'changes',
  ): Promise<Finding[]>;
  /** Fails with `table_held` where others hold a table so that not even its description can be read. */
  discover(): Promise<readonly CatalogStream[]>;
  readonly snapshot?: SnapshotCapability;
  readonly changes?: ChangeCapability;
}

export interface SnapshotCapability {
  /** Name of the source's bulk format, if it has one; `SnapshotReader.frames` is then there. */
  readonly frameFormat?: string;
  /**
   * A consistent point that stays readable until disposed; `parallel` chunks may be read at once. With `lockWaitMs`,
   * reading a table that others hold for longer fails with `table_held`; without, it waits.
   */
  open(options: {
    readonly parallel: number;
    readonly lockWaitMs?: number;
  }): Promise<SnapshotReader>;
}

/** A piece of a table that is read, loaded and recorded as one. Its id alone tells what it covers. */
export interface SnapshotChunk {
  readonly id: string;
  readonly estimatedRows: number;
  readonly estimatedBytes: number;
}

/** Bytes in the source's own bulk format, for a destination of the same family to take unchanged. */
export interface FrameStream {
  /** Ready to be written as they are; a piece may hold many rows or a part of one. */
  readonly frames: AsyncIterable<Uint8Array>;
  /** Rows sent; valid when `frames` has ended. */
  rows(): number;
}

/**
 * What a column that the source dropped after the stream's schema was made gives: NULL, which is all that is left to
 * know, or `column_missing`, where NULL would replace values that are to be kept.
 */
export type DroppedColumns = 'null' | 'fail';

/**
 * Reading gives each column by its identity, under whatever name it has by now. It fails with `schema_change` where
 * a column's values are of another type by now, with `table_rewritten` where only a new snapshot shows the rows.
 */
export interface SnapshotReader extends AsyncDisposable {
  /** What this snapshot sees, for `ChangeCapability.isVisible`; null where the source cannot tell. */
  readonly visibility: string | null;
  /**
   * The catalog as this snapshot shows it. Columns may have come since `Source.discover`, with values that the
   * change stream, which begins at the snapshot, does not tell. Absent where the catalog has no history.
   */
  readonly discover?: () => Promise<readonly CatalogStream[]>;
  /**
   * Pieces of a stream, in reading order. Chunks planned earlier are given back as they are if they still cover
   * the table; otherwise new ones come, and all are to be read. `targetBytes` is the wished size of one.
   */
  chunks(
    schema: StreamSchema,
    options: { readonly previous: readonly string[] | null; readonly targetBytes: number },
  ): Promise<readonly SnapshotChunk[]>;
  /**
   * Rows as OP_READ; slabs come from the context's pool and are given back by the caller. Fails with
   * `table_rewritten`, `column_missing` or `table_missing` when the table has gone ahead of the snapshot.
   */
  read(
    schema: StreamSchema,
    chunk: SnapshotChunk,
    encodings: readonly CellEncoding[],
    dropped: DroppedColumns,
  ): AsyncIterable<RowBatch>;
  /** Rows in the source's bulk format, for a destination whose plan names the same `frameFormat`. */
  readonly frames?: (
    schema: StreamSchema,
    chunk: SnapshotChunk,
    dropped: DroppedColumns,
  ) => Promise<FrameStream>;
}

/** What the source keeps for a pipeline (a slot, a publication), told before it is removed. */
export interface Leftover {
  readonly kind: string;
  readonly name: string;
}

/**
 * Since when the source has sent the changes of a stream without a gap, in its own words: another text means that some
 * may not have been sent. A stream that it does not send (any more) is left out.
 */
export type Memberships = ReadonlyMap<StreamId, string>;

export interface ChangeCapability {
  comparePositions(a: Position, b: Position): Order;
  /** A position in the form of `TransactionMark.order`. */
  orderOf(position: Position): string;
  /** True if a snapshot with this visibility already contains the transaction. Pure. */
  isVisible(visibility: string, transaction: TransactionMark): boolean;
  /**
   * Makes what the pipeline needs in the source, takes a position and a snapshot that shows exactly what was
   * committed before it. Whatever an earlier, unrecorded start left under the pipeline's name is replaced.
   */
  create(
    pipeline: string,
    streams: readonly StreamSchema[],
    options: { readonly parallel: number },
  ): Promise<{
    readonly position: Position;
    readonly identity: SourceIdentity;
    readonly snapshot: SnapshotReader;
    /** As they were at the position. */
    readonly memberships: Memberships;
  }>;
  /** Fails with `position_lost` when what follows the checkpoint cannot be read in full, and says why. */
  verify(pipeline: string, checkpoint: Checkpoint): Promise<SourceIdentity>;
  /** `encoding` is what all cells will have; streams not named here are left out. */
  open(options: {
    readonly pipeline: string;
    readonly position: Position;
    readonly streams: readonly StreamSchema[];
    readonly encoding: CellEncoding;
    readonly sink: ChangeSink;
  }): Promise<ChangeReader>;
  /** Which encoding the source can send these streams in, best first. */
  encodings(streams: readonly StreamSchema[]): readonly CellEncoding[];
  /** A position that covers everything committed when it was called, and which the reader will pass soon. */
  currentPosition(): Promise<Position>;
  /** Bytes of log between two positions; null if that means nothing here. */
  distanceBytes(from: Position, to: Position): number | null;
  /**
   * Takes further streams into the pipeline. Resolves when every transaction that could have changed them
   * unseen has ended: all later changes will be sent, all earlier ones are visible to a new snapshot. Fails with
   * `table_held` where others hold one of them.
   */
  addStreams(pipeline: string, streams: readonly StreamSchema[]): Promise<Memberships>;
  memberships(pipeline: string, streams: readonly StreamSchema[]): Promise<Memberships>;
  leftovers(pipeline: string): Promise<readonly Leftover[]>;
  drop(pipeline: string): Promise<void>;
  /**
   * Current rows of the given keys (rows of `batch` at `rows`; only key cells count), as OP_READ; those that are
   * gone are left out. The slab comes from the context's pool and is given back by the caller. Null if the source
   * never sends `UNCHANGED_CELL`. Fails with `table_held` where others hold the table.
   */
  lookup(schema: StreamSchema, batch: RowBatch, rows: readonly number[]): Promise<RowBatch | null>;
}

export interface ReaderStatus {
  /** Last position received, whether or not there was a change for us. */
  readonly received: Position | null;
  /** End of the source's log as it last told. */
  readonly logEnd: Position | null;
}

export interface ChangeReader extends AsyncDisposable {
  /** Fills the sink until the signal aborts (resolves) or the connection ends (rejects). */
  run(signal: AbortSignal): Promise<void>;
  /**
   * Lets the source discard its log up to here. Called by the engine's checkpointer alone, after the
   * checkpoint is committed.
   */
  acknowledge(position: Position): void;
  status(): ReaderStatus;
  /** Asks the source to tell its log end; the answer shows as `ChangeSink.idle` or rows. */
  poke(): void;
  /** Takes streams in that `addStreams` has added. */
  include(schemas: readonly StreamSchema[]): void;
}

/** How a stream lands; made by the engine's plan, handed to the destination with every call. */
export interface StreamTarget {
  readonly id: StreamId;
  readonly schema: StreamSchema;
  readonly table: StreamName;
  readonly load: LoadMethod;
  readonly deletes: DeleteMethod;
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
}

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

export type ChunkData =
  | { readonly kind: 'frames'; readonly stream: FrameStream }
  /** The destination is done with a batch when it asks for the next one. */
  | {
      readonly kind: 'batches';
      /** In a chunk that is merged, a row with OP_DELETE removes the row with its key. */
      readonly batches: AsyncIterable<RowBatch>;
      /** Rows rejected since it was asked last; asked after each batch and at the end. */
      readonly takeRejected?: () => readonly RejectedRow[];
    };

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
  resetSnapshot(target: StreamTarget, options: { readonly removeRows: boolean }): Promise<void>;
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

/**
 * The interfaces between the engine and a system. A capability is there when its member is: the engine asks
 * `source.changes !== undefined`, never for a flag. `docs/connectors/writing-one.md` tells how to write one.
 */
import type { ChangeSink, TransactionMark } from './change-event.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Credentials } from './credentials.ts';
import type { Destination } from './destination.ts';
import type { ForebayError } from './errors.ts';
import type { Order, Position, SourceIdentity } from './position.ts';
import type { Predicate, Projection } from './projection.ts';
import type { RowBatch } from './row-batch.ts';
import type { Secret } from './secret.ts';
import type { SlabPool } from './slab.ts';
import type { StreamId, StreamSchema } from './stream-schema.ts';
import type { CellEncoding } from './value.ts';
import type { OpenWarehouse } from './warehouse.ts';

export type * from './destination.ts';

/** The shape of `dns.lookup`, as sockets take it. */
export type HostLookup = (
  hostname: string,
  options: { readonly all?: boolean | undefined },
  callback: (
    error: Error | null,
    address: string | { address: string; family: number }[],
    family?: number,
  ) => void,
) => void;

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
  /** What connections lead to: hosts of the network, files and folders of this machine. */
  readonly reaches: { readonly hosts: readonly string[]; readonly files: readonly string[] };
  /** Asked for the addresses of a host at each connection, in place of the machine's resolver. */
  readonly lookup?: HostLookup;
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
  /** Where layers can be made. */
  readonly openWarehouse?: (
    address: SystemAddress,
    context: ConnectorContext,
  ) => Promise<OpenWarehouse>;
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
  /** Rows can be projected in the source's own query; `SnapshotReader.countLeftOut` is then there. */
  readonly projects?: true;
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
export interface SnapshotReading {
  readonly dropped: DroppedColumns;
  /** Rows, and cells' encodings, are those of the projection then. Only of a reader that has `countLeftOut`. */
  readonly projection?: Projection;
}

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
    how: SnapshotReading,
  ): AsyncIterable<RowBatch>;
  /** Rows in the source's bulk format, for a destination whose plan names the same `frameFormat`. */
  readonly frames?: (
    schema: StreamSchema,
    chunk: SnapshotChunk,
    how: SnapshotReading,
  ) => Promise<FrameStream>;
  /** Rows of the chunk that a projection with this filter leaves out. Absent where nothing can be projected. */
  readonly countLeftOut?: (
    schema: StreamSchema,
    chunk: SnapshotChunk,
    where: Predicate,
  ) => Promise<number>;
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
  /** `lookup` does look: null from it means that none of the rows is there. */
  readonly findsRows?: true;
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

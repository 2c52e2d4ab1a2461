/**
 * Compares the rows of a stream on both sides by their content. A first pass reads both sides whole and sums the
 * hashes of their rows per range of key hashes, in flat memory; ranges whose sums differ are read again and their
 * rows compared one by one, in as many passes as the memory allows.
 */
import type { RowBatch } from '../core/row-batch.ts';
import type { SlabPool } from '../core/slab.ts';
import { readAhead } from './batch-flow.ts';
import { type HashShape, identityColumns, RowHasher } from './row-hash.ts';
import { type BucketGroup, BUCKETS, bucketOf, groupBuckets, RowSums } from './row-sums.ts';
import { suspectRowBytes, SuspectRows } from './suspect-rows.ts';

const BATCHES_AHEAD = 2;

/** Both sides of a stream, in the same columns and the same encodings. Each side can be read several times. */
export interface StreamSides {
  readonly shape: HashShape;
  readonly source: () => AsyncIterable<RowBatch>;
  readonly destination: () => AsyncIterable<RowBatch>;
  /** The pool that the batches' slabs come from. */
  readonly slabs: SlabPool;
  /** For what is held of rows that differ. */
  readonly memoryBytes: number;
  /** Rows of the source as they are read, in any pass. */
  readonly seen: (rows: number, bytes: number) => void;
  /** Ends the comparison between two batches. */
  readonly stop: AbortSignal;
}

/** What the first pass found. */
export interface StreamSums {
  readonly sourceRows: number;
  readonly destinationRows: number;
  /** Sums of the rows' hashes, 16 hexadecimal digits each. */
  readonly sourceHash: string;
  readonly destinationHash: string;
  /** Ranges that differ, in groups that fit into memory one at a time. */
  readonly groups: readonly BucketGroup[];
}

export interface StreamDifference {
  /** Rows that the destination lacks, has with other values, or has too many. */
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

export interface StreamComparison extends Omit<StreamSums, 'groups'>, StreamDifference {
  readonly identical: boolean;
}

/** Takes the rows that differ. Between two batches `flush` is called when it is full, and at the end of a group. */
export interface DifferenceSink {
  /** A row of the source that the destination lacks or has with other values. */
  write(batch: RowBatch, row: number): void;
  /**
   * A row that the destination has too many, `copies` times; the batch has the columns that tell rows apart and
   * no others. A key that several rows had comes here first and with `write` afterwards.
   */
  remove(batch: RowBatch, row: number, copies: number): void;
  readonly full: boolean;
  flush(): Promise<void>;
}

const NOWHERE: DifferenceSink = {
  write: () => {},
  remove: () => {},
  full: false,
  flush: () => Promise.resolve(),
};

async function drain(
  sides: StreamSides,
  side: 'source' | 'destination',
  take: (batch: RowBatch) => void | Promise<void>,
): Promise<void> {
  const seen = side === 'source' ? sides.seen : () => {};
  const batches = readAhead(sides[side](), { ahead: BATCHES_AHEAD, slabs: sides.slabs, seen });
  for await (const batch of batches) {
    if (sides.stop.aborted) return;
    await take(batch);
  }
}

/** Ends a side's reading when the other one fails: its connection is wanted again. */
async function both(first: Promise<void>, second: Promise<void>): Promise<void> {
  const results = await Promise.allSettled([first, second]);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** First pass. */
export async function sumStreams(sides: StreamSides): Promise<StreamSums> {
  const source = new RowSums(sides.shape);
  const destination = new RowSums(sides.shape);
  await both(
    drain(sides, 'source', (batch) => source.add(batch)),
    drain(sides, 'destination', (batch) => destination.add(batch)),
  );
  const keyBytes = destination.rows === 0 ? 0 : destination.keyBytes / destination.rows;
  const rowBytes = suspectRowBytes(identityColumns(sides.shape.schema).length) + keyBytes;
  return {
    sourceRows: source.rows,
    destinationRows: destination.rows,
    sourceHash: source.print(),
    destinationHash: destination.print(),
    groups: groupBuckets(
      source.differingFrom(destination),
      destination.counts,
      Math.max(1, Math.floor(sides.memoryBytes / rowBytes)),
    ),
  };
}

/** Second pass, over one group of ranges: the destination's rows are held, then the source's rows meet them. */
async function compareGroup(
  sides: StreamSides,
  group: BucketGroup,
  sink: DifferenceSink,
): Promise<StreamDifference> {
  const suspect = new Uint8Array(BUCKETS);
  for (const bucket of group.buckets) suspect[bucket] = 1;
  const hasher = new RowHasher(sides.shape);
  const held = new SuspectRows(sides.shape, sides.slabs);
  const found = { inserted: 0, updated: 0, deleted: 0 };
  const remove = (batch: RowBatch, row: number, rows: number): void => {
    found.deleted += rows;
    sink.remove(batch, row, rows);
  };
  const meet = async (batch: RowBatch): Promise<void> => {
    for (let row = 0; row < batch.rowCount; row += 1) {
      hasher.hash(batch, row);
      if (suspect[bucketOf(hasher.keyA)] !== 1) continue;
      const encounter = held.meet(hasher);
      if (encounter === 'equal') continue;
      if (encounter === 'changed') found.updated += 1;
      else found.inserted += 1;
      sink.write(batch, row);
    }
    if (sink.full) await sink.flush();
  };
  try {
    await drain(sides, 'destination', (batch) => {
      for (let row = 0; row < batch.rowCount; row += 1) {
        hasher.hash(batch, row);
        if (suspect[bucketOf(hasher.keyA)] === 1) held.add(hasher, batch, row);
      }
    });
    held.conflicts(remove);
    await drain(sides, 'source', meet);
    // What was not read to its end says nothing of what the source lacks.
    if (sides.stop.aborted) return found;
    held.unmet(remove);
    await sink.flush();
    return found;
  } finally {
    held.clear();
  }
}

/** Second pass: gives the sink every row that differs, and counts them. */
export async function findDifferences(
  sides: StreamSides,
  sums: StreamSums,
  sink: DifferenceSink,
): Promise<StreamDifference> {
  let total: StreamDifference = { inserted: 0, updated: 0, deleted: 0 };
  for (const group of sums.groups) {
    if (sides.stop.aborted) break;
    const found = await compareGroup(sides, group, sink);
    total = {
      inserted: total.inserted + found.inserted,
      updated: total.updated + found.updated,
      deleted: total.deleted + found.deleted,
    };
  }
  return total;
}

export async function compareStreams(sides: StreamSides): Promise<StreamComparison> {
  const { groups, ...sums } = await sumStreams(sides);
  const difference = await findDifferences(sides, { ...sums, groups }, NOWHERE);
  return { ...sums, ...difference, identical: groups.length === 0 };
}

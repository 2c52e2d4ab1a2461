/** Count and order-free sum of row hashes, in all and per range of key hashes. */
import { type RowBatch, rowStride } from '../core/row-batch.ts';
import { type HashShape, identityColumns, RowHasher } from './row-hash.ts';

/** Ranges of key hashes; 768 KiB of sums per side, so that 100M rows make ranges of 1,500. */
const BUCKET_BITS = 16;
export const BUCKETS = 1 << BUCKET_BITS;

/** Range that a key with this first hash word belongs to. */
export function bucketOf(keyA: number): number {
  return keyA >>> (32 - BUCKET_BITS);
}

export class RowSums {
  readonly counts = new Uint32Array(BUCKETS);
  readonly #a = new Int32Array(BUCKETS);
  readonly #b = new Int32Array(BUCKETS);
  readonly #hasher: RowHasher;
  readonly #key: readonly number[];
  rows = 0;
  /** Bytes of the cells that tell the rows apart. */
  keyBytes = 0;

  constructor(shape: HashShape) {
    this.#hasher = new RowHasher(shape);
    this.#key = identityColumns(shape.schema);
  }

  add(batch: RowBatch): void {
    const hasher = this.#hasher;
    const stride = rowStride(batch);
    for (let row = 0; row < batch.rowCount; row += 1) {
      hasher.hash(batch, row);
      const bucket = bucketOf(hasher.keyA);
      this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
      this.#a[bucket] = (this.#a[bucket] ?? 0) + hasher.rowA;
      this.#b[bucket] = (this.#b[bucket] ?? 0) + hasher.rowB;
      for (const column of this.#key) {
        this.keyBytes += Math.max(0, batch.cells[row * stride + column * 2 + 1] ?? 0);
      }
    }
    this.rows += batch.rowCount;
  }

  /** Sum of all row hashes, 16 hexadecimal digits. */
  print(): string {
    const total = (words: Int32Array): string => {
      let sum = 0;
      for (const word of words) sum = (sum + word) | 0;
      return (sum >>> 0).toString(16).padStart(8, '0');
    };
    return total(this.#a) + total(this.#b);
  }

  /** Ranges in which the two sides do not hold the same rows. */
  differingFrom(other: RowSums): number[] {
    const found: number[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const same =
        this.counts[bucket] === other.counts[bucket] &&
        this.#a[bucket] === other.#a[bucket] &&
        this.#b[bucket] === other.#b[bucket];
      if (!same) found.push(bucket);
    }
    return found;
  }
}

export interface BucketGroup {
  readonly buckets: readonly number[];
  readonly rows: number;
}

/** Ranges gathered so that each group has at most `maxRows` rows; a range that has more is a group alone. Pure. */
export function groupBuckets(
  buckets: readonly number[],
  counts: Uint32Array,
  maxRows: number,
): BucketGroup[] {
  const groups: { buckets: number[]; rows: number }[] = [];
  for (const bucket of buckets) {
    const rows = counts[bucket] ?? 0;
    const last = groups.at(-1);
    if (last !== undefined && last.rows + rows <= maxRows) {
      last.buckets.push(bucket);
      last.rows += rows;
    } else groups.push({ buckets: [bucket], rows });
  }
  return groups;
}

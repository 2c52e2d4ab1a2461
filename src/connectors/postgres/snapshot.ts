/** Reading tables under one snapshot: COPY BINARY by ranges of physical rows, several connections at once. */
import type {
  CatalogStream,
  FrameStream,
  SnapshotChunk,
  SnapshotReader,
  SnapshotReading,
} from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { Predicate } from '../../core/projection.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { SlabPool } from '../../core/slab.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { decodeCopyBinary } from './copy-decode.ts';
import { discover } from './discover.ts';
import type { CopyOut } from './copy.ts';
import { asTableHeld, type HeldTable, holdTable, selectList } from './held-table.ts';
import { predicateSql, projectedList } from './projection-sql.ts';

export const FRAME_FORMAT = 'pg-copy-binary';

/** Ranges over ctid are index-like scans from this version on; before it each would read the whole table. */
const TID_RANGE_SCAN = 140_000;
const MAX_CHUNKS = 20_000;

/** Leaves of a partitioned table, or the table itself; with file number, to notice a rewrite. */
const LEAVES_SQL = `
SELECT c.oid::text, pg_catalog.pg_relation_filenode(c.oid)::text,
  (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8)::text,
  pg_catalog.pg_table_size(c.oid)::text, greatest(c.reltuples, 0)::int8::text
FROM pg_catalog.pg_class c
WHERE c.oid IN (
  SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid) t WHERE t.isleaf
  UNION ALL SELECT $1::oid WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_partition_tree($1::oid)))
AND c.relkind = 'r'
ORDER BY c.oid`;

interface Leaf {
  readonly oid: string;
  readonly fileNumber: string;
  readonly blocks: number;
  readonly bytes: number;
  readonly rows: number;
}

/** `leaf/file:from-to`, blocks; an open end reads to the end of the file. */
export interface ChunkRange {
  readonly leaf: string;
  readonly fileNumber: string;
  readonly from: number;
  readonly to: number | null;
}

export function printChunk(range: ChunkRange): string {
  return `${range.leaf}/${range.fileNumber}:${range.from}-${range.to ?? ''}`;
}

export function parseChunk(id: string): ChunkRange {
  const match = /^(\d+)\/(\d+):(\d+)-(\d*)$/.exec(id);
  if (!match) throw new ForebayError('internal', { message: `not a chunk id: ${id}` });
  const [, leaf = '', fileNumber = '', from = '', to = ''] = match;
  return { leaf, fileNumber, from: Number(from), to: to === '' ? null : Number(to) };
}

/** Ranges of about `targetBytes` each. Pure. */
export function planRanges(leaf: Leaf, targetBytes: number, supportsRanges: boolean): ChunkRange[] {
  const { oid, fileNumber, blocks, bytes } = leaf;
  const wished = supportsRanges ? Math.ceil(bytes / targetBytes) : 1;
  const count = Math.max(1, Math.min(wished, MAX_CHUNKS, blocks));
  const step = Math.ceil(blocks / count);
  const ranges: ChunkRange[] = [];
  for (let from = 0; from < Math.max(blocks, 1); from += Math.max(step, 1)) {
    const isLast = from + step >= blocks;
    ranges.push({ leaf: oid, fileNumber, from, to: isLast ? null : from + step });
  }
  return ranges;
}

function whereClause(range: ChunkRange, filter: string | null): string {
  const bounds = filter === null ? [] : [filter];
  if (range.from > 0) bounds.push(`ctid >= '(${range.from},0)'::pg_catalog.tid`);
  if (range.to !== null) bounds.push(`ctid < '(${range.to},0)'::pg_catalog.tid`);
  return bounds.length === 0 ? '' : ` WHERE ${bounds.join(' AND ')}`;
}

export interface SnapshotOptions {
  readonly connect: () => Promise<PgConnection>;
  /** Begins a read-only transaction that sees the snapshot. */
  readonly begin: string;
  /** Sees the catalog as it is. */
  readonly catalog: PgConnection;
  readonly parallel: number;
  readonly slabs: SlabPool;
  readonly visibility: string | null;
  /** Ends what keeps the snapshot alive. */
  readonly release: () => Promise<void>;
}

export class PostgresSnapshot implements SnapshotReader {
  readonly visibility: string | null;
  readonly #options: SnapshotOptions;
  readonly #idle: PgConnection[] = [];
  readonly #all = new Set<PgConnection>();
  readonly #waiting: (() => void)[] = [];
  readonly #leaves = new Map<string, Leaf>();
  #supportsRanges = true;

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.visibility = options.visibility;
  }

  /** Catalog tables are read as the snapshot shows them. */
  async discover(): Promise<readonly CatalogStream[]> {
    const connection = await this.#take();
    let whole = false;
    try {
      await connection.execute(this.#options.begin);
      const catalog = await asTableHeld(null, () => discover(connection));
      whole = true;
      return catalog;
    } finally {
      await this.#give(connection, whole);
    }
  }

  async chunks(
    schema: StreamSchema,
    options: { readonly previous: readonly string[] | null; readonly targetBytes: number },
  ): Promise<readonly SnapshotChunk[]> {
    const leaves = await this.#findLeaves(schema);
    const previous = options.previous?.map(parseChunk) ?? null;
    const ranges =
      previous !== null && stillCovers(previous, leaves)
        ? previous
        : leaves.flatMap((leaf) => planRanges(leaf, options.targetBytes, this.#supportsRanges));
    return ranges.map((range) => this.#describe(range));
  }

  async *read(
    schema: StreamSchema,
    chunk: SnapshotChunk,
    encodings: readonly CellEncoding[],
    how: SnapshotReading,
  ): AsyncGenerator<RowBatch, void> {
    const connection = await this.#take();
    let whole = false;
    try {
      const copy = await this.#copy(connection, schema, { chunk, encodings, ...how });
      const made = how.projection?.schema ?? schema;
      yield* decodeCopyBinary(copy, { schema: made, encodings, slabs: this.#options.slabs });
      whole = true;
    } finally {
      await this.#give(connection, whole);
    }
  }

  async frames(
    schema: StreamSchema,
    chunk: SnapshotChunk,
    how: SnapshotReading,
  ): Promise<FrameStream> {
    const connection = await this.#take();
    const give = (whole: boolean): Promise<void> => this.#give(connection, whole);
    try {
      const copy = await this.#copy(connection, schema, { chunk, encodings: null, ...how });
      return { rows: () => copy.rows(), frames: handBack(copy, give) };
    } catch (error) {
      await give(false);
      throw error;
    }
  }

  async countLeftOut(
    schema: StreamSchema,
    chunk: SnapshotChunk,
    where: Predicate,
  ): Promise<number> {
    const connection = await this.#take();
    let whole = false;
    try {
      const range = parseChunk(chunk.id);
      const held = await this.#hold(connection, schema, range);
      const others = `${predicateSql({ held, schema, dropped: 'null' }, where)} IS NOT TRUE`;
      const { rows } = await connection.query(
        `SELECT count(*)::text FROM ONLY ${held.name}${whereClause(range, others)}`,
        [],
      );
      whole = true;
      return Number(rows[0]?.[0]);
    } finally {
      await this.#give(connection, whole);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#all) await connection[Symbol.asyncDispose]();
    this.#all.clear();
    await this.#options.release();
  }

  #describe(range: ChunkRange): SnapshotChunk {
    const leaf = this.#leaves.get(range.leaf);
    const blocks = Math.max(leaf?.blocks ?? 0, 1);
    const share = Math.max(0, (range.to ?? blocks) - range.from) / blocks;
    return {
      id: printChunk(range),
      estimatedRows: Math.round((leaf?.rows ?? 0) * share),
      estimatedBytes: Math.round((leaf?.bytes ?? 0) * share),
    };
  }

  async #findLeaves(schema: StreamSchema): Promise<Leaf[]> {
    const connection = await this.#take();
    let known = false;
    let leaves: Leaf[] = [];
    try {
      this.#supportsRanges = connection.serverVersion >= TID_RANGE_SCAN;
      await connection.execute(this.#options.begin);
      leaves = await asTableHeld(schema, () => this.#leavesOn(connection, schema));
      // A partitioned table may have no partition; a table that is gone must not look like an empty one.
      known =
        leaves.every((leaf) => leaf.fileNumber !== '') &&
        (leaves.length > 0 ||
          (
            await connection.query('SELECT FROM pg_catalog.pg_class WHERE oid = $1::oid', [
              schema.ref,
            ])
          ).rows.length > 0);
      await this.#give(connection, true);
    } catch (error) {
      await this.#give(connection, false);
      throw error;
    }
    if (known) return leaves;
    throw new ForebayError('table_missing', {
      message: `Table ${streamId(schema.stream)} does not exist any more`,
      stream: streamId(schema.stream),
    });
  }

  /**
   * Each chunk is read in a transaction of its own, so that its lock is the only one that the connection holds: a
   * statement that locks many tables gets its turn, and never stands in a ring of waiting with us.
   */
  async #hold(
    connection: PgConnection,
    schema: StreamSchema,
    range: ChunkRange,
  ): Promise<HeldTable> {
    const { catalog, begin } = this.#options;
    return asTableHeld(schema, async () => {
      const table = { schema, oid: range.leaf, only: true };
      const held = await holdTable({ catalog, holder: connection }, table, begin);
      await assertSameFile(connection, { schema, range, held });
      return held;
    });
  }

  async #copy(
    connection: PgConnection,
    schema: StreamSchema,
    what: SnapshotReading & {
      readonly chunk: SnapshotChunk;
      readonly encodings: readonly CellEncoding[] | null;
    },
  ): Promise<CopyOut> {
    const { dropped, projection, encodings } = what;
    const range = parseChunk(what.chunk.id);
    const held = await this.#hold(connection, schema, range);
    const source = { held, schema, dropped };
    const columns =
      projection === undefined
        ? selectList(held, schema, what)
        : projectedList(source, projection, encodings);
    const where = projection?.where ?? null;
    const filter = where === null ? null : predicateSql(source, where);
    return asTableHeld(schema, () =>
      connection.copyOut(
        `COPY (SELECT ${columns} FROM ONLY ${held.name}${whereClause(range, filter)}) TO STDOUT (FORMAT binary)`,
      ),
    );
  }

  async #leavesOn(connection: PgConnection, schema: StreamSchema): Promise<Leaf[]> {
    const { rows } = await connection.query(LEAVES_SQL, [schema.ref]);
    const leaves = rows.map(([oid, fileNumber, blocks, bytes, count]): Leaf => ({
      oid: oid ?? '',
      fileNumber: fileNumber ?? '',
      blocks: Number(blocks),
      bytes: Number(bytes),
      rows: Number(count),
    }));
    for (const leaf of leaves) this.#leaves.set(leaf.oid, leaf);
    return leaves;
  }

  async #take(): Promise<PgConnection> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#all.size < this.#options.parallel) {
        const connection = await this.#options.connect();
        this.#all.add(connection);
        return connection;
      }
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
  }

  /** A connection whose COPY was not read to its end is given up: draining it could take minutes. */
  async #give(connection: PgConnection, whole: boolean): Promise<void> {
    try {
      if (whole) await connection.execute('COMMIT');
      else connection.destroy('reading was given up');
    } finally {
      if (whole && connection.isOpen) this.#idle.push(connection);
      else this.#all.delete(connection);
      this.#waiting.shift()?.();
    }
  }
}

/**
 * A table that was written anew (TRUNCATE, VACUUM FULL, most changes of type) looks empty to a snapshot from before,
 * or has its rows in other places: neither may be taken for what the table held.
 */
async function assertSameFile(
  connection: PgConnection,
  table: { readonly schema: StreamSchema; readonly range: ChunkRange; readonly held: HeldTable },
): Promise<void> {
  const { schema, range, held } = table;
  const [seen] = (
    await connection.query(
      'SELECT relfilenode::text FROM pg_catalog.pg_class WHERE oid = $1::oid',
      [range.leaf],
    )
  ).rows;
  const sameFile = seen?.[0] === held.fileNumber && range.fileNumber === held.fileNumber;
  if (sameFile && held.attached) return;
  throw new ForebayError('table_rewritten', {
    message: `${streamId(schema.stream)} was written anew at the source after the snapshot began`,
    stream: streamId(schema.stream),
  });
}

/** Earlier ranges are good while every leaf still has its file and no leaf is new. */
function stillCovers(previous: readonly ChunkRange[], leaves: readonly Leaf[]): boolean {
  const files = new Map(leaves.map((leaf) => [leaf.oid, leaf.fileNumber]));
  const known = new Set(previous.map((range) => range.leaf));
  return (
    leaves.every((leaf) => known.has(leaf.oid)) &&
    previous.every((range) => files.get(range.leaf) === range.fileNumber)
  );
}

async function* handBack(
  copy: CopyOut,
  give: (whole: boolean) => Promise<void>,
): AsyncGenerator<Buffer, void> {
  let whole = false;
  try {
    for await (const piece of copy.frames) yield piece;
    whole = true;
  } finally {
    await give(whole);
  }
}

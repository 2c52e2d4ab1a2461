/** Reading tables under one snapshot: COPY BINARY by ranges of physical rows, several connections at once. */
import type { FrameStream, SnapshotChunk, SnapshotReader } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { SlabPool } from '../../core/slab.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { PgConnection } from './connection.ts';
import { decodeCopyBinary } from './copy-decode.ts';
import type { CopyOut } from './copy.ts';
import { selectList } from './select-list.ts';
import { quoteIdent, quoteName } from './sql.ts';

export const FRAME_FORMAT = 'pg-copy-binary';

/** Ranges over ctid are index-like scans from this version on; before it each would read the whole table. */
const TID_RANGE_SCAN = 140_000;
const MAX_CHUNKS = 20_000;

/** Leaves of a partitioned table, or the table itself; with file number, to notice a rewrite. */
const LEAVES_SQL = `
SELECT c.oid::text, n.nspname, c.relname, pg_catalog.pg_relation_filenode(c.oid)::text,
  (pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8)::text,
  pg_catalog.pg_table_size(c.oid)::text, greatest(c.reltuples, 0)::int8::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (
  SELECT t.relid FROM pg_catalog.pg_partition_tree($1::oid) t WHERE t.isleaf
  UNION ALL SELECT $1::oid WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_partition_tree($1::oid)))
AND c.relkind = 'r'
ORDER BY c.oid`;

interface Leaf {
  readonly oid: string;
  readonly table: string;
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

function whereClause(range: ChunkRange): string {
  const bounds: string[] = [];
  if (range.from > 0) bounds.push(`ctid >= '(${range.from},0)'::pg_catalog.tid`);
  if (range.to !== null) bounds.push(`ctid < '(${range.to},0)'::pg_catalog.tid`);
  return bounds.length === 0 ? '' : ` WHERE ${bounds.join(' AND ')}`;
}

export interface SnapshotOptions {
  /** Opens a connection that sees the snapshot, inside a read-only transaction. */
  readonly connect: () => Promise<PgConnection>;
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
  readonly #selects = new Map<string, Promise<string>>();

  constructor(options: SnapshotOptions) {
    this.#options = options;
    this.visibility = options.visibility;
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
  ): AsyncGenerator<RowBatch, void> {
    const connection = await this.#take();
    let whole = false;
    try {
      const copy = await this.#copy(connection, schema, { chunk, encodings });
      yield* decodeCopyBinary(copy, { schema, encodings, slabs: this.#options.slabs });
      whole = true;
    } finally {
      this.#give(connection, whole);
    }
  }

  async frames(schema: StreamSchema, chunk: SnapshotChunk): Promise<FrameStream> {
    const connection = await this.#take();
    const give = (whole: boolean): void => this.#give(connection, whole);
    try {
      const copy = await this.#copy(connection, schema, { chunk, encodings: null });
      return { rows: () => copy.rows(), frames: handBack(copy, give) };
    } catch (error) {
      give(false);
      throw error;
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
      leaves = await this.#leavesOn(connection, schema);
      // A partitioned table may have no partition; a table that is gone must not look like an empty one.
      known =
        leaves.length > 0 ||
        (
          await connection.query('SELECT FROM pg_catalog.pg_class WHERE oid = $1::oid', [
            schema.ref,
          ])
        ).rows.length > 0;
      this.#give(connection, true);
    } catch (error) {
      this.#give(connection, false);
      throw error;
    }
    if (known) return leaves;
    throw new ForebayError('table_missing', {
      message: `Table ${streamId(schema.stream)} does not exist any more`,
      stream: streamId(schema.stream),
    });
  }

  async #copy(
    connection: PgConnection,
    schema: StreamSchema,
    what: { readonly chunk: SnapshotChunk; readonly encodings: readonly CellEncoding[] | null },
  ): Promise<CopyOut> {
    const range = parseChunk(what.chunk.id);
    if (!this.#leaves.has(range.leaf)) await this.#leavesOn(connection, schema);
    const leaf = this.#leaves.get(range.leaf);
    if (leaf === undefined) {
      throw new ForebayError('table_missing', {
        message: `${streamId(schema.stream)}: a part of the table is gone`,
        stream: streamId(schema.stream),
      });
    }
    const columns =
      what.encodings === null
        ? schema.columns.map((column) => quoteIdent(column.name)).join(', ')
        : await this.#selectFor(connection, schema, what.encodings);
    return connection.copyOut(
      `COPY (SELECT ${columns} FROM ONLY ${leaf.table}${whereClause(range)}) TO STDOUT (FORMAT binary)`,
    );
  }

  async #leavesOn(connection: PgConnection, schema: StreamSchema): Promise<Leaf[]> {
    const { rows } = await connection.query(LEAVES_SQL, [schema.ref]);
    const leaves = rows.map(([oid, namespace, name, fileNumber, blocks, bytes, count]): Leaf => ({
      oid: oid ?? '',
      table: quoteName({ namespace: namespace ?? '', name: name ?? '' }),
      fileNumber: fileNumber ?? '',
      blocks: Number(blocks),
      bytes: Number(bytes),
      rows: Number(count),
    }));
    for (const leaf of leaves) this.#leaves.set(leaf.oid, leaf);
    return leaves;
  }

  #selectFor(
    connection: PgConnection,
    schema: StreamSchema,
    encodings: readonly CellEncoding[],
  ): Promise<string> {
    const key = `${schema.ref}/${schema.version}/${encodings.join()}`;
    const known = this.#selects.get(key);
    if (known !== undefined) return known;
    const made = selectList(connection, schema, encodings);
    this.#selects.set(key, made);
    return made;
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
  #give(connection: PgConnection, whole: boolean): void {
    if (whole && connection.isOpen) this.#idle.push(connection);
    else {
      this.#all.delete(connection);
      connection.destroy('reading was given up');
    }
    this.#waiting.shift()?.();
  }
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
  give: (whole: boolean) => void,
): AsyncGenerator<Buffer, void> {
  let whole = false;
  try {
    for await (const piece of copy.frames) yield piece;
    whole = true;
  } finally {
    give(whole);
  }
}

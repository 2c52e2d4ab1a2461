/** Tables of a DuckDB file as a source. */
import type { ConnectorContext, SnapshotChunk, SnapshotReader } from '../../core/connector.ts';
import { ForebayError } from '../../core/errors.ts';
import { OP_READ, type RowBatch } from '../../core/row-batch.ts';
import type { SlabPool } from '../../core/slab.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import type { CellEncoding } from '../../core/value.ts';
import type { WorkerClient } from './worker-client.ts';

interface Shape {
  readonly schema: StreamSchema;
  readonly encodings: readonly CellEncoding[];
}

const NONE = new Int32Array(0);

/** Batches of a cursor until its end; slabs are the caller's to give back. */
export async function* readCursor(
  client: WorkerClient,
  cursor: number,
  shape: Shape,
  slabs: SlabPool,
): AsyncGenerator<RowBatch> {
  try {
    let slab = slabs.take();
    for (;;) {
      const answer = await client.call('nextRows', cursor, slab);
      if (answer.kind === 'rows') {
        const { rowCount, cells } = answer;
        const ops = new Uint8Array(rowCount).fill(OP_READ);
        yield { ...shape, slab, rowCount, cells, ops, transactions: NONE, events: NONE };
        slab = slabs.take();
        continue;
      }
      slabs.give(slab);
      if (answer.kind === 'end') return;
      slab = slabs.take(answer.bytes);
    }
  } finally {
    await client.call('closeCursor', cursor);
  }
}

const CHUNK_ID = /^rowid:(\d+)-(\d*)$/;
/** A guess where the size of rows is not known; DuckDB keeps columns, not rows. */
const ROW_BYTES = 128;

export class DuckdbSnapshot implements SnapshotReader {
  /** DuckDB has no change stream that a snapshot would have to fit. */
  readonly visibility = null;
  readonly #client: WorkerClient;
  readonly #context: ConnectorContext;
  readonly #id: number;

  constructor(client: WorkerClient, context: ConnectorContext, id: number) {
    this.#client = client;
    this.#context = context;
    this.#id = id;
  }

  async chunks(
    schema: StreamSchema,
    options: { readonly previous: readonly string[] | null; readonly targetBytes: number },
  ): Promise<readonly SnapshotChunk[]> {
    const end = await this.#client.call('rowIdEnd', this.#id, schema);
    const rows = Math.max(1024, Math.floor(options.targetBytes / ROW_BYTES));
    const starts: number[] = [];
    for (let first = 0; first === 0 || first < end; first += rows) starts.push(first);
    // The last one is open, so that the same chunks cover rows that come later.
    const ids = starts.map((first, index) => `rowid:${first}-${starts[index + 1] ?? ''}`);
    const previous = options.previous ?? [];
    const kept = previous.length > 0 && previous.every((id) => CHUNK_ID.test(id)) ? previous : ids;
    return kept.map((id) => ({ id, estimatedRows: rows, estimatedBytes: rows * ROW_BYTES }));
  }

  async *read(
    schema: StreamSchema,
    chunk: SnapshotChunk,
    encodings: readonly CellEncoding[],
  ): AsyncGenerator<RowBatch> {
    const match = CHUNK_ID.exec(chunk.id);
    if (match === null) {
      throw new ForebayError('internal', { message: `${chunk.id} is no chunk of a DuckDB table` });
    }
    const cursor = await this.#client.call('openRange', {
      snapshot: this.#id,
      schema,
      encodings,
      first: Number(match[1]),
      end: match[2] === '' ? null : Number(match[2]),
    });
    yield* readCursor(this.#client, cursor, { schema, encodings }, this.#context.slabs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.call('closeSnapshot', this.#id);
  }
}

/** One chunk of a snapshot, transformed on its way into the destination's transaction. */
import { eventPosition } from '../../core/change-event.ts';
import type { DestinationSession, LoadResult } from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import { ACT_INSERT } from '../../core/folded-rows.ts';
import { batchValueBytes, OP_DELETE, OP_READ, type RowBatch } from '../../core/row-batch.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { Growth } from './growth.ts';
import { LaneRows } from './lane-rows.ts';
import type { LaneStream } from './lane-stream.ts';
import type { LaneOptions } from './options.ts';
import { type LaneRow, type Piece, pieces, rejection, type Result } from './pieces.ts';
import { keyCells } from './render.ts';

export interface LaneChunkParts {
  readonly stream: LaneStream;
  readonly options: LaneOptions;
  readonly inner: DestinationSession;
  readonly chunk: Parameters<DestinationSession['loadChunk']>[1];
  readonly batches: AsyncIterable<RowBatch>;
}

export class LaneChunk {
  readonly #parts: LaneChunkParts;
  readonly #out: LaneRows;
  readonly #removes: boolean;
  /** What the table lacks for this chunk's rows. */
  readonly growth = new Growth();
  #rejected: RejectedRow[] = [];
  #read = 0;
  #bytes = 0;
  #filtered = 0;
  #deadLettered = 0;

  constructor(parts: LaneChunkParts) {
    const { stream, options, chunk } = parts;
    this.#parts = parts;
    this.#out = new LaneRows(options.context.slabs, stream.target.schema);
    // An earlier state of the row may have been let through.
    this.#removes = chunk.merge && stream.target.load === 'upsert' && stream.shape.key !== 'none';
  }

  /** Fails with `fields_added` where the table has to grow first; `growth` then tells all that the chunk needs. */
  async load(): Promise<LoadResult> {
    const { inner, stream, chunk, options } = this.#parts;
    const { divert } = options;
    const takeRejected = (): readonly RejectedRow[] => this.#rejected.splice(0);
    const written = await inner.loadChunk(stream.target, chunk, {
      kind: 'batches',
      batches: this.#batches(),
      ...(divert === undefined ? { takeRejected } : {}),
    });
    const deadLettered = this.#deadLettered + written.deadLettered;
    return {
      read: this.#read,
      applied: this.#read - this.#filtered - deadLettered,
      filtered: this.#filtered,
      deadLettered,
      bytes: this.#bytes,
    };
  }

  async *#batches(): AsyncGenerator<RowBatch, void> {
    const { stream, options, batches } = this.#parts;
    try {
      for await (const batch of batches) {
        this.#read += batch.rowCount;
        this.#bytes += batchValueBytes(batch);
        for await (const piece of pieces(rowsOf(batch), stream, options)) await this.#piece(piece);
        if (!this.growth.isEmpty) continue;
        yield* this.#out.batches();
        // So that rejected rows are taken, which would otherwise gather over the whole chunk.
        if (this.#out.isEmpty && this.#rejected.length > 0) yield this.#out.empty();
        this.#out.clear();
      }
    } finally {
      this.#out.clear();
    }
    if (this.growth.isEmpty) return;
    throw columnsChanged(stream.target.id);
  }

  async #piece(piece: Piece): Promise<void> {
    const { stream, options } = this.#parts;
    const results = piece.results(this.growth);
    if (!this.growth.isEmpty) return;
    for (const [index, row] of piece.rows.entries())
      this.#result(row, results[index] ?? { kind: 'grows' });
    if (options.divert === undefined || this.#rejected.length === 0) return;
    await options.divert(stream.target, this.#rejected.splice(0));
  }

  #result(row: LaneRow, result: Result): void {
    const { stream, options, chunk } = this.#parts;
    if (result.kind === 'cells') {
      this.#out.add(row, result.cells, { op: OP_READ, action: ACT_INSERT });
      return;
    }
    if (result.kind === 'failed') {
      const mark = { order: chunk.order, committedAtMicros: null, ref: '' };
      const place = { position: eventPosition(mark, 0), committedAtMicros: null };
      const letter = rejection(stream, options, { row, failure: result.failure }, place);
      if (letter !== null) {
        this.#rejected.push(letter);
        this.#deadLettered += 1;
        return;
      }
    } else if (this.#removes) {
      const cells = keyCells(stream.binding, row);
      this.#out.add(row, cells, { op: OP_DELETE, action: ACT_INSERT });
    }
    this.#filtered += 1;
  }
}

/** The chunk is to be read again. */
export function columnsChanged(stream: StreamId): ForebayError {
  return new ForebayError('fields_added', {
    message: `transformed rows of ${stream} have other fields than the table has columns`,
    stream,
  });
}

function* rowsOf(batch: RowBatch): Generator<LaneRow, void> {
  for (let row = 0; row < batch.rowCount; row += 1)
    yield { batch, row, action: ACT_INSERT, op: OP_READ, passes: false };
}

/** One run, as the engine sees it; the work is done in the worker. */
import type { Checkpoint, PipelineState, StreamRecord } from '../../core/checkpoint.ts';
import type {
  ChunkData,
  ConnectorContext,
  DestinationSession,
  SnapshotReset,
  EvolutionStep,
  LoadResult,
  StreamTarget,
  WriteResult,
} from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import { failpoint } from '../../core/failpoint.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { CellEncoding } from '../../core/value.ts';
import { withStream } from './errors.ts';
import { readCursor } from './snapshot.ts';
import type { WorkerClient } from './worker-client.ts';
import type { OpenedSession } from './worker-methods.ts';

/** A message copies all of the memory that a view looks into, unless it is shared: a slice is the least. */
function pack<View extends Int32Array | Uint8Array>(view: View): View {
  return view.buffer instanceof SharedArrayBuffer ? view : (view.slice() as View);
}

function packBatch(batch: RowBatch): RowBatch {
  return {
    ...batch,
    cells: pack(batch.cells),
    ops: pack(batch.ops),
    transactions: pack(batch.transactions),
    events: pack(batch.events),
  };
}

function packRows(rows: FoldedRows): FoldedRows {
  switch (rows.kind) {
    case 'truncate':
      return rows;
    case 'rekey':
      return { ...rows, batch: packBatch(rows.batch) };
    case 'keyed':
    case 'multiset':
    case 'append':
      return {
        ...rows,
        parts: rows.parts.map(({ batch, actions }) => ({
          batch: packBatch(batch),
          actions: actions.slice(),
        })),
      };
  }
}

export class DuckdbSession implements DestinationSession {
  readonly epoch: number;
  readonly state: PipelineState;
  readonly #id: number;
  readonly #client: WorkerClient;
  readonly #context: ConnectorContext;
  #open = true;

  constructor(opened: OpenedSession, client: WorkerClient, context: ConnectorContext) {
    this.#id = opened.id;
    this.epoch = opened.epoch;
    this.state = opened.state;
    this.#client = client;
    this.#context = context;
  }

  prepare(target: StreamTarget): Promise<void> {
    return about(target, this.#client.call('prepare', this.#id, target));
  }

  save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables: readonly StreamTarget[] = [],
  ): Promise<void> {
    return this.#client.call('save', this.#id, records, checkpoint, tables);
  }

  resetSnapshot(target: StreamTarget, options: SnapshotReset): Promise<void> {
    const { removeRows } = options;
    return about(target, this.#client.call('resetSnapshot', this.#id, target, removeRows));
  }

  async loadChunk(
    target: StreamTarget,
    chunk: { readonly id: string; readonly merge: boolean; readonly order: string },
    data: ChunkData,
  ): Promise<LoadResult> {
    if (data.kind === 'frames') {
      throw new ForebayError('internal', { message: 'DuckDB takes rows, not frames' });
    }
    try {
      await this.#client.call('beginChunk', this.#id, target, chunk);
      for await (const batch of data.batches) {
        await failpoint('destination.write');
        await this.#client.call('chunkRows', this.#id, packBatch(batch));
        await this.reject(target, data.takeRejected?.() ?? []);
      }
      await this.reject(target, data.takeRejected?.() ?? []);
      const result = await this.#client.call('endChunk', this.#id);
      await failpoint('snapshot.insideChunk');
      await failpoint('destination.commit');
      await this.#client.call('commitChunk', this.#id);
      return result;
    } catch (error) {
      // The first failure is the one to tell.
      await this.#client.call('abandonChunk', this.#id).catch(() => {});
      throw ofStream(error, target);
    }
  }

  finishSnapshot(target: StreamTarget): Promise<void> {
    return about(target, this.#client.call('finishSnapshot', this.#id, target));
  }

  begin(): Promise<void> {
    return this.#client.call('begin', this.#id);
  }

  evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    return about(target, this.#client.call('evolve', this.#id, target, steps));
  }

  async write(target: StreamTarget, rows: FoldedRows): Promise<WriteResult> {
    await failpoint('destination.write');
    const answer = await about(
      target,
      this.#client.call('write', this.#id, target, packRows(rows)),
    );
    const batchOf = (part: number): RowBatch | undefined => {
      if (rows.kind === 'truncate') return undefined;
      return rows.kind === 'rekey' ? rows.batch : rows.parts[part]?.batch;
    };
    const missing = answer.missing.flatMap(({ part, rows: places }) => {
      const batch = batchOf(part);
      return batch === undefined ? [] : [{ batch, rows: places }];
    });
    return { applied: answer.applied, deadLettered: answer.deadLettered, missing };
  }

  async reject(target: StreamTarget, rows: readonly RejectedRow[]): Promise<void> {
    if (rows.length > 0)
      await about(target, this.#client.call('rejectRows', this.#id, target, rows));
  }

  alter(
    target: StreamTarget,
    steps: readonly EvolutionStep[],
    records: readonly StreamRecord[],
  ): Promise<void> {
    return about(target, this.#client.call('alter', this.#id, target, steps, records));
  }

  async commit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void> {
    await this.#client.call('beforeCommit', this.#id, checkpoint, records);
    await failpoint('destination.commit');
    await this.#client.call('commit', this.#id);
  }

  rollback(): Promise<void> {
    return this.#client.call('rollback', this.#id);
  }

  assertEpoch(): Promise<void> {
    return this.#client.call('assertEpoch', this.#id);
  }

  async *read(target: StreamTarget, encodings: readonly CellEncoding[]): AsyncGenerator<RowBatch> {
    const cursor = await about(target, this.#client.call('openTable', target, encodings));
    const shape = { schema: target.schema, encodings };
    yield* readCursor(this.#client, cursor, shape, this.#context.slabs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    await this.#client.call('closeSession', this.#id);
  }
}

function ofStream(error: unknown, target: StreamTarget): unknown {
  return error instanceof ForebayError ? withStream(error, target.id) : error;
}

async function about<T>(target: StreamTarget, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw ofStream(error, target);
  }
}

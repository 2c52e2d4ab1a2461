/** A run at a destination whose rows are transformed on the way. */
import type { Checkpoint, PipelineState, StreamRecord } from '../../core/checkpoint.ts';
import type {
  ChunkData,
  DestinationSession,
  SnapshotReset,
  EvolutionStep,
  LoadResult,
  StreamTarget,
  TargetPlan,
  WriteResult,
} from '../../core/connector.ts';
import type { RejectedRow } from '../../core/dead-letter.ts';
import { ForebayError } from '../../core/errors.ts';
import type { FoldedRows } from '../../core/folded-rows.ts';
import type { PlannedProjection } from '../../core/projection.ts';
import type { RowBatch } from '../../core/row-batch.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { plannedProjection } from './lane-projection.ts';
import { failureOf, type LaneStream } from './lane-stream.ts';
import type { LaneStreams } from './lane-streams.ts';
import { columnsChanged, LaneChunk } from './load-chunk.ts';
import type { LaneOptions } from './options.ts';
import { LaneWrite } from './write-rows.ts';

function missing(family: string): ForebayError {
  return new ForebayError('capability_missing', {
    message: `rows cannot be transformed on the way into ${family}`,
    fix: 'Run the stream without its transformation, or into another system.',
  });
}

/** What a destination must be able to do beside the rest. */
type InnerSession = DestinationSession & Required<Pick<DestinationSession, 'alter' | 'reject'>>;

export function assertTransformable(
  session: DestinationSession,
  family: string,
): asserts session is InnerSession {
  if (session.alter === undefined || session.reject === undefined) throw missing(family);
}

export class LaneSession implements DestinationSession {
  readonly epoch: number;
  readonly state: PipelineState;
  readonly #inner: InnerSession;
  readonly #streams: LaneStreams;
  readonly #options: LaneOptions;
  readonly #plan: (target: StreamTarget) => Promise<TargetPlan>;
  /** Why a stream cannot go on, to be told when it is its turn. */
  readonly #failures = new Map<StreamId, ForebayError>();

  constructor(
    inner: InnerSession,
    parts: {
      readonly streams: LaneStreams;
      readonly options: LaneOptions;
      /** As the destination plans it. */
      readonly plan: (target: StreamTarget) => Promise<TargetPlan>;
    },
  ) {
    this.#inner = inner;
    this.#streams = parts.streams;
    this.#options = parts.options;
    this.#plan = parts.plan;
    this.epoch = inner.epoch;
    this.state = inner.state;
  }

  async prepare(target: StreamTarget): Promise<void> {
    await this.#inner.prepare((await this.#followed(target)).target);
  }

  async save(
    records: readonly StreamRecord[],
    checkpoint: Checkpoint | null,
    tables: readonly StreamTarget[] = [],
  ): Promise<void> {
    const targets: StreamTarget[] = [];
    for (const table of tables) targets.push((await this.#followed(table)).target);
    const shaped = this.#streams.withShapes(records);
    await this.#inner.save(shaped, checkpoint, targets);
    this.#streams.saved(shaped);
  }

  async resetSnapshot(target: StreamTarget, options: SnapshotReset): Promise<void> {
    const stream = await this.#streams.of(target);
    if (target.load === 'replace') {
      await stream.restart(target);
      await this.#inner.resetSnapshot(stream.target, options);
      stream.committed();
      return;
    }
    await this.#inner.resetSnapshot(stream.target, options);
    await this.#followed(target);
  }

  async projection(
    target: StreamTarget,
    { merge }: { readonly merge: boolean },
  ): Promise<PlannedProjection | null> {
    const stream = await this.#streams.of(target);
    this.#assertGoesOn(stream);
    const made = stream.projection(target);
    if (made.kind !== 'projection') return null;
    // Rows that are filtered by now may stand there, and must go.
    if (merge && made.projection.where !== null) return null;
    return plannedProjection(made.projection, await this.#plan(stream.target));
  }

  async loadChunk(
    target: StreamTarget,
    chunk: Parameters<DestinationSession['loadChunk']>[1],
    data: ChunkData,
  ): Promise<LoadResult> {
    const stream = await this.#streams.of(target);
    this.#assertGoesOn(stream);
    if (data.projected !== undefined) {
      const { schema } = data.projected;
      return await stream.gate.load(() => {
        if (schema === stream.target.schema)
          return this.#inner.loadChunk(stream.target, chunk, data);
        // The source made rows of a table that has other columns by now.
        throw columnsChanged(stream.target.id);
      });
    }
    if (data.kind === 'frames') {
      throw new ForebayError('internal', { message: 'frames cannot be transformed' });
    }
    const parts = { stream, options: this.#options, inner: this.#inner, chunk };
    let load: LaneChunk | null = null;
    try {
      return await stream.gate.load(() => {
        load = new LaneChunk({ ...parts, batches: data.batches });
        return load.load();
      });
    } catch (error) {
      if (error instanceof ForebayError && error.code === 'fields_added' && load !== null)
        await this.#grow(stream, load);
      throw error;
    }
  }

  async finishSnapshot(target: StreamTarget): Promise<void> {
    await this.#inner.finishSnapshot((await this.#streams.of(target)).target);
  }

  /** What a transformation that has changed gives is there before its first row. */
  async begin(): Promise<void> {
    await this.#inner.begin();
    for (const stream of this.#streams.known()) {
      if (!stream.isBehind) continue;
      try {
        const steps = await stream.follow(stream.shape.source);
        if (steps.length > 0) await this.#inner.evolve(stream.target, steps);
      } catch (error) {
        this.#failures.set(stream.target.id, failureOf(error));
      }
    }
  }

  async evolve(target: StreamTarget, steps: readonly EvolutionStep[]): Promise<void> {
    const stream = await this.#streams.of(target);
    this.#assertGoesOn(stream);
    const own = await stream.follow(target, steps);
    if (own.length > 0) await this.#inner.evolve(stream.target, own);
  }

  async write(target: StreamTarget, rows: FoldedRows): Promise<WriteResult> {
    const stream = await this.#streams.of(target);
    this.#assertGoesOn(stream);
    const reject = (rejected: readonly RejectedRow[]): Promise<void> =>
      this.#reject(stream, rejected);
    const parts = { stream, options: this.#options, inner: this.#inner, reject };
    return LaneWrite.write(parts, rows);
  }

  async settle(): Promise<ReadonlyMap<StreamId, number>> {
    return (await this.#inner.settle?.()) ?? new Map();
  }

  async commit(checkpoint: Checkpoint, records: readonly StreamRecord[]): Promise<void> {
    const shaped = this.#streams.withDirty(records);
    try {
      await this.#inner.commit(checkpoint, shaped);
    } catch (error) {
      this.#streams.rolledBack();
      throw error;
    }
    this.#streams.saved(shaped);
    this.#streams.committed();
  }

  async rollback(): Promise<void> {
    this.#streams.rolledBack();
    await this.#inner.rollback();
  }

  assertEpoch(): Promise<void> {
    return this.#inner.assertEpoch();
  }

  read(target: StreamTarget): AsyncIterable<RowBatch> {
    throw new ForebayError('capability_missing', {
      message: `rows of ${target.id} are transformed on the way and cannot be compared with the source's`,
      fix: 'Run `forebay recover`: it loads transformed streams again.',
      stream: target.id,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }

  #assertGoesOn(stream: LaneStream): void {
    const failure = this.#failures.get(stream.target.id);
    if (failure !== undefined) throw failure;
  }

  /** The stream in the columns that the source has now; its table is brought to them outside of a transaction. */
  async #followed(target: StreamTarget): Promise<LaneStream> {
    const stream = await this.#streams.of(target);
    const steps = await stream.follow(target);
    if (steps.length > 0 && (await this.#plan(stream.target)).exists)
      await this.#inner.alter(stream.target, steps, this.#streams.recordOf(stream));
    stream.committed();
    return stream;
  }

  async #grow(stream: LaneStream, { growth }: LaneChunk): Promise<void> {
    await stream.gate.alone(async () => {
      const steps = stream.grow(growth);
      // Another chunk may have needed the same.
      if (steps.length === 0) return;
      try {
        await this.#inner.alter(stream.target, steps, this.#streams.recordOf(stream));
      } catch (error) {
        stream.rolledBack();
        throw error;
      }
      stream.committed();
    });
  }

  async #reject(stream: LaneStream, rows: readonly RejectedRow[]): Promise<void> {
    if (rows.length === 0) return;
    const { divert } = this.#options;
    if (divert === undefined) await this.#inner.reject(stream.target, rows);
    else await divert(stream.target, rows);
  }
}

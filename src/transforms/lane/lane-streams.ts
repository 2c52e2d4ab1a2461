/** The streams of a lane, and what the destination remembers of each. */
import type { PipelineState, StreamRecord } from '../../core/checkpoint.ts';
import type { StreamTarget } from '../../core/connector.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { initialShape, sameSource } from './adopt.ts';
import type { LaneShape } from './lane-shape.ts';
import { shapeOf, withShape } from './lane-state.ts';
import { beginShape, LaneStream } from './lane-stream.ts';
import type { LaneOptions } from './options.ts';

/** A table that was begun without the lane has the source's columns, and its key. */
function untransformed(target: StreamTarget): LaneShape {
  const fields = target.schema.columns.map((column) => ({
    path: [column.name],
    kind: 'null' as const,
    column,
  }));
  return initialShape(target, fields, { transformation: '', separator: '' });
}

export class LaneStreams {
  readonly #options: LaneOptions;
  readonly #streams = new Map<StreamId, Promise<LaneStream>>();
  readonly #ready = new Map<StreamId, LaneStream>();
  readonly #records = new Map<StreamId, StreamRecord>();

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Takes up what is remembered of a pipeline, in the place of all that was known. */
  remember(state: PipelineState | null): void {
    this.#streams.clear();
    this.#ready.clear();
    this.#records.clear();
    for (const record of state?.streams ?? []) this.#records.set(record.stream, record);
  }

  /** Streams that were asked for. */
  known(): readonly LaneStream[] {
    return [...this.#ready.values()];
  }

  /** As it stands; what the source or the transformation has become is not followed yet. */
  async of(target: StreamTarget): Promise<LaneStream> {
    const known = this.#streams.get(target.id);
    if (known !== undefined) return known;
    const made = this.#make(target);
    this.#streams.set(target.id, made);
    made.catch(() => this.#streams.delete(target.id));
    return made;
  }

  /** With these columns of the source; nothing is altered for it. */
  async streamFor(target: StreamTarget): Promise<LaneStream> {
    const stream = await this.of(target);
    if (sameSource(stream.shape.source.schema, target.schema)) return stream;
    const other = new LaneStream(stream.shape, this.#options);
    await other.follow(target);
    return other;
  }

  /** Records as they are to be written: with the shapes that the tables have then. */
  withShapes(records: readonly StreamRecord[]): StreamRecord[] {
    return records.map((record) => {
      const stream = this.#ready.get(record.stream);
      const shape = stream?.shape ?? this.#rememberedShape(record.stream);
      return shape === null ? record : withShape(record, shape);
    });
  }

  /** Records of streams whose shape has changed, beside those that are given. */
  withDirty(records: readonly StreamRecord[]): StreamRecord[] {
    const given = new Set(records.map(({ stream }) => stream));
    const dirty = this.known().flatMap(({ isDirty, target }) => {
      const record = isDirty && !given.has(target.id) ? this.#records.get(target.id) : undefined;
      return record === undefined ? [] : [record];
    });
    return this.withShapes([...records, ...dirty]);
  }

  recordOf(stream: LaneStream): readonly StreamRecord[] {
    const record = this.#records.get(stream.target.id);
    return record === undefined ? [] : this.withShapes([record]);
  }

  /** They are written. */
  saved(records: readonly StreamRecord[]): void {
    for (const record of records) this.#records.set(record.stream, record);
  }

  committed(): void {
    for (const stream of this.known()) stream.committed();
  }

  rolledBack(): void {
    for (const stream of this.known()) stream.rolledBack();
  }

  #rememberedShape(id: StreamId): LaneShape | null {
    const record = this.#records.get(id);
    return record === undefined ? null : shapeOf(record);
  }

  async #make(target: StreamTarget): Promise<LaneStream> {
    const record = this.#records.get(target.id);
    const remembered = record === undefined ? null : shapeOf(record);
    const begun = record !== undefined && record.state !== 'pending';
    const shape =
      remembered ?? (begun ? untransformed(target) : await beginShape(target, this.#options));
    const stream = new LaneStream(shape, this.#options);
    this.#ready.set(target.id, stream);
    return stream;
  }
}

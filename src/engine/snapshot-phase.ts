/** Loads the chunks of one consistent snapshot, several at once, each with its record in the data's transaction. */
import type {
  DroppedColumns,
  LoadResult,
  SnapshotChunk,
  SnapshotReader,
} from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import type { PlannedProjection, Projection } from '../core/projection.ts';
import type { CellEncoding } from '../core/value.ts';
import { type Attempt, needSnapshot } from './attempt.ts';
import { countFrames, readAhead } from './batch-flow.ts';
import { rangeProjection } from './cursor-range.ts';
import type { CursorRange } from './pipeline.ts';
import { pauseOf, type RunningStream, toRecord } from './stream-state.ts';

/** Size of a chunk at the source: small enough to lose little, large enough to cost nothing. */
export const CHUNK_BYTES = 128 * 1024 * 1024;
const BATCHES_AHEAD = 4;
/** Each time the table has got what the chunk's rows need: more are only wanted where rows differ at each reading. */
const MOST_READINGS = 5;

interface Task {
  readonly stream: RunningStream;
  readonly chunk: SnapshotChunk;
}

/** Encodings in which the destination wants a snapshot's cells. */
export function snapshotEncodings(
  attempt: Attempt,
  stream: RunningStream,
): readonly CellEncoding[] {
  const plan = attempt.plans.get(stream.target.id);
  return stream.target.schema.columns.map((column, i) => {
    const byName = plan?.columns.find((candidate) => candidate.name === column.name);
    return (byName ?? plan?.columns[i])?.encoding ?? 'text';
  });
}

/** Chunks that are still to be read; what no longer covers the table is forgotten. */
async function planChunks(
  attempt: Attempt,
  reader: SnapshotReader,
  stream: RunningStream,
): Promise<SnapshotChunk[]> {
  const { target } = stream;
  const chunks = await reader.chunks(target.schema, {
    previous: stream.chunks,
    targetBytes: CHUNK_BYTES,
  });
  const ids = chunks.map((chunk) => chunk.id);
  const same = stream.chunks !== null && ids.join() === stream.chunks.join();
  if (!same && stream.chunks !== null)
    await attempt.session.resetSnapshot(target, { removeRows: false });
  stream.chunks = ids;
  const done = same ? attempt.state.chunks.get(target.id) : undefined;
  const estimate = chunks.reduce((sum, chunk) => sum + chunk.estimatedRows, 0);
  attempt.progress.expect(target.id, estimate > 0 ? estimate : stream.estimatedRows);
  return chunks.filter((chunk) => done?.has(chunk.id) !== true);
}

/** A chunk whose rows need columns that the table did not have is read again once it has them. */
export async function loadOneChunk(
  attempt: Attempt,
  reader: SnapshotReader,
  task: Task,
  dropped: DroppedColumns = 'null',
): Promise<LoadResult> {
  const startedAtMs = Date.now();
  const result = await loadRows(attempt, reader, task, dropped);
  const { read: rows, bytes } = result;
  const { id: stream } = task.stream.target;
  const upTo = task.chunk.id;
  attempt.progress.committed({ kind: 'chunk', stream, startedAtMs, rows, bytes, upTo });
  return result;
}

async function loadRows(
  attempt: Attempt,
  reader: SnapshotReader,
  task: Task,
  dropped: DroppedColumns,
): Promise<LoadResult> {
  for (let reading = 1; ; reading += 1) {
    try {
      return await readChunk(attempt, reader, task, dropped);
    } catch (error) {
      if (!(error instanceof ForebayError) || error.code !== 'fields_added') throw error;
      if (reading < MOST_READINGS) continue;
      const { id } = task.stream.target;
      throw new ForebayError('schema_change', {
        message: `transformed rows of ${id} have new fields each time they are read`,
        fix: 'Make the transformation give the same for the same row; then run `forebay recover` for this stream.',
        stream: id,
        cause: error,
      });
    }
  }
}

async function readChunk(
  attempt: Attempt,
  reader: SnapshotReader,
  task: Task,
  dropped: DroppedColumns,
): Promise<LoadResult> {
  const { stream, chunk } = task;
  const { id, schema } = stream.target;
  if (failpointsArmed) await failpoint('snapshot.beforeChunk');
  const how = { id: chunk.id, merge: stream.merge, order: stream.snapshotOrder };
  const range = attempt.spec.ranges?.get(id);
  const planned = range === undefined ? await projectionFor(attempt, stream) : null;
  const projected = planned === null ? {} : { projected: planned.projection };
  const projection = range === undefined ? planned?.projection : rangeOf(attempt, stream, range);
  const reading = projection === undefined ? { dropped } : { dropped, projection };
  const leftOut = await countLeftOut(reader, task, planned);
  const format = needSnapshot(attempt.source).frameFormat;
  const wanted = planned === null ? attempt.plans.get(id)?.frameFormat : planned.frameFormat;
  if (format !== undefined && wanted === format && reader.frames !== undefined) {
    try {
      const frames = await reader.frames(schema, chunk, reading);
      const counted = countFrames(frames, (bytes) => attempt.progress.moved(id, 0, bytes));
      const result = await attempt.session.loadChunk(stream.target, how, {
        ...projected,
        kind: 'frames',
        stream: counted,
      });
      attempt.progress.moved(id, result.applied + leftOut, 0);
      return withLeftOut(result, leftOut);
    } catch (error) {
      // A row that the destination refuses is found by loading the chunk again row by row.
      if (!(error instanceof ForebayError) || error.class !== 'data') throw error;
    }
  }
  const encodings = planned?.encodings ?? snapshotEncodings(attempt, stream);
  const batches = readAhead(reader.read(schema, chunk, encodings, reading), {
    ahead: BATCHES_AHEAD,
    slabs: attempt.slabs,
    seen: (rows, bytes) => attempt.progress.moved(id, rows, bytes),
  });
  const data = { ...projected, kind: 'batches', batches } as const;
  const result = await attempt.session.loadChunk(stream.target, how, data);
  attempt.progress.moved(id, leftOut, 0);
  return withLeftOut(result, leftOut);
}

function rangeOf({ source }: Attempt, { target }: RunningStream, range: CursorRange): Projection {
  if (needSnapshot(source).projects === true) return rangeProjection(target.schema, range);
  throw new ForebayError('capability_missing', {
    message: `${source.family} cannot be read by ranges of a column`,
    stream: target.id,
  });
}

/** How the source makes the transformed rows itself, where source and destination agree that it can. */
async function projectionFor(
  { source, session }: Attempt,
  { target, merge }: RunningStream,
): Promise<PlannedProjection | null> {
  if (needSnapshot(source).projects !== true) return null;
  return (await session.projection?.(target, { merge })) ?? null;
}

/** Rows that the source filters are counted as those that are filtered here. */
async function countLeftOut(
  reader: SnapshotReader,
  { stream, chunk }: Task,
  planned: PlannedProjection | null,
): Promise<number> {
  const where = planned?.projection.where ?? null;
  if (where === null) return 0;
  if (reader.countLeftOut === undefined)
    throw new ForebayError('internal', { message: 'a source that projects cannot count' });
  return await reader.countLeftOut(stream.target.schema, chunk, where);
}

function withLeftOut(result: LoadResult, leftOut: number): LoadResult {
  if (leftOut === 0) return result;
  return { ...result, read: result.read + leftOut, filtered: (result.filtered ?? 0) + leftOut };
}

export function countLoad(attempt: Attempt, stream: RunningStream, result: LoadResult): void {
  attempt.progress.count(stream.target.id, {
    read: result.read,
    applied: result.applied,
    folded: 0,
    filtered: result.filtered ?? 0,
    deadLettered: result.deadLettered,
    bytes: result.bytes,
  });
  attempt.progress.begun = true;
  attempt.notes.advanced = true;
}

export async function finishStream(attempt: Attempt, stream: RunningStream): Promise<void> {
  if (failpointsArmed) await failpoint('snapshot.beforeFinish');
  await attempt.session.finishSnapshot(stream.target);
  stream.state = 'streaming';
  stream.loaded = true;
  stream.chunks = null;
  stream.merge = true;
  await attempt.session.save([toRecord(stream)], null);
  if (failpointsArmed) await failpoint('snapshot.afterFinish');
  attempt.progress.report(stream.target.id);
}

/** A failure that concerns one table stops that table. */
export async function pauseStream(
  attempt: Attempt,
  stream: RunningStream,
  error: ForebayError,
): Promise<void> {
  stream.state = 'paused';
  attempt.notes.paused.add(stream.target.id);
  stream.pause = pauseOf(
    error.code,
    error.why === null ? error.message : `${error.message}: ${error.why}`,
    error.fix,
  );
  await attempt.session.save([toRecord(stream)], null);
  attempt.progress.emit({ event: 'stream-paused', ...stream.pause }, stream.target.id);
}

export function concernsOneStream(error: ForebayError): boolean {
  return (error.class === 'schema' || error.class === 'data') && error.code !== 'error_budget';
}

/**
 * A table that changed so that this snapshot no longer shows it: where changes follow, it is read beside them under
 * a new one, as a table that joins. A single snapshot cannot be had without it.
 */
function canJoinLater(attempt: Attempt, error: ForebayError): boolean {
  const outlived = error.code === 'table_rewritten' || error.code === 'schema_change';
  return outlived && attempt.mode.kind === 'replicate';
}

async function joinLater(attempt: Attempt, stream: RunningStream): Promise<void> {
  await attempt.session.resetSnapshot(stream.target, { removeRows: false });
  stream.chunks = null;
  stream.merge = true;
  await attempt.session.save([toRecord(stream)], null);
  attempt.progress.emit(
    { event: 'notice', message: 'changed while the snapshot was read; it is read again' },
    stream.target.id,
  );
}

/** Loads all streams that are in state `snapshot`. Resolves early when the run is told to end. */
export async function snapshotPhase(attempt: Attempt, reader: SnapshotReader): Promise<void> {
  const streams = [...attempt.streams.values()].filter((stream) => stream.state === 'snapshot');
  const queue: Task[] = [];
  const left = new Map<RunningStream, number>();
  const outlived = new Set<RunningStream>();
  const failed = async (stream: RunningStream, error: unknown): Promise<void> => {
    const failure = asForebayError(error);
    if (canJoinLater(attempt, failure)) outlived.add(stream);
    else if (concernsOneStream(failure)) await pauseStream(attempt, stream, failure);
    else throw failure;
  };
  for (const stream of streams) {
    try {
      const chunks = await planChunks(attempt, reader, stream);
      left.set(stream, chunks.length);
      queue.push(...chunks.map((chunk) => ({ stream, chunk })));
    } catch (error) {
      await failed(stream, error);
    }
  }
  await attempt.session.save(streams.map(toRecord), null);
  for (const stream of streams) if (left.get(stream) === 0) await finishStream(attempt, stream);

  const stopped = new AbortController();
  const work = async (): Promise<void> => {
    for (;;) {
      const task = queue.shift();
      if (task === undefined || attempt.control.drain.aborted || stopped.signal.aborted) return;
      if (task.stream.state === 'paused' || outlived.has(task.stream)) continue;
      await runTask(task);
    }
  };
  const runTask = async (task: Task): Promise<void> => {
    try {
      countLoad(attempt, task.stream, await loadOneChunk(attempt, reader, task));
      if (failpointsArmed) await failpoint('snapshot.afterChunk');
      const remaining = (left.get(task.stream) ?? 1) - 1;
      left.set(task.stream, remaining);
      if (remaining === 0) await finishStream(attempt, task.stream);
    } catch (error) {
      await failed(task.stream, error);
    }
  };
  const workers = Array.from({ length: attempt.parallel }, async () => {
    try {
      await work();
    } catch (error) {
      stopped.abort();
      throw error;
    }
  });
  const results = await Promise.allSettled(workers);
  const broken = results.find((result) => result.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  for (const stream of outlived) {
    if (stream.state !== 'paused') await joinLater(attempt, stream);
  }
}

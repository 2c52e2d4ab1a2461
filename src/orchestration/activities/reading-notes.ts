/** What the warehouse is told of readings before their rows come, and when they are all there. */
import { beginCursor, endCursor } from '../../layers/cursors.ts';
import { prepareState } from '../../layers/layer-state.ts';
import { beginReadings, type BronzeReading, completeReadings } from '../../layers/readings.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import type { PipelineSetup } from './deps.ts';
import { BRONZE, type ExtractedStream, type StreamCursor, streamConfigOf } from './extract.ts';
import { lastCursor } from './last-cursor.ts';
import { layersOf } from './pipeline-config.ts';
import { openWarehouse } from './warehouses.ts';

/** Of one execution, or of one part of a backfill. */
export interface ReadingNotes {
  readonly setup: PipelineSetup;
  /** As the rows have it. */
  readonly stamp: string;
  readonly signal: AbortSignal;
}

export function hasSilver({ pipeline, config }: PipelineSetup): boolean {
  return layersOf(pipeline.kind, config).includes('silver');
}

/** Where streams go on; an execution that is done again begins where it began. */
export async function beginCursors(
  { setup, stamp, signal }: ReadingNotes,
  wanted: readonly StreamCursor[],
  restarts: boolean,
): Promise<ReadonlyMap<StreamId, string | null>> {
  const begun = new Map<StreamId, string | null>();
  await using warehouse = await openWarehouse(setup.destination, signal);
  await prepareState(warehouse);
  const { id: pipelineId } = setup.pipeline;
  for (const { stream, column } of wanted) {
    const cursor = { pipelineId, stream, column, executionId: stamp, restarts };
    begun.set(stream, await beginCursor(warehouse, cursor));
  }
  return begun;
}

export async function noteBegin(
  { setup, stamp, signal }: ReadingNotes,
  readings: readonly BronzeReading[],
): Promise<void> {
  if (readings.length === 0) return;
  await using warehouse = await openWarehouse(setup.destination, signal);
  await prepareState(warehouse);
  await beginReadings(warehouse, stamp, readings);
}

/** Once all rows are in bronze. */
export async function noteEnd(
  { setup, stamp, signal }: ReadingNotes,
  streams: readonly ExtractedStream[],
): Promise<void> {
  const readings = streams.flatMap(({ reading }) => reading ?? []);
  if (readings.length === 0) return;
  await using warehouse = await openWarehouse(setup.destination, signal);
  await completeReadings(warehouse, stamp, readings);
}

export interface CursorEnd {
  readonly stream: StreamId;
  readonly position: string;
  readonly read: number;
}

/** Where streams with a cursor column have come to. A range of days moves no cursor, nor does one of keys. */
export async function endCursors(
  { setup, stamp, signal }: ReadingNotes,
  streams: readonly ExtractedStream[],
): Promise<readonly CursorEnd[]> {
  const { config, destination, pipeline } = setup;
  const ends: CursorEnd[] = [];
  if (streams.every(({ cursorColumn }) => cursorColumn === null)) return ends;
  await using warehouse = await openWarehouse(destination, signal);
  for (const { stream, schema, cursorColumn, read } of streams) {
    const own = streamConfigOf(config, stream);
    if (cursorColumn === null || own?.cursor_column !== cursorColumn) continue;
    const position = await lastCursor(warehouse, {
      table: { schema: BRONZE, name: schema.stream.name },
      schema,
      column: cursorColumn,
      executionId: stamp,
      lookbackSeconds: own.lookback_seconds ?? 0,
    });
    await endCursor(
      warehouse,
      { pipelineId: pipeline.id, stream },
      { executionId: stamp, position },
    );
    if (position !== null) ends.push({ stream, position, read });
  }
  return ends;
}

/** Rows of the source as they land, each with the execution that brought it. */
import { type BronzeReading, recordReadings } from '../../layers/readings.ts';
import { listCheckpoints, putCheckpoint } from '../../metadata/checkpoints.ts';
import { timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef, TriggerParameters } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import type { ExecutionLog } from './execution-log.ts';
import { BRONZE, extract, type ExtractedStream, silverKey, streamConfigOf } from './extract.ts';
import { type LayerOutcome, layerStep } from './layer-step.ts';
import { thenLookAtLetters } from './letter-watch.ts';
import { lastCursor } from './last-cursor.ts';
import { layersOf } from './pipeline-config.ts';
import { openWarehouse } from './warehouses.ts';

export function bronze(
  deps: ActivityDeps,
  input: ExecutionRef & { readonly parameters: TriggerParameters },
  context: ActivityContext,
): Promise<null> {
  const { parameters, ...ref } = input;
  return layerStep(deps, ref, { layer: 'bronze', context }, async (log) => {
    const setup = await loadPipeline(deps, ref);
    const { signal } = context;
    return withSystem(deps, setup.destination, turnOf(ref, setup, { log, signal }), () =>
      thenLookAtLetters({ deps, ref, setup, layer: 'bronze', log, signal }, () =>
        land(deps, { ref, setup, parameters, signal, log }),
      ),
    );
  });
}

interface LandWork {
  readonly ref: ExecutionRef;
  readonly setup: PipelineSetup;
  readonly parameters: TriggerParameters;
  readonly signal: AbortSignal;
  readonly log: ExecutionLog;
}

async function land(deps: ActivityDeps, given: LandWork): Promise<LayerOutcome> {
  const { ref, setup, parameters, signal, log } = given;
  const { scope, pipeline, config, source, destination } = setup;
  const { db } = deps.metadata;
  log.add('info', `Started data ingestion from ${source.entry.title}`);
  const cursors = new Map(
    (await listCheckpoints(db, scope, pipeline.id)).map(({ stream, position }) => [
      stream,
      position,
    ]),
  );
  const streams = await extract({
    pipelineId: pipeline.id,
    stamp: ref.executionId,
    part: null,
    source,
    warehouse: destination,
    config,
    parameters,
    cursorOf: async (stream) => cursors.get(stream) ?? null,
    hasSilver: layersOf(pipeline.kind, config).includes('silver'),
    observe: (event) => log.event(event),
    signal,
  });
  await keepCursors(deps, given, streams);
  await keepReadings(setup, { stamp: ref.executionId, streams, signal });
  return outcomeOf(streams, log);
}

/** What the rows of silver that came before make room for. */
export async function keepReadings(
  { config, pipeline, destination }: PipelineSetup,
  given: {
    readonly stamp: string;
    readonly streams: readonly ExtractedStream[];
    readonly signal: AbortSignal;
  },
): Promise<void> {
  if (!layersOf(pipeline.kind, config).includes('silver')) return;
  const readings = given.streams.flatMap(
    ({ stream, schema, isWhole, cursorColumn }): BronzeReading[] => {
      const table = schema.stream.name;
      if (isWhole) return [{ table, column: null }];
      // A row with a key makes room for itself.
      const hasKey = silverKey(config, stream, schema).length > 0;
      return cursorColumn === null || hasKey ? [] : [{ table, column: cursorColumn }];
    },
  );
  if (readings.length === 0) return;
  await using warehouse = await openWarehouse(destination, given.signal);
  await recordReadings(warehouse, given.stamp, readings);
}

/** Where streams with a cursor column go on the next time. A range of days moves no cursor. */
async function keepCursors(
  deps: ActivityDeps,
  { ref, setup, parameters, signal }: LandWork,
  streams: readonly ExtractedStream[],
): Promise<void> {
  const { scope, pipeline, config, destination } = setup;
  const { db } = deps.metadata;
  for (const stream of streams) {
    const { cursorColumn } = stream;
    const own = streamConfigOf(config, stream.stream);
    if (
      cursorColumn === null ||
      own?.cursor_column !== cursorColumn ||
      parameters.dateRange !== null
    )
      continue;
    const position = await lastCursor(destination, {
      table: { schema: BRONZE, name: stream.schema.stream.name },
      schema: stream.schema,
      column: cursorColumn,
      executionId: ref.executionId,
      lookbackSeconds: own.lookback_seconds ?? 0,
      signal,
    });
    if (position === null) continue;
    await putCheckpoint(db, scope, {
      pipeline_id: pipeline.id,
      stream: stream.stream,
      position,
      checksum: null,
      events: stream.read,
      committed_at: timeOf(),
    });
  }
}

function outcomeOf(streams: readonly ExtractedStream[], log: ExecutionLog): LayerOutcome {
  const sum = (of: (stream: ExtractedStream) => number): number =>
    streams.reduce((total, stream) => total + of(stream), 0);
  for (const { stream, applied } of streams) log.add('debug', `${stream}: ${applied} records`);
  log.add('info', `Fetched ${sum(({ applied }) => applied)} records`);
  return {
    records: sum(({ applied }) => applied),
    size_bytes: sum(({ bytes }) => bytes),
    tables: streams.map(({ schema }) => schema.stream.name),
  };
}

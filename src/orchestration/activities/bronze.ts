/** Rows of the source as they land, each with the execution that brought it. */
import { failpoint, failpointsArmed } from '../../core/failpoint.ts';
import { putCheckpoint } from '../../metadata/checkpoints.ts';
import { timeOf } from '../../metadata/transaction.ts';
import type { ActivityContext } from '../flow.ts';
import type { ExecutionRef, TriggerParameters } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import type { ExecutionLog } from './execution-log.ts';
import { extract, type ExtractedStream } from './extract.ts';
import { type LayerOutcome, layerStep } from './layer-step.ts';
import { thenLookAtLetters } from './letter-watch.ts';
import {
  beginCursors,
  type CursorEnd,
  endCursors,
  hasSilver,
  noteBegin,
  noteEnd,
} from './reading-notes.ts';

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
  const { pipeline, config, source, destination } = setup;
  log.add('info', `Started data ingestion from ${source.entry.title}`);
  const notes = { setup, stamp: ref.executionId, signal };
  const streams = await extract({
    pipelineId: pipeline.id,
    stamp: ref.executionId,
    part: null,
    source,
    warehouse: destination,
    config,
    parameters,
    cursorsOf: (wanted) => beginCursors(notes, wanted, parameters.force),
    begins: (readings) => noteBegin(notes, readings),
    hasSilver: hasSilver(setup),
    observe: (event) => log.event(event),
    signal,
  });
  if (failpointsArmed) await failpoint('bronze.beforeNotes');
  await noteEnd(notes, streams);
  if (parameters.dateRange === null) {
    const ends = await endCursors(notes, streams);
    if (failpointsArmed) await failpoint('bronze.afterCursors');
    await showCursors(deps, given, ends);
  }
  return outcomeOf(streams, log);
}

/** A copy, to be looked at. */
async function showCursors(
  deps: ActivityDeps,
  { setup }: LandWork,
  ends: readonly CursorEnd[],
): Promise<void> {
  const { scope, pipeline } = setup;
  for (const { stream, position, read } of ends)
    await putCheckpoint(deps.metadata.db, scope, {
      pipeline_id: pipeline.id,
      stream,
      position,
      checksum: null,
      events: read,
      committed_at: timeOf(),
    });
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

/** Ranges of days or keys that are read again, whatever was read of them before. */
import { asForebayError } from '../../core/errors.ts';
import type { RunEvent } from '../../engine/pipeline.ts';
import type { BronzeReading } from '../../layers/readings.ts';
import type { ActivityContext } from '../flow.ts';
import type { BackfillRange, ExecutionRef, FlowActivities } from '../flows/activities.ts';
import { type ActivityDeps, loadPipeline, type PipelineSetup, turnOf, withSystem } from './deps.ts';
import { ExecutionLog } from './execution-log.ts';
import {
  discoverSelected,
  extract,
  type Extraction,
  forgetPart,
  planExtraction,
} from './extract.ts';
import { alive } from './layer-step.ts';
import { thenLookAtLetters } from './letter-watch.ts';
import { hasSilver, noteBegin, noteEnd } from './reading-notes.ts';

type How = Pick<Extraction, 'parameters' | 'keyRange' | 'cursorsOf'>;

/** How rows of the range are read, of any stream. */
export function readingOf(range: BackfillRange): How {
  const cursorsOf: How['cursorsOf'] = () => Promise.resolve(new Map());
  if (range.kind === 'days') {
    const { start, end } = range;
    return { parameters: { dateRange: { start, end }, force: false }, keyRange: null, cursorsOf };
  }
  const { column, start, end } = range;
  return {
    parameters: { dateRange: null, force: false },
    keyRange: { column, start, end },
    cursorsOf,
  };
}

const labelOf = ({ start, end }: BackfillRange): string => `${start}..${end}`;

export async function checkBackfill(
  deps: ActivityDeps,
  input: ExecutionRef & { readonly range: BackfillRange },
  { signal }: ActivityContext,
): Promise<null> {
  const { source, config } = await loadPipeline(deps, input);
  await assertReadable({ source, config, signal }, input.range);
  return null;
}

/** Fails where a stream has no column to read the range by. */
export async function assertReadable(
  from: Pick<PipelineSetup, 'source' | 'config'> & { readonly signal: AbortSignal },
  range: BackfillRange,
): Promise<void> {
  const { schemas } = await discoverSelected(from);
  await planExtraction({ config: from.config, ...readingOf(range) }, schemas, () => false);
}

export async function backfillRange(
  deps: ActivityDeps,
  input: Parameters<FlowActivities['backfillRange']>[0],
  context: ActivityContext,
): ReturnType<FlowActivities['backfillRange']> {
  const { range, part, ...ref } = input;
  const label = labelOf(range);
  const setup = await loadPipeline(deps, ref);
  const { source, destination, config, pipeline } = setup;
  await using log = new ExecutionLog(deps, ref, { layer: 'bronze', context });
  const { signal } = context;
  const stamp = `${ref.executionId}:${label}`;
  const notes = { setup, stamp, signal };
  const extraction = {
    pipelineId: pipeline.id,
    stamp,
    part,
    source,
    warehouse: destination,
    config,
    ...readingOf(range),
    begins: (readings: readonly BronzeReading[]) => noteBegin(notes, readings),
    hasSilver: hasSilver(setup),
    observe: (event: RunEvent) => log.event(event),
    signal,
  };
  const letters = { deps, ref, setup, layer: 'bronze', log, signal } as const;
  const read = async (): Promise<{ readonly rows: number }> => {
    const streams = await extract(extraction);
    await noteEnd(notes, streams);
    await forgetPart(extraction);
    const applied = streams.reduce((sum, stream) => sum + stream.applied, 0);
    log.add('info', `Read ${applied} records of ${label}`);
    return { rows: streams.reduce((sum, { read: rows }) => sum + rows, 0) };
  };
  try {
    return await alive(context, () =>
      withSystem(deps, destination, turnOf(ref, setup, { log, signal }), () =>
        thenLookAtLetters(letters, read),
      ),
    );
  } catch (error) {
    const failure = asForebayError(error);
    if (!signal.aborted) log.add('error', `${label}: ${failure.message}`, { code: failure.code });
    throw failure;
  }
}

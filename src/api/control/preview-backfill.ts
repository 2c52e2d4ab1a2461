/** What a backfill would read, as the source counts it; starts nothing. */
import { openSource } from '../../connectors/registry.ts';
import type { SnapshotReader } from '../../core/connector.ts';
import type { Predicate } from '../../core/projection.ts';
import { SlabPool } from '../../core/slab.ts';
import { streamId, type StreamSchema } from '../../core/stream-schema.ts';
import { rangeProjection } from '../../engine/cursor-range.ts';
import type { CursorRange } from '../../engine/pipeline.ts';
import { selectStreams } from '../../engine/targets.ts';
import { readingOf } from '../../orchestration/activities/backfill.ts';
import type { PipelineSetup } from '../../orchestration/activities/deps.ts';
import { planExtraction } from '../../orchestration/activities/extract.ts';
import { selectionOf } from '../../orchestration/activities/pipeline-config.ts';
import type { BackfillRange } from '../../orchestration/flows/activities.ts';
import type { BackfillPreview } from '../schemas/backfills.ts';

const MEMORY_BYTES = 64 * 1024 * 1024;
/** Of a retry; more of them would make a statement that nobody wants to read. */
const MOST_COUNTED = 200;
/** In one piece: nothing but a number comes. */
const WHOLE_BYTES = 2 ** 50;

/** True for rows that are in none of the ranges; those whose column is NULL are in none. */
function outside(schema: StreamSchema, ranges: readonly CursorRange[]): Predicate | null {
  const [first] = ranges;
  if (first === undefined) return null;
  const column = schema.columns.findIndex(({ name }) => name === first.column);
  const parts = ranges.map((range): Predicate => {
    const { where } = rangeProjection(schema, range);
    return where ?? { kind: 'constant', value: true };
  });
  return {
    kind: 'or',
    parts: [
      { kind: 'is-null', column },
      { kind: 'not', part: { kind: 'or', parts } },
    ],
  };
}

async function countIn(
  reader: SnapshotReader,
  schema: StreamSchema,
  ranges: readonly CursorRange[],
): Promise<number | null> {
  const where = outside(schema, ranges);
  if (reader.countLeftOut === undefined || where === null || ranges.length > MOST_COUNTED)
    return null;
  let rows = 0;
  for (const chunk of await reader.chunks(schema, { previous: null, targetBytes: WHOLE_BYTES }))
    rows += await reader.countLeftOut(schema, chunk, where);
  return rows;
}

export async function countRows(
  { config, source: system }: Pick<PipelineSetup, 'config' | 'source'>,
  ranges: readonly BackfillRange[],
  signal: AbortSignal,
): Promise<BackfillPreview['streams']> {
  const context = {
    signal,
    slabs: new SlabPool(0),
    memoryBytes: MEMORY_BYTES,
    options: {},
    notice: () => {},
  };
  await using source = await openSource(system, context);
  const selected = selectStreams(await source.discover(), selectionOf(config));
  const schemas = selected.map(({ schema }) => schema);
  const plans = await Promise.all(
    ranges.map((range) => planExtraction({ config, ...readingOf(range) }, schemas, () => false)),
  );
  const streams: BackfillPreview['streams'] = [];
  await using reader = (await source.snapshot?.open({ parallel: 1 })) ?? null;
  for (const schema of schemas) {
    signal.throwIfAborted();
    const stream = streamId(schema.stream);
    const read = plans.flatMap((plan) => plan.ranges.get(stream) ?? []);
    const rows = reader === null ? null : await countIn(reader, schema, read);
    streams.push({ stream, column: read[0]?.column ?? '', rows });
  }
  return streams;
}

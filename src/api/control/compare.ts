/** Whether a replicated copy holds what its source holds, row by row. */
import { setTimeout as delay } from 'node:timers/promises';
import { openDestination, openSource } from '../../connectors/registry.ts';
import { ForebayError } from '../../core/errors.ts';
import { SlabPool } from '../../core/slab.ts';
import type { StreamId } from '../../core/stream-schema.ts';
import { compareContent, type ComparedContent } from '../../engine/compare-content.ts';
import { matches } from '../../engine/selection.ts';
import { fromRecord } from '../../engine/stream-state.ts';
import type { PipelineSetup } from '../../orchestration/activities/deps.ts';
import { engineName } from '../../orchestration/activities/extract.ts';
import type { Comparison } from '../schemas/pipelines.ts';

const MIB = 1024 * 1024;
const MEMORY_BYTES = 256 * MIB;
/** Rows that differ may be on their way: those that differ still after this long and so many looks are told. */
const SETTLE_MS = 3000;
const MOST_LOOKS = 3;

export interface CompareRequest {
  /** Names or globs; null: all. */
  readonly streams: readonly string[] | null;
  readonly signal: AbortSignal;
}

async function look(
  { pipeline, source, destination }: PipelineSetup,
  isAsked: (stream: StreamId) => boolean,
  signal: AbortSignal,
): Promise<readonly ComparedContent[]> {
  const slabs = new SlabPool(MEMORY_BYTES);
  const context = { signal, slabs, memoryBytes: MEMORY_BYTES, options: {}, notice: () => {} };
  await using from = await openSource(source, context);
  await using to = await openDestination(destination, context);
  const state = await to.readState(engineName('follow', pipeline.id));
  const streams = (state?.streams ?? []).map(fromRecord);
  const targets = streams
    .filter((stream) => stream.state === 'streaming' && isAsked(stream.target.id))
    .map((stream) => stream.target);
  if (targets.length === 0) {
    throw new ForebayError('request_unprocessable', {
      message: `pipeline ${pipeline.name} has no stream that is loaded and asked for`,
      fix: 'Start it, and compare once its streams follow their source.',
    });
  }
  return await compareContent(from, to, targets, { slabs, stop: signal });
}

export async function comparePipeline(
  setup: PipelineSetup,
  { streams, signal }: CompareRequest,
): Promise<Comparison> {
  const found = new Map<StreamId, ComparedContent>();
  let isAsked = (stream: StreamId): boolean => streams === null || matches(streams, stream);
  for (let looks = 1; ; looks += 1) {
    for (const one of await look(setup, isAsked, signal)) found.set(one.stream, one);
    const differing = new Set(
      [...found.values()].filter(({ identical }) => !identical).map(({ stream }) => stream),
    );
    if (differing.size === 0 || looks === MOST_LOOKS) break;
    isAsked = (stream) => differing.has(stream);
    await delay(SETTLE_MS, undefined, { signal });
  }
  const compared = [...found.values()];
  return {
    identical: compared.every(({ identical }) => identical),
    streams: compared.map(({ stream, identical, sourceRows, destinationRows, ...rows }) => ({
      stream,
      identical,
      source_rows: sourceRows,
      destination_rows: destinationRows,
      differing_rows: rows.inserted + rows.updated + rows.deleted,
    })),
  };
}

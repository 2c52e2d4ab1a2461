/** Where the streams of a configuration file stand: checkpoints at their destinations, and earlier ones. */
import { z } from 'zod';
import { checkpointChecksum, eventsOf } from '../../core/checkpoint.ts';
import type { Destination } from '../../core/connector.ts';
import { asForebayError, type ExitCode } from '../../core/errors.ts';
import { SlabPool } from '../../core/slab.ts';
import type { StreamConfiguration } from '../../service/configuration/schema.ts';
import { planStream, type StreamPlan } from '../../service/stream-plan.ts';
import type { RunCommand } from '../call.ts';
import { readConfiguration } from '../configuration-file.ts';
import { formatCount } from '../format.ts';
import { withInterruption } from '../interruption.ts';
import { printListing } from '../list-output.ts';
import { listShape, outputFormat, readOptions } from '../options.ts';
import { scrubSecrets } from '../scrub.ts';
import type { TableColumn } from '../table.ts';

interface PositionRow {
  readonly stream: string;
  /** Its name at the destination, in slots and for other commands; null where the stream cannot be planned. */
  readonly pipeline: string | null;
  readonly position: string | null;
  readonly events: number | null;
  readonly checksum: string | null;
  readonly committedAt: string | null;
  readonly epoch: number | null;
  /** `ok`, or what is wrong with it. */
  readonly state: string;
}

const COLUMNS: readonly TableColumn<PositionRow>[] = [
  { title: 'stream', cell: ({ stream }) => stream },
  { title: 'pipeline', cell: ({ pipeline }) => pipeline ?? '-' },
  { title: 'position', cell: ({ position }) => position ?? '-' },
  {
    title: 'events',
    align: 'right',
    cell: ({ events }) => (events === null ? '-' : formatCount(events)),
  },
  { title: 'committed at', cell: ({ committedAt }) => committedAt ?? '-' },
  { title: 'checksum', cell: ({ checksum }) => checksum?.slice(0, 12) ?? '-' },
  { title: 'state', cell: ({ state }) => state },
];

const NOTHING = {
  pipeline: null,
  position: null,
  events: null,
  checksum: null,
  committedAt: null,
  epoch: null,
} as const;

/** Clocks of two machines differ; beyond this a time is wrong. */
const CLOCK_SLACK_MS = 60_000;

function stateOf(committedAt: string | null, nowMs: number): string {
  const isFuture = committedAt !== null && Date.parse(committedAt) > nowMs + CLOCK_SLACK_MS;
  return isFuture ? 'its time is in the future' : 'ok';
}

interface Read {
  readonly rows: readonly PositionRow[];
  readonly code: ExitCode;
}

function failed(stream: string, error: unknown): Read {
  const failure = asForebayError(error);
  const state = scrubSecrets(`${failure.code}: ${failure.message}`);
  return { rows: [{ stream, ...NOTHING, state }], code: failure.exitCode };
}

async function readCurrent(
  stream: string,
  pipeline: string,
  destination: Destination,
): Promise<Read> {
  const state = await destination.readState(pipeline);
  if (state?.checkpoint == null) {
    return { rows: [{ stream, ...NOTHING, pipeline, state: 'no checkpoint yet' }], code: 0 };
  }
  const { checkpoint, epoch, committedAt = null } = state;
  const row = {
    stream,
    pipeline,
    position: checkpoint.position,
    events: eventsOf(checkpoint),
    checksum: checkpointChecksum(pipeline, checkpoint),
    committedAt,
    epoch,
    state: stateOf(committedAt, Date.now()),
  };
  return { rows: [row], code: 0 };
}

/** Earlier checkpoints are wanted most where the current one is damaged: they follow what is wrong with it. */
async function readPositions(
  stream: string,
  pipeline: string,
  destination: Destination,
  withHistory: boolean,
): Promise<Read> {
  const current = await readCurrent(stream, pipeline, destination).catch((error: unknown) =>
    failed(stream, error),
  );
  if (!withHistory) return current;
  const past = ((await destination.history?.(pipeline)) ?? []).map((one) => ({
    stream,
    pipeline,
    ...one,
    state: stateOf(one.committedAt, Date.now()),
  }));
  if (past.length === 0) return current;
  return current.code === 0
    ? { rows: past, code: 0 }
    : { ...current, rows: [...current.rows, ...past] };
}

async function positionsOf(
  stream: StreamConfiguration,
  plan: () => Promise<StreamPlan>,
  options: { readonly signal: AbortSignal; readonly withHistory: boolean },
): Promise<Read> {
  try {
    const planned = await plan();
    await using destination = await planned.openPlain({
      signal: options.signal,
      slabs: new SlabPool(0),
      memoryBytes: planned.spec.memoryBytes,
      options: planned.systems.options,
      notice: () => {},
    });
    return await readPositions(stream.id, planned.spec.name, destination, options.withHistory);
  } catch (error) {
    return failed(stream.id, error);
  }
}

export const run: RunCommand = async ({ args, options, terminal }) => {
  const shape = { ...listShape, history: z.boolean().default(false) };
  const { history, ...output } = readOptions(shape, options);
  const loaded = readConfiguration(args[0] ?? '', terminal);
  if (loaded === null) return 2;
  const reads = await withInterruption(async (signal) => {
    const found: Read[] = [];
    for (const stream of loaded.configuration.streams) {
      const plan = (): Promise<StreamPlan> =>
        planStream(loaded, stream, { untilCaughtUp: false, moving: () => {} });
      found.push(await positionsOf(stream, plan, { signal, withHistory: history }));
    }
    return found;
  });
  const rows = reads.flatMap((read) => read.rows);
  const listing = { key: 'positions', rows, columns: COLUMNS, empty: 'No stream.' };
  printListing(listing, outputFormat(output), terminal);
  return reads.find(({ code }) => code !== 0)?.code ?? 0;
};

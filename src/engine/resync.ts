/**
 * Streams of a pipeline that are read again in full because somebody asked for it, while changes are followed.
 *
 * - `upsert` with a key: rows are replaced by key, chunk by chunk beside the changes; what the source does not have is
 *   removed at the end. The table is in use all the time, and each row in it is one that the source has had.
 * - `upsert` without a key: source and destination are compared under one snapshot and what differs is changed, while
 *   the stream waits.
 * - `replace`: a table beside is loaded under one snapshot and put in the place of the one in use.
 * - `append`: rows that snapshots brought are removed and read again; changes stay.
 */
import type { Checkpoint } from '../core/checkpoint.ts';
import type { SnapshotReader } from '../core/connector.ts';
import type { StreamId } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import { findDifferences, sumStreams } from './compare.ts';
import { RepairWriter } from './repair.ts';
import { sidesOf } from './stream-sides.ts';
import { type RunningStream, toRecord } from './stream-state.ts';
import { needsExactStart } from './targets.ts';

/** Of a pipeline that goes on. A demand that an earlier run took up is not taken up again. */
export async function takeUpResyncs(attempt: Attempt): Promise<void> {
  for (const [id, demand] of demanded(attempt)) {
    const stream = attempt.streams.get(id);
    // One that is not there yet joins by itself, and is read then.
    if (stream === undefined || stream.resync === demand) continue;
    stream.resync = demand;
    if (stream.state === 'paused') {
      const message = `is paused and is not read again: ${stream.pause?.reason ?? ''}`;
      attempt.progress.emit({ event: 'notice', message }, id);
    } else {
      if (stream.state !== 'pending') readAgain(attempt, stream);
      attempt.progress.emit({ event: 'notice', message: 'is read again' }, id);
    }
    await attempt.session.save([toRecord(stream)], null);
  }
}

function demanded({ spec, streams }: Attempt): ReadonlyMap<StreamId, string> {
  const demands = new Map<StreamId, string>();
  for (const { demand, streams: named } of spec.resync ?? [])
    for (const id of named ?? streams.keys()) demands.set(id, demand);
  return demands;
}

function readAgain(attempt: Attempt, stream: RunningStream): void {
  const { load, deletes, schema } = stream.target;
  stream.state = 'snapshot';
  stream.chunks = null;
  stream.merge = true;
  const keepsAll = schema.identity === 'key' && deletes === 'ignore';
  const mends = attempt.destination.transforms !== true && !keepsAll;
  stream.surplus = load === 'replace' || (load === 'upsert' && mends);
}

/** Its rows are loaded; those of a table with a key are told once what is too much is gone, too. */
export function endResync(attempt: Attempt, stream: RunningStream): void {
  if (!stream.surplus || !needsExactStart(stream.target)) return;
  stream.surplus = false;
  tellEnd(attempt, stream);
}

export function tellEnd({ progress }: Attempt, { target }: RunningStream): void {
  progress.emit({ event: 'notice', message: 'has been read again' }, target.id);
}

/** Rows stand in its table that nothing tells apart, and that are to become the source's without being emptied. */
export function isRepaired({ target, surplus }: RunningStream): boolean {
  return surplus && target.load === 'upsert' && needsExactStart(target);
}

/** `checkpoint`: where the stream has come to. False: told to end before it was done. */
export async function repairUnder(
  attempt: Attempt,
  stream: RunningStream,
  { snapshot, checkpoint }: { readonly snapshot: SnapshotReader; readonly checkpoint: Checkpoint },
): Promise<boolean> {
  const { target } = stream;
  const plan = await attempt.destination.plan(target);
  const { drain } = attempt.control;
  const sides = sidesOf(
    { target, plan, reader: snapshot, session: attempt.session },
    {
      slabs: attempt.slabs,
      memoryBytes: attempt.spec.memoryBytes / 4,
      seen: (rows, bytes) => attempt.progress.moved(target.id, rows, bytes),
      stop: drain,
    },
  );
  const sums = await sumStreams(sides);
  const writer = new RepairWriter({ attempt, stream, shape: sides.shape, checkpoint });
  try {
    await findDifferences({ ...sides, seen: () => {} }, sums, writer);
  } finally {
    writer.clear();
  }
  if (drain.aborted) return false;
  // What the snapshot shows is there now, and is left out of what comes.
  stream.visibility = snapshot.visibility;
  return true;
}

/**
 * After a lost position, or for paused streams: takes a new position with a snapshot of the source, compares every
 * stream under that snapshot with what the destination has, repairs what differs, and only then records the new
 * position. Until then the lost checkpoint stands and a run that would go on from it fails as before, because its
 * slot was replaced by one that begins later; so recovering again after a crash is always possible.
 *
 * `append` keeps a history, and what happened between the lost and the new position cannot be told from the rows as
 * they are: every row is appended once more with operation `r` under the new position. A reader that takes the
 * newest row of each key has the current values again; deletes in the gap leave no event. A crash while these rows
 * are appended makes the next recovery append them again, under a later position.
 */
import type { Checkpoint } from '../core/checkpoint.ts';
import type { ChangeCapability, SnapshotReader } from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import type { Position, SourceIdentity } from '../core/position.ts';
import { type Attempt, type AttemptEnd, needChanges } from './attempt.ts';
import { findDifferences, type StreamSides, type StreamSums, sumStreams } from './compare.ts';
import type { RepairedStream } from './pipeline.ts';
import {
  type Recalled,
  recallStreams,
  type Recovering,
  type Treated,
  treatStream,
} from './recover-streams.ts';
import { accountsSoFar, RepairWriter } from './repair.ts';
import { concernsOneStream, pauseStream, snapshotPhase } from './snapshot-phase.ts';
import { changedBefore, preflight } from './start.ts';
import { sidesOf } from './stream-sides.ts';
import { type RunningStream, toRecord } from './stream-state.ts';
import { assertDistinct, needsExactStart } from './targets.ts';

/** Streams and what is known of them while they are recovered. */
interface Recovery {
  readonly attempt: Attempt;
  readonly checkpoint: Checkpoint;
  readonly reader: SnapshotReader;
  readonly treated: readonly Treated[];
  readonly repaired: Map<RunningStream, RepairedStream>;
}

interface Compared {
  readonly stream: RunningStream;
  readonly sides: StreamSides;
  readonly sums: StreamSums;
}

async function recordedCheckpoint(attempt: Attempt): Promise<Checkpoint> {
  const { checkpoint, streams } = attempt.state;
  if (checkpoint !== null) return checkpoint;
  // Opening the session made a trace of a pipeline that there is not.
  if (streams.length === 0) await attempt.destination.drop(attempt.spec.name);
  throw new ForebayError('pipeline_missing', {
    message: `pipeline ${attempt.spec.name} has no position at the destination that could be recovered`,
  });
}

/** A failure that concerns one stream pauses it; the others are recovered. */
async function perStream(
  attempt: Attempt,
  stream: RunningStream,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    const failure = asForebayError(error);
    if (!concernsOneStream(failure)) throw failure;
    await pauseStream(attempt, stream, failure);
  }
}

async function compareStream(recovery: Recovery, { stream, plan }: Treated): Promise<Compared> {
  const { attempt, reader } = recovery;
  const { id } = stream.target;
  const sides = sidesOf(
    { target: stream.target, plan, reader, session: attempt.session },
    {
      slabs: attempt.slabs,
      memoryBytes: attempt.spec.memoryBytes / 4,
      seen: (rows, bytes) => attempt.progress.moved(id, rows, bytes),
      stop: attempt.control.drain,
    },
  );
  const sums = await sumStreams(sides);
  attempt.progress.report(id);
  return { stream, sides: { ...sides, seen: () => {} }, sums };
}

async function compareAll(recovery: Recovery, treated: readonly Treated[]): Promise<Compared[]> {
  const { attempt, repaired } = recovery;
  const compared: Compared[] = [];
  if (treated.length > 0) attempt.progress.phase('compare');
  for (const item of treated) {
    if (attempt.control.drain.aborted || item.stream.state === 'paused') continue;
    await perStream(attempt, item.stream, async () => {
      const result = await compareStream(recovery, item);
      const { id } = item.stream.target;
      const inserted = repaired.get(item.stream)?.inserted ?? 0;
      const rowsCompared = result.sums.sourceRows;
      repaired.set(item.stream, { stream: id, rowsCompared, inserted, updated: 0, deleted: 0 });
      if (result.sums.groups.length > 0) compared.push(result);
    });
  }
  return compared;
}

/** What an earlier load left behind makes room, or is merged with. */
async function makeRoom(attempt: Attempt, item: Treated): Promise<void> {
  const { stream, treatment, unfinished, plan } = item;
  const { target } = stream;
  const removeRows = loadsWhole(attempt, stream) && (treatment === 'load' || unfinished);
  if (treatment === 'append' && !unfinished) {
    attempt.progress.emit(
      {
        event: 'notice',
        message:
          'the changes since the last position are lost; every row is appended as it is now, with operation r',
      },
      target.id,
    );
  }
  await attempt.session.resetSnapshot(target, { removeRows });
  stream.state = 'snapshot';
  stream.chunks = null;
  const merges = target.load === 'upsert' && target.schema.identity === 'key';
  stream.merge = merges && !plan.empty && !removeRows;
}

async function loadAll(recovery: Recovery): Promise<void> {
  const { attempt, reader, treated, repaired } = recovery;
  const loading = treated.filter(
    (item) => item.treatment !== 'compare' && item.stream.state !== 'paused',
  );
  if (loading.length === 0) return;
  for (const item of loading) await perStream(attempt, item.stream, () => makeRoom(attempt, item));
  attempt.progress.phase('snapshot');
  await snapshotPhase(attempt, reader);
  for (const { stream } of loading) {
    const { id } = stream.target;
    const inserted = attempt.progress.account(id).applied;
    repaired.set(stream, { stream: id, rowsCompared: 0, inserted, updated: 0, deleted: 0 });
  }
}

async function repairAll(recovery: Recovery, compared: readonly Compared[]): Promise<void> {
  const { attempt, checkpoint, repaired } = recovery;
  if (compared.length > 0) attempt.progress.phase('repair');
  for (const { stream, sides, sums } of compared) {
    if (attempt.control.drain.aborted) return;
    const writer = new RepairWriter({ attempt, stream, shape: sides.shape, checkpoint });
    await perStream(attempt, stream, async () => {
      try {
        const found = await findDifferences(sides, sums, writer);
        const before = repaired.get(stream);
        if (before === undefined) return;
        repaired.set(stream, {
          ...before,
          inserted: before.inserted + found.inserted,
          updated: found.updated,
          deleted: stream.target.deletes === 'ignore' ? 0 : found.deleted,
        });
      } finally {
        writer.clear();
      }
    });
    attempt.progress.report(stream.target.id);
  }
}

/** Streams that were brought to the new position are followed from there. */
function settle(treated: readonly Treated[]): void {
  for (const { stream } of treated) {
    if (stream.state === 'paused') continue;
    stream.state = 'streaming';
    stream.loaded = true;
    stream.chunks = null;
    stream.visibility = null;
  }
}

/** Its rows are not found by the source's keys: the table is emptied before it is loaded. */
function loadsWhole({ destination }: Attempt, { target }: RunningStream): boolean {
  return needsExactStart(target) || destination.transforms === true;
}

/** Loading replaces rows and adds some; rows that are gone at the source are still to be found. */
function mayHoldMore(attempt: Attempt, { stream, treatment, plan }: Treated): boolean {
  return treatment === 'load' && !plan.empty && !loadsWhole(attempt, stream);
}

async function bringTogether(recovery: Recovery): Promise<boolean> {
  const { attempt, treated } = recovery;
  const stopped = (): boolean => attempt.control.drain.aborted;
  const compared = await compareAll(
    recovery,
    treated.filter(({ treatment }) => treatment === 'compare'),
  );
  if (stopped()) return false;
  if (failpointsArmed) await failpoint('recover.beforeRepair');
  await loadAll(recovery);
  if (stopped()) return false;
  const leftover = await compareAll(
    recovery,
    treated.filter((item) => mayHoldMore(attempt, item)),
  );
  if (stopped()) return false;
  await repairAll(recovery, [...compared, ...leftover]);
  if (failpointsArmed) await failpoint('recover.afterRepair');
  return !stopped();
}

/** Streams that cannot be followed (any more) are set aside with their reason. */
async function setAside(attempt: Attempt, recalled: Recalled): Promise<void> {
  for (const { stream, pause } of recalled.unfollowed) {
    const { id } = stream.target;
    await pauseStream(
      attempt,
      stream,
      new ForebayError(pause.code, { message: pause.reason, fix: pause.fix, stream: id }),
    );
  }
}

async function treatAll(
  attempt: Attempt,
  streams: readonly Recovering[],
  at: { readonly checkpoint: Checkpoint; readonly order: string },
): Promise<Treated[]> {
  const treated: Treated[] = [];
  for (const recovering of streams) {
    const { stream, step } = recovering;
    const { id } = stream.target;
    await perStream(attempt, stream, async () => {
      const found = await treatStream(attempt, recovering, at.checkpoint);
      if (found === null) {
        if (stream.pause !== null)
          attempt.progress.emit({ event: 'stream-paused', ...stream.pause }, id);
        return;
      }
      for (const change of step.changes)
        attempt.progress.emit({ event: 'schema-change', change }, id);
      stream.pause = null;
      stream.state = 'streaming';
      stream.snapshotOrder = at.order;
      treated.push(found);
    });
  }
  return treated;
}

/** What the source will be asked for: the streams in the columns that it has now. */
function wanted(recalled: Recalled): RunningStream[] {
  return recalled.followed.map(({ stream, step }) => ({
    ...stream,
    target: { ...stream.target, schema: step.schema },
  }));
}

async function record(
  recovery: Recovery,
  position: Position,
  identity: SourceIdentity,
): Promise<void> {
  const { attempt } = recovery;
  settle(recovery.treated);
  const checkpoint = { position, source: identity, accounts: accountsSoFar(attempt) };
  await attempt.session.save([...attempt.streams.values()].map(toRecord), checkpoint);
  attempt.notes.advanced = true;
  attempt.notes.positionTo = position;
  attempt.progress.emit({ event: 'checkpoint', position });
}

export async function runRecover(attempt: Attempt): Promise<AttemptEnd> {
  const changes: ChangeCapability = needChanges(attempt.source);
  const checkpoint = await recordedCheckpoint(attempt);
  attempt.notes.positionFrom ??= checkpoint.position;
  attempt.notes.positionTo = checkpoint.position;
  const recalled = await recallStreams(attempt);
  const asked = wanted(recalled);
  assertDistinct(
    asked.map((stream) => stream.target),
    attempt.sameSystem,
  );
  await preflight(attempt, asked);
  if (attempt.control.drain.aborted) return { kind: 'stopped' };
  const { position, identity, snapshot, memberships } = await changes.create(
    attempt.spec.name,
    asked.map((stream) => stream.target.schema),
    { parallel: attempt.parallel },
  );
  await using reader = snapshot;
  const found = recalled.followed.map((recovering) => recovering.found);
  if (await changedBefore(reader, found)) return { kind: 'again', textOnly: attempt.textOnly };
  await setAside(attempt, recalled);
  const order = changes.orderOf(position);
  const treated = await treatAll(attempt, recalled.followed, { checkpoint, order });
  const recovery: Recovery = { attempt, checkpoint, reader, treated, repaired: new Map() };
  if (!(await bringTogether(recovery))) return { kind: 'stopped' };
  for (const { stream } of treated) stream.membership = memberships.get(stream.target.id) ?? null;
  await record(recovery, position, identity);
  attempt.progress.reportAll();
  return { kind: 'completed', repaired: [...recovery.repaired.values()] };
}

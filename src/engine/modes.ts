/** The two ways of a run: one snapshot, or a snapshot and then the changes. */
import type { Checkpoint } from '../core/checkpoint.ts';
import { asForebayError } from '../core/errors.ts';
import type { Position, SourceIdentity } from '../core/position.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import { type Attempt, type AttemptEnd, needChanges, needSnapshot } from './attempt.ts';
import { changePhase } from './change-phase.ts';
import { finishStream, snapshotPhase } from './snapshot-phase.ts';
import {
  beginStreams,
  changedBefore,
  lacksKey,
  pauseKeyless,
  preflight,
  planTargets,
  resumeStreams,
} from './start.ts';
import { type RunningStream, toRecord } from './stream-state.ts';

const TABLES_AT_ONCE = 500;

function stoppedOr(attempt: Attempt, end: AttemptEnd): AttemptEnd {
  return attempt.control.drain.aborted ? { kind: 'stopped' } : end;
}

export async function runCopy(attempt: Attempt): Promise<AttemptEnd> {
  const snapshots = needSnapshot(attempt.source);
  const streams = await beginStreams(attempt);
  await preflight(attempt, streams);
  await planTargets(attempt, streams);
  for (const stream of streams) {
    // Before the snapshot: what was applied there is shown, and what comes after it stands after these rows.
    const after = attempt.spec.placed?.get(stream.target.id);
    if (after !== undefined) stream.snapshotOrder = needChanges(attempt.source).orderOf(after);
    await attempt.session.prepare(stream.target);
  }
  attempt.progress.phase('snapshot');
  await using reader = await snapshots.open({ parallel: attempt.parallel });
  await snapshotPhase(attempt, reader);
  attempt.progress.reportAll();
  return stoppedOr(attempt, { kind: 'completed' });
}

export async function runReplicate(attempt: Attempt, untilCaughtUp: boolean): Promise<AttemptEnd> {
  const changes = needChanges(attempt.source);
  const start = attempt.state.checkpoint === null ? await begin(attempt) : await resume(attempt);
  if (start === null) return { kind: 'again', textOnly: attempt.textOnly };
  attempt.notes.positionFrom ??= start.position;
  attempt.notes.positionTo = start.position;
  if (attempt.control.drain.aborted) return { kind: 'stopped' };
  // Asked for once per run: a retry still has to reach what was committed when the command started.
  if (untilCaughtUp) attempt.notes.until ??= await changes.currentPosition();
  attempt.progress.phase('changes', start.position);
  // A pipeline that follows is under way, also while nothing comes.
  attempt.progress.begun = true;
  const end = await changePhase(attempt, {
    start: start.position,
    identity: start.identity,
    until: untilCaughtUp ? attempt.notes.until : null,
  });
  switch (end.kind) {
    case 'again':
      return end;
    case 'drained':
      return { kind: 'stopped' };
    case 'caught-up':
      return { kind: 'completed' };
  }
}

interface Start {
  readonly position: Position;
  readonly identity: SourceIdentity;
}

/** Nothing is recorded yet: position, snapshot, then the record of both. Null: to be begun anew. */
async function begin(attempt: Attempt): Promise<Start | null> {
  const changes = needChanges(attempt.source);
  const streams = await beginStreams(attempt);
  await preflight(attempt, streams);
  const followed = streams.filter((stream) => !lacksKey(attempt, stream));
  await planTargets(attempt, followed);
  const schemas = followed.map((stream) => stream.target.schema);
  const created = await changes.create(attempt.spec.name, schemas, {
    parallel: attempt.parallel,
  });
  const { position, identity } = created;
  await using reader = created.snapshot;
  if (failpointsArmed) await failpoint('source.afterCreateBeforeRecord');
  if (await changedBefore(reader, schemas)) return null;
  await pauseKeyless(attempt, streams);
  for (const stream of followed) {
    stream.snapshotOrder = changes.orderOf(position);
    stream.visibility = null;
    stream.membership = created.memberships.get(stream.target.id) ?? null;
    // As if their snapshots had been empty: the tables get their keys and take what comes.
    if (attempt.spec.begins === 'changes') stream.chunks = [];
  }
  await recordBegin(attempt, followed, { position, source: identity, accounts: {} });
  attempt.notes.advanced = true;
  attempt.notes.positionFrom = position;
  if (attempt.spec.begins === 'changes') {
    await finishUnread(attempt);
    return { position, identity };
  }
  attempt.progress.phase('snapshot');
  await snapshotPhase(attempt, reader);
  attempt.progress.reportAll();
  return { position, identity };
}

/**
 * Tables are made in the transaction that records them. One that stood there unrecorded after a crash would be
 * taken for the user's own, and be refused when the source's has other columns by then.
 */
async function recordBegin(
  attempt: Attempt,
  streams: readonly RunningStream[],
  checkpoint: Checkpoint,
): Promise<void> {
  const targets = streams.map((stream) => stream.target);
  // A server holds locks for each of them until the commit: beyond that many, the first ones come before.
  for (const target of targets.slice(0, -TABLES_AT_ONCE)) await attempt.session.prepare(target);
  try {
    await attempt.session.save(streams.map(toRecord), checkpoint, targets.slice(-TABLES_AT_ONCE));
  } catch (error) {
    // Nobody would come for what the slot keeps.
    if (asForebayError(error).class !== 'transient')
      await needChanges(attempt.source).drop(attempt.spec.name);
    throw error;
  }
}

/** Streams that begin with changes only, also after a run that ended between its record and this. */
async function finishUnread(attempt: Attempt): Promise<void> {
  for (const stream of attempt.streams.values()) {
    if (stream.state === 'snapshot' && stream.chunks?.length === 0) {
      await finishStream(attempt, stream);
    }
  }
}

/** The checkpoint says where to go on; the source must still have everything after it. */
async function resume(attempt: Attempt): Promise<Start> {
  const changes = needChanges(attempt.source);
  const { checkpoint } = attempt.state;
  if (checkpoint === null) throw new Error('resume without a checkpoint');
  const identity = await changes.verify(attempt.spec.name, checkpoint);
  await resumeStreams(attempt);
  if (attempt.spec.begins === 'changes') await finishUnread(attempt);
  return { position: checkpoint.position, identity };
}

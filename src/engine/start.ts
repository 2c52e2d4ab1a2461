/** What a run begins with: streams known from before, streams that discovery found, and where each lands. */
import type { CatalogStream, Finding, SnapshotReader, StreamTarget } from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import { isSameShape } from './schema-evolution.ts';
import { pauseStream } from './snapshot-phase.ts';
import { takeUpResyncs } from './resync.ts';
import { fromRecord, type RunningStream, toRecord } from './stream-state.ts';
import { matches } from './selection.ts';
import {
  assertAsBegun,
  assertDistinct,
  assertLoadable,
  firstError,
  isHeld,
  needsExactStart,
  nothingSelected,
  selectStreams,
  stamped,
  targetFor,
  unreadable,
  whyNotJoin,
} from './targets.ts';

export function newStream(attempt: Pick<Attempt, 'spec'>, entry: CatalogStream): RunningStream {
  return {
    target: targetFor(attempt.spec, entry.schema),
    state: 'snapshot',
    pause: null,
    chunks: null,
    visibility: null,
    retired: [],
    snapshotOrder: '0',
    loaded: false,
    attached: entry.attached ?? [],
    membership: null,
    resync: null,
    surplus: false,
    merge: false,
    estimatedRows: entry.estimatedRows,
  };
}

/** A table that joins a pipeline that is under way. */
export function joiningStream(attempt: Pick<Attempt, 'spec'>, entry: CatalogStream): RunningStream {
  return { ...newStream(attempt, entry), state: 'pending', merge: true };
}

/** Streams of a pipeline that begins: all that is selected, in state `snapshot`. */
export async function beginStreams(attempt: Attempt): Promise<RunningStream[]> {
  const { selection } = attempt.spec;
  const catalog = await attempt.source.discover();
  const selected = selectStreams(catalog, selection);
  if (selected.length === 0) throw nothingSelected(catalog, selection);
  for (const id of unreadable(catalog, selection)) {
    attempt.progress.emit({ event: 'notice', message: 'may not be read and is left out' }, id);
  }
  const streams = selected.map((entry) => newStream(attempt, entry));
  assertDistinct(
    streams.map((stream) => stream.target),
    attempt.sameSystem,
  );
  for (const stream of streams) {
    attempt.streams.set(stream.target.id, stream);
    attempt.progress.expect(stream.target.id, stream.estimatedRows);
  }
  return streams;
}

/** What would fail later at the source fails now, with its fix. */
export async function checkSource(
  { mode, source }: Pick<Attempt, 'mode' | 'source'>,
  targets: readonly StreamTarget[],
): Promise<readonly Finding[]> {
  const purpose = mode.kind === 'copy' ? 'snapshot' : 'changes';
  const findings = await source.check(
    targets.map((target) => target.schema),
    purpose,
  );
  // What has no key and is here all the same is only added to.
  const problem = firstError(findings.filter((finding) => finding.error?.code !== 'no_key'));
  if (problem !== null) throw problem;
  return findings;
}

/** Preflight of the source, which tells people what they might want to know. */
export async function preflight(
  attempt: Attempt,
  streams: readonly RunningStream[],
): Promise<void> {
  const followed = streams.filter((stream) => !lacksKey(attempt, stream));
  const targets = followed.map((stream) => stream.target);
  const findings = await checkSource(attempt, targets);
  for (const { target } of followed) {
    if (attempt.mode.kind === 'copy' || target.schema.identity !== 'none') continue;
    attempt.progress.emit(
      { event: 'notice', message: 'has no key: only its inserts are followed' },
      target.id,
    );
  }
  for (const finding of findings) {
    if (finding.severity === 'warning')
      attempt.progress.emit({ event: 'notice', message: finding.message }, finding.stream);
  }
}

/** Updates and deletes of a table without a key cannot be followed; a copy, or its inserts, can. */
export function lacksKey(
  attempt: Pick<Attempt, 'mode'>,
  stream: Pick<RunningStream, 'target'>,
): boolean {
  const { schema, load } = stream.target;
  return attempt.mode.kind !== 'copy' && schema.identity === 'none' && load !== 'append';
}

export async function pauseKeyless(
  attempt: Attempt,
  streams: readonly RunningStream[],
): Promise<void> {
  for (const stream of streams.filter((candidate) => lacksKey(attempt, candidate))) {
    await pauseStream(
      attempt,
      stream,
      new ForebayError('no_key', {
        message: `${stream.target.id} has no key by which updates and deletes could be followed`,
        stream: stream.target.id,
      }),
    );
  }
}

/**
 * The position may be long in coming, while a table changes. What was written into a new column before the position
 * is in no change, so the snapshot must be read with the columns that it has.
 */
export async function changedBefore(
  reader: SnapshotReader,
  schemas: readonly StreamSchema[],
): Promise<boolean> {
  if (reader.discover === undefined) return false;
  const then = new Map((await reader.discover()).map(({ schema }) => [schema.ref, schema]));
  return schemas.some((schema) => {
    const now = then.get(schema.ref);
    return now === undefined || !isSameShape(schema, now);
  });
}

/** Finds out whether the destination's tables are fit, or can be made, before anything is. */
export async function planTargets(
  attempt: Attempt,
  streams: readonly RunningStream[],
): Promise<void> {
  for (const stream of streams) {
    const plan = await attempt.destination.plan(stream.target);
    attempt.plans.set(stream.target.id, plan);
    const own = attempt.state.chunks.get(stream.target.id);
    const unfinished = own !== undefined && own.size > 0;
    // A copy that says who brings its rows can be done again: what it has brought before goes first.
    const again = attempt.mode.kind === 'copy' && stream.target.stamp !== undefined && plan.exists;
    if ((unfinished && needsExactStart(stream.target)) || again) {
      // A range says nothing of the rows that earlier ones brought.
      const isRange = attempt.spec.ranges?.has(stream.target.id) === true;
      await attempt.session.resetSnapshot(stream.target, { removeRows: isRange ? 'own' : true });
    } else {
      assertLoadable(stream.target, plan);
      if (unfinished) await attempt.session.resetSnapshot(stream.target, { removeRows: false });
    }
    stream.merge =
      stream.target.load === 'upsert' && !plan.empty && stream.target.schema.identity === 'key';
  }
}

/** Null where somebody holds a table of the source: the intake looks again, and those that are known go on. */
async function lookForTables(attempt: Attempt): Promise<readonly CatalogStream[] | null> {
  try {
    return await attempt.source.discover();
  } catch (error) {
    const failure = asForebayError(error);
    if (failure.code !== 'table_held') throw failure;
    return null;
  }
}

function tellMissing(
  attempt: Attempt,
  catalog: readonly CatalogStream[],
  known: ReadonlySet<string>,
): void {
  const readable = new Map(
    catalog.map(({ schema, readable: may }) => [streamId(schema.stream), may]),
  );
  for (const name of attempt.spec.selection) {
    if (known.has(name) || name.startsWith('!') || /[*?]/.test(name)) continue;
    const may = readable.get(name);
    if (may === true) continue;
    const what = may === false ? 'may not be read' : 'is not there at the source';
    attempt.progress.emit(
      { event: 'notice', message: `${what}; it joins when that has changed` },
      name,
    );
  }
}

/** Streams of a pipeline that goes on: those recorded, and tables that have come since. */
export async function resumeStreams(attempt: Attempt): Promise<void> {
  for (const record of attempt.state.streams) {
    const stream = fromRecord(record);
    assertAsBegun(attempt.spec, stream.target);
    stream.target = stamped(attempt.spec, stream.target);
    attempt.streams.set(record.stream, stream);
    if (!matches(attempt.spec.selection, record.stream)) {
      const message = 'is followed though --streams leaves it out: the pipeline was begun with it';
      attempt.progress.emit({ event: 'notice', message }, record.stream);
    }
    if (stream.state === 'paused' && stream.pause !== null) {
      attempt.progress.emit({ event: 'stream-paused', ...stream.pause }, record.stream);
    }
  }
  await takeUpResyncs(attempt);
  for (const stream of attempt.streams.values()) {
    if (stream.state !== 'paused')
      attempt.plans.set(stream.target.id, await attempt.destination.plan(stream.target));
  }
  const known = new Set(attempt.streams.keys());
  const catalog = await lookForTables(attempt);
  if (catalog === null) return;
  // Where nobody stands by, a name that is spelt wrong must not end what runs already: it is told.
  const strict = !attempt.spec.awaitSystems;
  if (!strict) tellMissing(attempt, catalog, known);
  for (const entry of selectStreams(catalog, attempt.spec.selection, known, strict)) {
    const id = streamId(entry.schema.stream);
    if (attempt.streams.has(id)) continue;
    const stream = joiningStream(attempt, entry);
    const others = [...attempt.streams.values()];
    // Why such a table is left out, or that it comes later, is told by the intake, which looks again.
    if (isHeld(entry.schema.ref, others)) continue;
    if (whyNotJoin(stream.target, others, attempt.sameSystem) !== null) continue;
    attempt.streams.set(id, stream);
    await attempt.session.save([toRecord(stream)], null);
  }
}

/** Which streams a pipeline has when it is recovered, and what each of them needs. */
import type { CatalogStream, TargetPlan } from '../core/connector.ts';
import type { Checkpoint } from '../core/checkpoint.ts';
import { ForebayError } from '../core/errors.ts';
import { streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { Attempt } from './attempt.ts';
import { followSchema, fitTable, type SchemaStep } from './recover-schema.ts';
import { selectStreams, whyNotJoin } from './targets.ts';
import { newStream } from './start.ts';
import { fromRecord, type Pause, pauseOf, type RunningStream } from './stream-state.ts';

/**
 * `compare`  the destination has its rows: what differs is repaired
 * `load`     it has none, or part of them: all are loaded, and compared where there were some
 * `append`   it has the history of changes: the gap in it is bridged by the rows as they are now
 */
export type Treatment = 'compare' | 'load' | 'append';

export interface Recovering {
  readonly stream: RunningStream;
  /** Null for streams that the pipeline did not have. */
  readonly was: RunningStream | null;
  /** The table as the source has it. */
  readonly found: StreamSchema;
  readonly step: SchemaStep;
}

export interface Treated {
  readonly stream: RunningStream;
  readonly plan: TargetPlan;
  readonly treatment: Treatment;
  /** The stream's first load was not finished: what it brought may go. */
  readonly unfinished: boolean;
}

export interface Recalled {
  readonly followed: readonly Recovering[];
  /** The source has no table for them, or none that can be followed. */
  readonly unfollowed: readonly { readonly stream: RunningStream; readonly pause: Pause }[];
}

function cannotFollow(stream: RunningStream, entry: CatalogStream | undefined): Pause | null {
  const { id } = stream.target;
  if (entry === undefined) return pauseOf('table_dropped', `${id} is not there at the source`);
  if (!entry.readable) return pauseOf('privilege_missing', `${id} may not be read`);
  if (entry.schema.identity !== 'none' || stream.target.load === 'append') return null;
  return pauseOf('no_key', `${id} has no key by which updates and deletes could be followed`);
}

/** Recorded streams, whatever is selected now, and tables that have come since and are selected. */
export async function recallStreams(attempt: Attempt): Promise<Recalled> {
  const catalog = await attempt.source.discover();
  const entries = new Map(catalog.map((entry) => [streamId(entry.schema.stream), entry]));
  const followed: Recovering[] = [];
  const unfollowed: { stream: RunningStream; pause: Pause }[] = [];
  const take = (stream: RunningStream, was: RunningStream | null): void => {
    const { target } = stream;
    attempt.streams.set(target.id, stream);
    const entry = entries.get(target.id);
    const pause = cannotFollow(stream, entry);
    if (pause !== null || entry === undefined) {
      if (pause !== null) unfollowed.push({ stream, pause });
      return;
    }
    stream.estimatedRows = entry.estimatedRows;
    const memory = { schema: target.schema, retired: stream.retired };
    const step = followSchema(memory, entry.schema, attempt.spec.schemaChanges);
    followed.push({ stream, was, found: entry.schema, step });
  };
  for (const record of attempt.state.streams) take(fromRecord(record), fromRecord(record));
  for (const entry of selectStreams(catalog, attempt.spec.selection)) {
    if (attempt.streams.has(streamId(entry.schema.stream))) continue;
    const stream = newStream(attempt, entry);
    const refusal = whyNotJoin(stream.target, attempt.streams.values(), attempt.sameSystem);
    if (refusal === null) take(stream, null);
    else {
      const message = `is left out: ${refusal.message}`;
      attempt.progress.emit({ event: 'notice', message }, stream.target.id);
    }
  }
  return { followed, unfollowed };
}

function treatmentOf(attempt: Attempt, recovering: Recovering, plan: TargetPlan): Treatment {
  const { stream, was, step } = recovering;
  if (stream.target.load === 'append') return 'append';
  if (attempt.destination.transforms === true) return 'load';
  const begun =
    was === null || was.state === 'snapshot' || was.state === 'pending' || was.chunks !== null;
  // A table that is replaced is never altered; with other columns it is built anew.
  const rebuilt = stream.target.load === 'replace' && step.changes.length > 0;
  return begun || rebuilt || plan.empty ? 'load' : 'compare';
}

/** Makes the stream's table fit; null if it does not and the stream stays paused, with the destination's reason. */
export async function treatStream(
  attempt: Attempt,
  recovering: Recovering,
  checkpoint: Checkpoint,
): Promise<Treated | null> {
  const { stream, was, step } = recovering;
  const target = { ...stream.target, schema: step.schema };
  const fitting = await fitTable(attempt, target, { steps: step.steps, checkpoint });
  if (fitting.kind === 'unfit') {
    const { error } = fitting;
    const reason = error.why === null ? error.message : `${error.message}: ${error.why}`;
    stream.state = 'paused';
    stream.pause =
      was?.pause == null
        ? pauseOf(error.code, reason, error.fix)
        : { ...was.pause, fix: `${reason}. ${error.fix}` };
    return null;
  }
  stream.target = target;
  stream.retired = step.retired;
  const { plan } = fitting;
  attempt.plans.set(target.id, plan);
  const treatment = treatmentOf(attempt, recovering, plan);
  if (was === null && target.schema.identity !== 'key' && target.load === 'upsert' && !plan.empty) {
    throw new ForebayError('destination_incompatible', {
      message: `${streamId(target.table)} holds rows already, and ${target.id} has no key to merge by`,
      fix: 'Empty the table, or leave the stream out.',
      stream: target.id,
    });
  }
  const unfinished = was !== null && (was.state === 'snapshot' || was.chunks !== null);
  return { stream, plan, treatment, unfinished };
}

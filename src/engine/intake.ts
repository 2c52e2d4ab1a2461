/**
 * Tables that join a running pipeline, and tables that must be read again: loaded chunk by chunk beside the
 * stream. A chunk is read between two applied transactions, so it shows at least everything applied so far;
 * every later change is applied over it. That holds only if the chunk's snapshot shows each transaction that
 * was applied already: the commit of one may be in the log before the server shows it to others (it waits for
 * a synchronous standby), so such a chunk is read anew.
 */
import { setTimeout as delay } from 'node:timers/promises';

import type { TransactionMark } from '../core/change-event.ts';
import type { Checkpoint, StreamRecord } from '../core/checkpoint.ts';
import type {
  CatalogStream,
  ChangeCapability,
  ChangeReader,
  SnapshotChunk,
  SnapshotReader,
} from '../core/connector.ts';
import { asForebayError, ForebayError } from '../core/errors.ts';
import { failpoint, failpointsArmed } from '../core/failpoint.ts';
import type { Position } from '../core/position.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { CellEncoding } from '../core/value.ts';
import { StreamFailure } from './applier.ts';
import { type Attempt, needSnapshot } from './attempt.ts';
import { CatalogWatch } from './catalog-watch.ts';
import { Gaps } from './gaps.ts';
import { HELD_RETRY_MS, HeldTables, LOCK_WAIT_MS } from './held-tables.ts';
import { PassedSnapshots } from './passed-snapshots.ts';
import { endResync, isRepaired, repairUnder } from './resync.ts';
import {
  concernsOneStream,
  countLoad,
  finishStream,
  loadOneChunk,
  pauseStream,
} from './snapshot-phase.ts';
import { joiningStream, lacksKey } from './start.ts';
import { hasHistory, type RunningStream, toRecord } from './stream-state.ts';
import { SurplusRows } from './surplus-rows.ts';
import { TablesAhead } from './table-ahead.ts';
import { assertLoadable, needsExactStart } from './targets.ts';

/** Small: the stream waits while a chunk is loaded. */
const INTAKE_CHUNK_BYTES = 16 * 1024 * 1024;
const REMEMBERED_TRANSACTIONS = 100_000;
const RETRY_MS = 50;

export interface IntakeOptions {
  readonly attempt: Attempt;
  readonly changes: ChangeCapability;
  readonly reader: ChangeReader;
  readonly encoding: CellEncoding;
  /** The stream must be opened anew as text. */
  readonly wantText: () => void;
  /** Where the stream has come to. */
  readonly checkpoint: () => Checkpoint;
  /** Ends the destination's transaction there. */
  readonly commit: (records: readonly StreamRecord[]) => Promise<void>;
  /** Brings the stream's table to these columns, in a transaction of its own. */
  readonly evolve: (stream: RunningStream, shape: StreamSchema) => Promise<void>;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #applied: TransactionMark[] = [];
  readonly #loading: RunningStream[] = [];
  readonly #joining = new Set<RunningStream>();
  readonly #watch: CatalogWatch;
  readonly #setAside: { readonly stream: RunningStream; readonly error: ForebayError }[] = [];
  readonly #ready: RunningStream[] = [];
  readonly #done = new Map<RunningStream, Set<string>>();
  readonly #ahead: TablesAhead;
  readonly #passed: PassedSnapshots;
  readonly #held: HeldTables;
  readonly #gaps: Gaps;
  readonly #surplus: SurplusRows;
  #failure: ForebayError | null = null;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#held = new HeldTables(options.attempt);
    this.#gaps = new Gaps({
      attempt: options.attempt,
      changes: options.changes,
      publish: (stream) => this.#publish(stream),
      letGo: (stream) => this.#letGo(stream),
      reread: (stream) => this.reread(stream),
    });
    this.#watch = new CatalogWatch({
      attempt: options.attempt,
      held: this.#held,
      changes: options.changes,
      letGo: (stream) => this.#letGo(stream),
      reread: (stream) => this.reread(stream),
      gaps: this.#gaps,
      admit: (entry, replaces) => this.#admit(entry, replaces),
    });
    this.#ahead = new TablesAhead(options.changes);
    this.#passed = new PassedSnapshots(options.attempt, options.changes);
    this.#surplus = new SurplusRows({ ...options, openSnapshot: () => this.#openSnapshot() });
  }

  /** True if every stream that should be there is loaded, and none that is gone waits to be let go. */
  get isSettled(): boolean {
    // From joining to loading a stream stands in `ready` for a while: every place counts.
    const waiting = this.#ready.length + this.#setAside.length + this.#loading.length;
    const parts = [this.#passed, this.#watch, this.#gaps, this.#surplus];
    return parts.every((part) => part.waiting === 0) && this.#joining.size + waiting === 0;
  }

  remember(marks: readonly TransactionMark[]): void {
    this.#applied.push(...marks);
    const excess = this.#applied.length - REMEMBERED_TRANSACTIONS;
    if (excess > REMEMBERED_TRANSACTIONS / 4) this.#applied.splice(0, excess);
  }

  /** Streams whose loading an earlier run began, or that were promised. */
  resume(): void {
    for (const stream of this.#options.attempt.streams.values()) {
      if (stream.state === 'pending' || stream.state === 'snapshot') this.#join(stream);
    }
  }

  /** The rows of this stream are to be read again. */
  reread(stream: RunningStream): void {
    stream.chunks = null;
    stream.merge = true;
    if (stream.state === 'streaming') stream.state = 'snapshot';
    if (!this.#loading.includes(stream)) this.#loading.push(stream);
  }

  /** Looks for tables that appeared, went or changed, without waiting for the time; false if that cannot be seen now. */
  poll(): Promise<boolean> {
    return this.#watch.poll();
  }

  /** One step of work, between two transactions. `applied` is what the destination has. */
  async step(applied: Position): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await this.#watch.step(applied);
    await this.#gaps.step(applied);
    await this.#passed.step(applied);
    await this.#surplus.step();
    const stream = this.#loading.find(
      (candidate) =>
        !this.#ahead.mustWait(candidate, applied) && !this.#held.mustWait(candidate.target.id),
    );
    if (stream === undefined) return;
    try {
      await this.#load(stream, applied);
      this.#held.forget(stream.target.id);
    } catch (error) {
      if (error instanceof StreamFailure) throw error;
      await this.#loadFailed(stream, asForebayError(error));
    }
  }

  async #admit(entry: CatalogStream, replaces: boolean): Promise<void> {
    const { attempt } = this.#options;
    const stream = joiningStream(attempt, entry);
    attempt.streams.set(stream.target.id, stream);
    attempt.progress.emit(
      {
        event: 'notice',
        message: replaces ? 'table was made anew and is read again' : 'new table',
      },
      stream.target.id,
    );
    // Emptied before it is recorded as new: a run that ends between the two finds it as it was and does it again.
    if (replaces) {
      await attempt.session.resetSnapshot(stream.target, { removeRows: true });
      if (failpointsArmed) await failpoint('resync.beforeRecord');
    }
    await attempt.session.save([toRecord(stream)], null);
    this.#join(stream);
  }

  #join(stream: RunningStream): void {
    this.#joining.add(stream);
    this.#prepare(stream)
      .catch((error: unknown) => {
        const failure = asForebayError(error);
        if (concernsOneStream(failure)) this.#setAside.push({ stream, error: failure });
        else this.#failure = failure;
      })
      .finally(() => this.#joining.delete(stream));
  }

  async #prepare(stream: RunningStream): Promise<void> {
    const { attempt, changes, reader, encoding } = this.#options;
    const { schema } = stream.target;
    if (lacksKey(attempt, stream)) {
      const error = new ForebayError('no_key', {
        message: `${stream.target.id} has no key by which updates and deletes could be followed`,
        stream: stream.target.id,
      });
      this.#setAside.push({ stream, error });
      return;
    }
    if (!changes.encodings([schema]).includes(encoding)) {
      this.#options.wantText();
      return;
    }
    // Taken in before it is published: from its first change on, whatever is not yet wanted is left out by the
    // applier, which remembers the transaction.
    reader.include([schema]);
    const membership = await this.#publish(stream);
    // One that goes on being loaded keeps its own, so that a gap in the meantime shows.
    if (stream.state === 'pending') stream.membership = membership;
    if (stream.state !== 'paused') this.#ready.push(stream);
  }

  async #publish({ target }: RunningStream): Promise<string | null> {
    const { attempt, changes } = this.#options;
    for (;;) {
      try {
        const memberships = await changes.addStreams(attempt.spec.name, [target.schema]);
        this.#held.forget(target.id);
        return memberships.get(target.id) ?? null;
      } catch (error) {
        if (asForebayError(error).code !== 'table_held' || attempt.control.drain.aborted)
          throw error;
        this.#held.failed(target.id);
      }
      await delay(HELD_RETRY_MS, undefined, { signal: attempt.signal });
    }
  }

  /** Streams that are prepared go over into loading; done in the loop's own turn, between transactions. */
  async admitReady(): Promise<void> {
    const { attempt } = this.#options;
    for (const { stream, error } of this.#setAside.splice(0))
      if (stream.state !== 'paused') await pauseStream(attempt, stream, error);
    for (const stream of this.#ready.splice(0)) {
      try {
        const plan = await attempt.destination.plan(stream.target);
        attempt.plans.set(stream.target.id, plan);
        // Rows that are there are its own once its load has begun.
        if (stream.state === 'pending') assertLoadable(stream.target, plan);
        stream.state = 'snapshot';
        await attempt.session.save([toRecord(stream)], null, [stream.target]);
        this.#loading.push(stream);
      } catch (error) {
        const failure = asForebayError(error);
        if (!concernsOneStream(failure)) throw failure;
        await pauseStream(attempt, stream, failure);
      }
    }
  }

  async #load(stream: RunningStream, applied: Position): Promise<void> {
    await using snapshot = await this.#openSnapshot();
    if (snapshot === null) return;
    // Where changes are ignored, the stream's columns stay as they are.
    const ignored = this.#options.attempt.spec.schemaChanges === 'ignore';
    const catalog = ignored ? [] : ((await snapshot.discover?.()) ?? []);
    const readiness = await this.#ahead.look(stream, catalog);
    if (readiness.kind === 'wait') return;
    if (readiness.kind === 'adopt') await this.#adopt(stream, readiness.shape);
    else if (isRepaired(stream)) await this.#repair(stream, snapshot);
    else if (needsExactStart(stream.target)) await this.#loadWhole(stream, snapshot, applied);
    else await this.#loadNext(stream, snapshot);
  }

  /** The stream is loaded under a later snapshot. */
  async #adopt(stream: RunningStream, shape: StreamSchema): Promise<void> {
    const { changes, encoding, wantText, evolve } = this.#options;
    if (changes.encodings([shape]).includes(encoding)) await evolve(stream, shape);
    else wantText();
  }

  async #loadNext(stream: RunningStream, snapshot: SnapshotReader): Promise<void> {
    const { attempt } = this.#options;
    const chunks = await snapshot.chunks(stream.target.schema, {
      previous: stream.chunks,
      targetBytes: INTAKE_CHUNK_BYTES,
    });
    const ids = chunks.map((chunk) => chunk.id);
    if (stream.chunks === null || ids.join() !== stream.chunks.join()) {
      await attempt.session.resetSnapshot(stream.target, { removeRows: false });
      this.#done.set(stream, new Set());
      stream.chunks = ids;
      await attempt.session.save([toRecord(stream)], null);
    }
    const done = this.#doneChunks(stream);
    const next = chunks.find((chunk) => !done.has(chunk.id));
    if (next !== undefined) {
      stream.merge = true;
      await this.#loadChunk(snapshot, stream, next);
      done.add(next.id);
      if (failpointsArmed) await failpoint('resync.afterChunk');
    }
    if (chunks.every((chunk) => done.has(chunk.id))) await this.#finish(stream);
  }

  /** Values of a dropped column are kept where they are, unless the stream will not tell of the drop. */
  async #loadChunk(
    snapshot: SnapshotReader,
    stream: RunningStream,
    chunk: SnapshotChunk,
  ): Promise<void> {
    const { attempt } = this.#options;
    const dropped = this.#ahead.hasWaited(stream) ? 'null' : 'fail';
    countLoad(attempt, stream, await loadOneChunk(attempt, snapshot, { stream, chunk }, dropped));
  }

  #doneChunks(stream: RunningStream): Set<string> {
    const done =
      this.#done.get(stream) ?? new Set(this.#options.attempt.state.chunks.get(stream.target.id));
    this.#done.set(stream, done);
    return done;
  }

  /**
   * All under one snapshot, while the stream waits; changes that it shows are then left out, except from a history.
   * Its rows stand after all that was applied, so that they are the newest of their keys.
   */
  async #loadWhole(
    stream: RunningStream,
    snapshot: SnapshotReader,
    applied: Position,
  ): Promise<void> {
    const { attempt } = this.#options;
    await attempt.session.resetSnapshot(stream.target, { removeRows: true });
    const chunks = await snapshot.chunks(stream.target.schema, {
      previous: null,
      targetBytes: INTAKE_CHUNK_BYTES,
    });
    stream.merge = false;
    stream.snapshotOrder = this.#options.changes.orderOf(applied);
    for (const chunk of chunks) {
      await this.#loadChunk(snapshot, stream, chunk);
      if (failpointsArmed) await failpoint('resync.afterChunk');
      if (attempt.control.drain.aborted) return;
    }
    stream.visibility = hasHistory(stream) ? null : snapshot.visibility;
    await this.#finish(stream);
  }

  async #repair(stream: RunningStream, snapshot: SnapshotReader): Promise<void> {
    const { attempt, checkpoint } = this.#options;
    if (!(await repairUnder(attempt, stream, { snapshot, checkpoint: checkpoint() }))) return;
    await this.#finish(stream);
  }

  async #finish(stream: RunningStream): Promise<void> {
    this.#letGo(stream);
    endResync(this.#options.attempt, stream);
    await finishStream(this.#options.attempt, stream);
  }

  /** Another stream may have its table and its name from now on: nothing is done for this one any more. */
  #letGo(stream: RunningStream): void {
    for (const list of [this.#loading, this.#ready]) {
      const at = list.indexOf(stream);
      if (at >= 0) list.splice(at, 1);
    }
    this.#done.delete(stream);
    this.#ahead.forget(stream);
    this.#held.forget(stream.target.id);
  }

  /** Null if the snapshot does not show everything that was applied; it is tried again at the next step. */
  async #openSnapshot(): Promise<SnapshotReader | null> {
    const { attempt, changes } = this.#options;
    const snapshot = await needSnapshot(attempt.source).open({
      parallel: 1,
      lockWaitMs: LOCK_WAIT_MS,
    });
    const { visibility } = snapshot;
    const shows = (mark: TransactionMark): boolean =>
      visibility === null || changes.isVisible(visibility, mark);
    if (this.#applied.every(shows)) return snapshot;
    await snapshot[Symbol.asyncDispose]();
    await delay(RETRY_MS);
    return null;
  }

  /**
   * The table may be ahead of the stream, which then gets the time to bring the change: until all is applied that was
   * committed by now. A table that was written anew needs a new snapshot only.
   */
  async #loadFailed(stream: RunningStream, error: ForebayError): Promise<void> {
    if (error.code === 'table_rewritten') {
      // After the others: it may be written anew again and again.
      this.#loading.push(...this.#loading.splice(this.#loading.indexOf(stream), 1));
      return;
    }
    if (error.code === 'table_held') {
      this.#held.failed(stream.target.id);
      return;
    }
    if (await this.#ahead.failed(stream, error)) return;
    if (!concernsOneStream(error)) throw error;
    this.#letGo(stream);
    await pauseStream(this.#options.attempt, stream, error);
  }
}

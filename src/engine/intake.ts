/**
 * Tables that join a running pipeline, and tables that must be read again: loaded chunk by chunk beside the
 * stream. A chunk is read between two applied transactions, so it shows at least everything applied so far;
 * every later change is applied over it. That holds only if the chunk's snapshot shows each transaction that
 * was applied already: the commit of one may be in the log before the server shows it to others (it waits for
 * a synchronous standby), so such a chunk is read anew.
 */
import type { TransactionMark } from '../core/change-event.ts';
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
import { streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { CellEncoding } from '../core/value.ts';
import { StreamFailure } from './applier.ts';
import { type Attempt, needSnapshot } from './attempt.ts';
import { matches } from './selection.ts';
import {
  concernsOneStream,
  countLoad,
  finishStream,
  loadOneChunk,
  pauseStream,
} from './snapshot-phase.ts';
import { lacksKey, newStream } from './start.ts';
import { hasHistory, pauseOf, type RunningStream, toRecord } from './stream-state.ts';
import { TablesAhead } from './table-ahead.ts';
import { assertLoadable, needsExactStart } from './targets.ts';

const POLL_MS = 3000;
/** Small, because the stream waits while a chunk is loaded. */
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
  /** Brings the stream's table to these columns, in a transaction of its own. */
  readonly evolve: (stream: RunningStream, shape: StreamSchema) => Promise<void>;
}

interface Leaving {
  readonly stream: RunningStream;
  readonly after: Position;
  readonly reason: string;
  /** Another table stands under its name. */
  readonly remade: boolean;
}

export class Intake {
  readonly #options: IntakeOptions;
  readonly #applied: TransactionMark[] = [];
  readonly #loading: RunningStream[] = [];
  readonly #joining = new Set<RunningStream>();
  readonly #leaving: Leaving[] = [];
  readonly #setAside: { readonly stream: RunningStream; readonly error: ForebayError }[] = [];
  readonly #ready: RunningStream[] = [];
  readonly #done = new Map<RunningStream, Set<string>>();
  readonly #ahead: TablesAhead;
  #failure: ForebayError | null = null;
  #lastPollAt = performance.now();

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#ahead = new TablesAhead(options.changes);
  }

  /** True if every stream that should be there is loaded, and none that is gone waits to be let go. */
  get isSettled(): boolean {
    // From joining to loading a stream stands in `ready` for a while: every place counts.
    const waiting = this.#joining.size + this.#ready.length + this.#setAside.length;
    return waiting === 0 && this.#loading.length === 0 && this.#leaving.length === 0;
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

  /** One step of work, between two transactions. `applied` is what the destination has. */
  async step(applied: Position, force: boolean): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    await this.#leave(applied);
    if (force || performance.now() - this.#lastPollAt >= POLL_MS) await this.poll();
    const stream = this.#loading.find((candidate) => !this.#ahead.mustWait(candidate, applied));
    if (stream === undefined) return;
    try {
      await this.#load(stream, applied);
    } catch (error) {
      if (error instanceof StreamFailure) throw error;
      await this.#loadFailed(stream, asForebayError(error));
    }
  }

  /** Looks for tables that appeared, went or were made anew. */
  async poll(): Promise<void> {
    const { attempt } = this.#options;
    const catalog = await attempt.source.discover();
    const byId = new Map(catalog.map((entry) => [streamId(entry.schema.stream), entry]));
    for (const stream of attempt.streams.values()) {
      const entry = byId.get(stream.target.id);
      await this.#noteGone(stream, entry);
      await this.#noteAttached(stream, entry);
    }
    for (const entry of catalog) await this.#noteNew(entry);
    this.#lastPollAt = performance.now();
  }

  async #noteGone(stream: RunningStream, entry: CatalogStream | undefined): Promise<void> {
    const { schema } = stream.target;
    const active =
      stream.state !== 'paused' && !this.#leaving.some((leaving) => leaving.stream === stream);
    if (!active || entry?.schema.ref === schema.ref) return;
    const what = entry === undefined ? 'was dropped or renamed' : 'was dropped and made anew';
    this.#leaving.push({
      stream,
      after: await this.#options.changes.currentPosition(),
      reason: `${stream.target.id} ${what} at the source`,
      remade: entry !== undefined,
    });
  }

  /** Rows of a partition that was attached are in no change. */
  async #noteAttached(stream: RunningStream, entry: CatalogStream | undefined): Promise<void> {
    const { attempt } = this.#options;
    if (stream.state !== 'streaming' || entry?.schema.ref !== stream.target.schema.ref) return;
    const attached = entry.attached ?? [];
    const isNew = attached.some((part) => !stream.attached.includes(part));
    stream.attached = attached;
    if (!isNew) return;
    this.reread(stream);
    await attempt.session.save([toRecord(stream)], null);
    const message = 'a partition was attached; the table is read again';
    attempt.progress.emit({ event: 'notice', message }, stream.target.id);
  }

  /** What the log still holds for a table that is gone has been applied: now it is let go. */
  async #leave(applied: Position): Promise<void> {
    const { attempt, changes } = this.#options;
    let remade = false;
    for (const leaving of this.#leaving.splice(0)) {
      if (changes.comparePositions(applied, leaving.after) < 0) {
        this.#leaving.push(leaving);
        continue;
      }
      const { stream } = leaving;
      if (stream.state === 'paused') continue;
      stream.state = 'paused';
      stream.pause = pauseOf('table_dropped', leaving.reason);
      await attempt.session.save([toRecord(stream)], null);
      attempt.progress.emit({ event: 'stream-paused', ...stream.pause }, stream.target.id);
      remade ||= leaving.remade;
    }
    // Its successor joins at once: a run that ends when it has caught up would leave it to the next.
    if (remade) await this.poll();
  }

  async #noteNew(entry: CatalogStream): Promise<void> {
    const { attempt } = this.#options;
    const { schema } = entry;
    const id = streamId(schema.stream);
    if (!entry.readable || !matches(attempt.spec.selection, id)) return;
    const known = attempt.streams.get(id);
    const replaces =
      known !== undefined && known.state === 'paused' && known.target.schema.ref !== schema.ref;
    if (known !== undefined && !replaces) return;
    const heldByOther = [...attempt.streams.values()].some(
      (stream) => stream.target.schema.ref === schema.ref && stream.state !== 'paused',
    );
    if (heldByOther) return;
    if (replaces && attempt.spec.schemaChanges === 'pause') return;
    await this.#admit(entry, replaces);
  }

  async #admit(entry: CatalogStream, replaces: boolean): Promise<void> {
    const { attempt } = this.#options;
    const stream: RunningStream = { ...newStream(attempt, entry), state: 'pending', merge: true };
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
        this.#failure = asForebayError(error);
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
    await changes.addStreams(attempt.spec.name, [schema]);
    this.#ready.push(stream);
  }

  /** Streams that are prepared go over into loading; done in the loop's own turn, between transactions. */
  async admitReady(): Promise<void> {
    const { attempt } = this.#options;
    for (const { stream, error } of this.#setAside.splice(0))
      await pauseStream(attempt, stream, error);
    for (const stream of this.#ready.splice(0)) {
      try {
        const plan = await attempt.destination.plan(stream.target);
        attempt.plans.set(stream.target.id, plan);
        if (stream.chunks === null) assertLoadable(stream.target, plan);
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
    let done = this.#done.get(stream);
    if (done === undefined) {
      done = new Set(this.#options.attempt.state.chunks.get(stream.target.id));
      this.#done.set(stream, done);
    }
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

  async #finish(stream: RunningStream): Promise<void> {
    this.#loading.splice(this.#loading.indexOf(stream), 1);
    this.#done.delete(stream);
    this.#ahead.forget(stream);
    await finishStream(this.#options.attempt, stream);
  }

  /** Null if the snapshot does not show everything that was applied; it is tried again at the next step. */
  async #openSnapshot(): Promise<SnapshotReader | null> {
    const { attempt, changes } = this.#options;
    const snapshot = await needSnapshot(attempt.source).open({ parallel: 1 });
    const { visibility } = snapshot;
    const shows = (mark: TransactionMark): boolean =>
      visibility === null || changes.isVisible(visibility, mark);
    if (this.#applied.every(shows)) return snapshot;
    await snapshot[Symbol.asyncDispose]();
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    return null;
  }

  /**
   * The table may be ahead of the stream, which then gets the time to bring the change: until all is applied that was
   * committed by now. A table that was written anew needs a new snapshot only.
   */
  async #loadFailed(stream: RunningStream, error: ForebayError): Promise<void> {
    if (error.code === 'table_rewritten') return;
    if (await this.#ahead.failed(stream, error)) return;
    if (!concernsOneStream(error)) throw error;
    this.#ahead.forget(stream);
    this.#loading.splice(this.#loading.indexOf(stream), 1);
    await pauseStream(this.#options.attempt, stream, error);
  }
}

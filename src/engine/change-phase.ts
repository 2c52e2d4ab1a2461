/** Follows the change stream from the checkpoint until told to stop or until caught up. */
import type { Checkpoint } from '../core/checkpoint.ts';
import type { ChangeReader } from '../core/connector.ts';
import { asForebayError, type ForebayError } from '../core/errors.ts';
import type { Position, SourceIdentity } from '../core/position.ts';
import { SLAB_BYTES } from '../core/slab.ts';
import type { StreamSchema } from '../core/stream-schema.ts';
import type { CellEncoding } from '../core/value.ts';
import { Applier, StreamFailure } from './applier.ts';
import { type Attempt, needChanges } from './attempt.ts';
import { Batcher } from './batcher.ts';
import { Checkpointer } from './checkpointer.ts';
import { Intake } from './intake.ts';
import { measureLag } from './lag.ts';
import { pauseStream } from './snapshot-phase.ts';
import type { RunningStream } from './stream-state.ts';

const TURN_MS = 200;
const BUSY_TURN_MS = 5;
const POKE_MS = 100;
const LAG_MS = 500;
/** The reader holds one itself, and what is being written another: with fewer, it would wait for itself. */
const LEAST_SLABS = 4;

export type ChangePhaseEnd =
  | { readonly kind: 'drained' }
  | { readonly kind: 'caught-up' }
  /** To be opened again from the checkpoint: a stream was set aside, or must be read as text. */
  | { readonly kind: 'again'; readonly textOnly: boolean };

export interface ChangePhaseOptions {
  readonly start: Position;
  readonly identity: SourceIdentity;
  /** Ends once everything up to here is applied; null: only when told. */
  readonly until: Position | null;
}

class ChangeLoop {
  readonly #attempt: Attempt;
  readonly #options: ChangePhaseOptions;
  readonly #batcher: Batcher;
  readonly #reader: ChangeReader;
  readonly #applier: Applier;
  readonly #checkpointer: Checkpointer;
  readonly #intake: Intake;
  readonly #stop = new AbortController();
  #failure: ForebayError | null = null;
  #wantText = false;
  #lastLagAt = 0;
  #lastPokeAt = 0;
  #lastCommitMicros: bigint | null = null;
  #polledAtEnd = false;
  /** The destination's transaction under way: its begin, and what it holds. */
  #batch: { readonly startedAtMs: number; rows: number; bytes: number } | null = null;

  constructor(parts: {
    readonly attempt: Attempt;
    readonly options: ChangePhaseOptions;
    readonly batcher: Batcher;
    readonly reader: ChangeReader;
    readonly encoding: CellEncoding;
  }) {
    const { attempt, options, batcher, reader, encoding } = parts;
    this.#attempt = attempt;
    this.#options = options;
    this.#batcher = batcher;
    this.#reader = reader;
    const changes = needChanges(attempt.source);
    this.#intake = new Intake({
      attempt,
      changes,
      reader,
      encoding,
      wantText: () => {
        this.#wantText = true;
      },
      evolve: (stream, shape) => this.#evolve(stream, shape),
      checkpoint: () => this.#checkpoint(),
      commit: (records) => this.#checkpointer.commit(this.#applied(), records),
    });
    this.#applier = new Applier({
      attempt,
      changes,
      readAgain: (stream) => this.#intake.reread(stream),
    });
    this.#checkpointer = new Checkpointer({
      session: attempt.session,
      changes,
      reader,
      identity: options.identity,
      start: options.start,
      accounts: () => this.#applier.accounts(),
      committed: (position) => {
        attempt.notes.positionTo = position;
        attempt.progress.emit({ event: 'checkpoint', position });
      },
    });
  }

  async run(): Promise<ChangePhaseEnd> {
    const { signal } = this.#attempt;
    const onAbort = (): void => this.#stop.abort();
    signal.addEventListener('abort', onAbort, { once: true });
    this.#attempt.control.drain.addEventListener('abort', onAbort, { once: true });
    const reading = this.#reader.run(this.#stop.signal).catch((error: unknown) => {
      this.#failure = asForebayError(error);
      this.#stop.abort();
    });
    try {
      this.#intake.resume();
      return await this.#loop();
    } finally {
      this.#stop.abort();
      signal.removeEventListener('abort', onAbort);
      this.#attempt.control.drain.removeEventListener('abort', onAbort);
      await reading;
    }
  }

  async #loop(): Promise<ChangePhaseEnd> {
    for (;;) {
      if (this.#failure !== null) return this.#failed(this.#failure);
      if (this.#attempt.control.drain.aborted) return this.#drain();
      const busy = !this.#intake.isSettled || this.#options.until !== null;
      const piece = await this.#batcher.next(busy ? BUSY_TURN_MS : TURN_MS, this.#stop.signal);
      try {
        if (piece !== null) await this.#apply(piece);
        if (!this.#applier.isOpen && (await this.#turn())) return { kind: 'caught-up' };
      } catch (error) {
        if (error instanceof StreamFailure) return await this.#setAside(error);
        throw error;
      }
      if (this.#wantText && !this.#applier.isOpen) return { kind: 'again', textOnly: true };
    }
  }

  async #apply(piece: Parameters<Applier['write']>[0]): Promise<void> {
    this.#batch ??= { startedAtMs: Date.now(), rows: 0, bytes: 0 };
    this.#batch.rows += piece.events;
    this.#batch.bytes += piece.bytes;
    try {
      await this.#applier.write(piece);
      this.#intake.remember(piece.transactions);
      if (piece.commit !== null) {
        await this.#applier.settle();
        await this.#checkpointer.commit(piece.commit, this.#applier.records());
        this.#applier.committed();
        const [only, ...others] = piece.streams.keys();
        const stream = others.length === 0 ? (only ?? null) : null;
        const { progress } = this.#attempt;
        progress.committed({ kind: 'changes', stream, ...this.#batch, upTo: piece.commit });
        this.#batch = null;
      }
    } finally {
      this.#batcher.release(piece);
    }
    const last = piece.transactions.at(-1)?.committedAtMicros;
    if (last !== undefined && piece.commit !== null) this.#lastCommitMicros = last;
    this.#tellLag();
  }

  /** Work between transactions; true when the run has caught up. */
  async #turn(): Promise<boolean> {
    await this.#intake.admitReady();
    await this.#intake.step(this.#applied());
    const idle = this.#batcher.idlePosition;
    await this.#checkpointer.idle(idle, false);
    this.#tellLag();
    const { until } = this.#options;
    if (until === null) return false;
    if (needChanges(this.#attempt.source).comparePositions(this.#applied(), until) < 0) {
      this.#poke();
      return false;
    }
    this.#polledAtEnd ||= await this.#intake.poll();
    if (!this.#polledAtEnd || !this.#intake.isSettled || this.#wantText) return false;
    await this.#checkpointer.idle(this.#batcher.idlePosition, true);
    this.#tellLag(true);
    return true;
  }

  /** The stream will not tell of these columns, or not soon: see `TablesAhead`. */
  async #evolve(stream: RunningStream, shape: StreamSchema): Promise<void> {
    const { version } = stream.target.schema;
    await this.#applier.evolve(stream, { ...shape, version: version + 1 });
    await this.#checkpointer.commit(this.#applied(), this.#applier.records());
    this.#applier.committed();
    this.#reader.include([stream.target.schema]);
  }

  /** What is durable, with the rows of this run. */
  #checkpoint(): Checkpoint {
    const { position } = this.#checkpointer;
    const { identity } = this.#options;
    return { position, source: identity, accounts: this.#applier.accounts() };
  }

  /** Everything up to here is at the destination, counting what held nothing for us. */
  #applied(): Position {
    const idle = this.#batcher.idlePosition;
    const { position } = this.#checkpointer;
    if (idle === null) return position;
    return needChanges(this.#attempt.source).comparePositions(idle, position) > 0 ? idle : position;
  }

  #poke(): void {
    const now = performance.now();
    if (now - this.#lastPokeAt < POKE_MS) return;
    this.#lastPokeAt = now;
    this.#reader.poke();
  }

  #tellLag(atOnce = false): void {
    const now = performance.now();
    if (!atOnce && now - this.#lastLagAt < LAG_MS) return;
    this.#lastLagAt = now;
    this.#attempt.progress.setLag(
      measureLag({
        applied: this.#applied(),
        status: this.#reader.status(),
        pending: this.#batcher.idlePosition === null,
        lastCommitMicros: this.#lastCommitMicros,
        nowMs: Date.now(),
        distance: (from, to) => needChanges(this.#attempt.source).distanceBytes(from, to),
      }),
    );
    this.#attempt.progress.reportAll();
  }

  /** What is written but not committed is given up; it will come again. */
  async #drain(): Promise<ChangePhaseEnd> {
    await this.#applier.giveUp();
    if (!this.#applier.isOpen) await this.#checkpointer.idle(this.#batcher.idlePosition, true);
    this.#tellLag(true);
    return { kind: 'drained' };
  }

  async #failed(failure: ForebayError): Promise<ChangePhaseEnd> {
    await this.#applier.giveUp();
    if (failure.code === 'encoding_changed') return { kind: 'again', textOnly: true };
    throw failure;
  }

  async #setAside(failure: StreamFailure): Promise<ChangePhaseEnd> {
    await this.#applier.giveUp();
    await pauseStream(this.#attempt, failure.stream, failure.failure);
    return { kind: 'again', textOnly: this.#attempt.textOnly };
  }
}

export async function changePhase(
  attempt: Attempt,
  options: ChangePhaseOptions,
): Promise<ChangePhaseEnd> {
  const { spec } = attempt;
  const changes = needChanges(attempt.source);
  const schemas = [...attempt.streams.values()]
    .filter((stream) => stream.state === 'streaming' || stream.state === 'snapshot')
    .map((stream) => stream.target.schema);
  const needsText = attempt.textOnly || attempt.destination.transforms === true;
  const encoding = needsText ? 'text' : (changes.encodings(schemas)[0] ?? 'text');
  const batcher = new Batcher(attempt.slabs, {
    rows: spec.batchRows,
    ms: spec.batchMs,
    // An eighth of the budget for slabs: as much again for the words beside them (rows may be narrow), the rest
    // for what is being written and what the destination holds.
    bytes: Math.max(spec.memoryBytes / 8, LEAST_SLABS * SLAB_BYTES),
  });
  await using reader = await changes.open({
    pipeline: spec.name,
    position: options.start,
    streams: schemas,
    encoding,
    sink: batcher,
  });
  return await new ChangeLoop({ attempt, options, batcher, reader, encoding }).run();
}

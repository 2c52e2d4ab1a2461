/**
 * Gathers decoded changes into pieces. A piece grows while the one before it is applied, so that a destination
 * that lags gets larger ones; it ends at a transaction's end unless one transaction alone is too large.
 */
import type { ChangePiece, ChangeSink, StreamItem, TransactionMark } from '../core/change-event.ts';
import type { Position } from '../core/position.ts';
import { RowBatchBuilder, type RowWords, wordBytes } from '../core/row-batch.ts';
import type { SlabPool } from '../core/slab.ts';
import { type StreamId, streamId, type StreamSchema } from '../core/stream-schema.ts';
import type { CellEncoding } from '../core/value.ts';

export interface BatchLimits {
  /** Events after which a piece is handed out if somebody waits for it. */
  readonly rows: number;
  /** Age of the oldest event after which it is handed out. */
  readonly ms: number;
  /** Memory in slabs at which reading stops. */
  readonly bytes: number;
}

/** Events after which a piece is closed although nobody waits. */
const LARGEST_IN_BATCHES = 3;

export interface PieceFacts {
  readonly events: number;
  readonly ageMs: number;
  /** Of its own values: those of pieces that wait before it say nothing about how large this one should be. */
  readonly bytes: number;
  readonly someoneWaits: boolean;
  readonly inTransaction: boolean;
}

/** Whether the piece under way should end here. Pure. */
export function shouldSeal(facts: PieceFacts, limits: BatchLimits): boolean {
  if (facts.events === 0) return false;
  const tooLarge =
    facts.events >= limits.rows * LARGEST_IN_BATCHES || facts.bytes >= limits.bytes / 2;
  if (tooLarge) return true;
  if (facts.inTransaction || !facts.someoneWaits) return false;
  return facts.events >= limits.rows || facts.ageMs >= limits.ms;
}

interface OpenPiece {
  readonly streams: Map<StreamId, OpenStream>;
  readonly transactions: TransactionMark[];
  readonly slabs: Set<Buffer>;
  /** What its batches lie in beside the slabs. */
  readonly words: RowWords[];
  readonly startedAt: number;
  commit: Position | null;
  events: number;
  bytes: number;
}

interface OpenStream {
  readonly items: StreamItem[];
  builder: RowBatchBuilder | null;
}

export class Batcher implements ChangeSink {
  readonly slabs: SlabPool;
  readonly #limits: BatchLimits;
  readonly #now: () => number;
  readonly #references = new Map<Buffer, number>();
  readonly #sealed: ChangePiece[] = [];
  /** Memory outside of V8's heap is returned by full collections only: a batch's words serve again. */
  readonly #freeWords: RowWords[] = [];
  #freeWordBytes = 0;
  readonly #wordsOf = new Map<ChangePiece, readonly RowWords[]>();
  #open: OpenPiece;
  /** Builder of the last row: most rows are of the same stream as the one before. */
  #lastBuilder: RowBatchBuilder | null = null;
  #mark: TransactionMark | null = null;
  #markIndex = -1;
  #event = 0;
  #inTransaction = false;
  #cutDue = false;
  /** A piece was cut from the transaction under way: its end must follow, with rows or without. */
  #parted = false;
  #idleAt: Position | null = null;
  /** Pieces that are sealed or handed out. */
  #unreleased = 0;
  #waiter: (() => void) | null = null;
  #drainWaiters: (() => void)[] = [];

  constructor(slabs: SlabPool, limits: BatchLimits, now: () => number = () => performance.now()) {
    this.slabs = slabs;
    this.#limits = limits;
    this.#now = now;
    this.#open = this.#newPiece();
  }

  openSlab(slab: Buffer): void {
    this.#references.set(slab, 1);
  }

  closeSlab(slab: Buffer): void {
    this.#release(slab);
  }

  begin(mark: TransactionMark): void {
    this.#mark = mark;
    this.#markIndex = -1;
    this.#event = 0;
    this.#inTransaction = true;
    this.#idleAt = null;
  }

  get transaction(): number {
    if (this.#markIndex < 0 && this.#mark !== null) {
      this.#markIndex = this.#open.transactions.push(this.#mark) - 1;
    }
    return this.#markIndex;
  }

  nextEvent(): number {
    this.cutIfDue();
    this.#open.events += 1;
    return this.#event++;
  }

  rows(schema: StreamSchema, encodings: readonly CellEncoding[], slab: Buffer): RowBatchBuilder {
    const last = this.#lastBuilder;
    if (last !== null && last.slab === slab && last.schema === schema) return last;
    const stream = this.#stream(streamId(schema.stream));
    const current = stream.builder;
    if (current !== null && current.slab === slab && current.schema === schema) {
      this.#lastBuilder = current;
      return current;
    }
    this.#close(stream);
    const builder = new RowBatchBuilder(schema, encodings, slab, this.#takeWords());
    stream.builder = builder;
    this.#lastBuilder = builder;
    if (!this.#open.slabs.has(slab)) {
      this.#open.slabs.add(slab);
      this.#references.set(slab, (this.#references.get(slab) ?? 0) + 1);
    }
    return builder;
  }

  added(bytes: number): void {
    this.#open.bytes += bytes;
    // An update may add two rows: the cut waits until the next event begins.
    if (this.#open.events >= this.#limits.rows * LARGEST_IN_BATCHES) this.#cutDue = true;
  }

  schema(schema: StreamSchema): void {
    this.#item(streamId(schema.stream), { kind: 'schema', schema });
  }

  dropped(stream: StreamId, reason: string): void {
    this.#item(stream, { kind: 'dropped', reason });
  }

  commit(position: Position): void {
    this.#inTransaction = false;
    this.#mark = null;
    this.#open.commit = position;
    this.#idleAt = position;
    if (this.#parted || this.#shouldSeal()) this.#seal();
  }

  idle(position: Position): void {
    if (!this.#inTransaction) this.#idleAt = position;
    this.#waiter?.();
  }

  /** While nothing is gathered nothing can be drained: a row larger than the memory is read all the same. */
  get full(): boolean {
    const drainable = this.#open.events > 0 || this.#unreleased > 0;
    return drainable && this.slabs.takenBytes >= this.#limits.bytes;
  }

  drained(): Promise<void> {
    if (!this.full) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drainWaiters.push(resolve);
    });
  }

  /** Cuts inside a transaction that has become too large; an event's rows are never parted. */
  cutIfDue(): void {
    if (!this.#cutDue) return;
    this.#cutDue = false;
    if (this.#inTransaction && this.#open.events > 0) this.#seal();
  }

  /**
   * Everything up to here has been handed out or there was nothing for us; null while something is gathered
   * or waits to be taken.
   */
  get idlePosition(): Position | null {
    const nothing = this.#sealed.length === 0 && !this.#hasContent() && !this.#inTransaction;
    return nothing ? this.#idleAt : null;
  }

  /** The next piece, or null when none came within the time. */
  async next(waitMs: number, signal: AbortSignal): Promise<ChangePiece | null> {
    const deadline = this.#now() + waitMs;
    for (;;) {
      const ready = this.#sealed.shift();
      if (ready !== undefined) return ready;
      const due = !this.#inTransaction && this.#hasContent() && this.#age() >= this.#limits.ms;
      // The reader stands still while memory is used up: what it has must go out, whole transaction or not.
      if (due || (this.full && this.#open.events > 0)) {
        this.#seal();
        continue;
      }
      const left = deadline - this.#now();
      if (left <= 0 || signal.aborted) return null;
      await this.#wait(this.#hasContent() ? Math.min(left, this.#limits.ms) : left, signal);
    }
  }

  /** What is whole now, without waiting; for the end of a run. */
  flush(): void {
    if (!this.#inTransaction && this.#hasContent()) this.#seal();
  }

  /** The rows of a piece are done with. */
  release(piece: ChangePiece): void {
    for (const slab of piece.slabs) this.#release(slab);
    for (const words of this.#wordsOf.get(piece) ?? []) this.#giveWords(words);
    this.#wordsOf.delete(piece);
    this.#unreleased -= 1;
    if (this.full) return;
    const waiters = this.#drainWaiters;
    this.#drainWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #hasContent(): boolean {
    return this.#open.streams.size > 0;
  }

  #age(): number {
    return this.#now() - this.#open.startedAt;
  }

  #shouldSeal(): boolean {
    return shouldSeal(
      {
        events: this.#open.events,
        ageMs: this.#age(),
        bytes: this.#open.bytes,
        someoneWaits: this.#waiter !== null,
        inTransaction: this.#inTransaction,
      },
      this.#limits,
    );
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        this.#waiter = null;
        resolve();
      };
      const timer = setTimeout(finish, ms);
      signal.addEventListener('abort', finish, { once: true });
      this.#waiter = finish;
    });
  }

  #newPiece(): OpenPiece {
    return {
      streams: new Map(),
      transactions: [],
      slabs: new Set(),
      words: [],
      startedAt: this.#now(),
      commit: null,
      events: 0,
      bytes: 0,
    };
  }

  #stream(id: StreamId): OpenStream {
    let stream = this.#open.streams.get(id);
    if (stream === undefined) {
      if (this.#open.streams.size === 0) this.#open = { ...this.#open, startedAt: this.#now() };
      stream = { items: [], builder: null };
      this.#open.streams.set(id, stream);
    }
    return stream;
  }

  #item(id: StreamId, item: StreamItem): void {
    const stream = this.#stream(id);
    this.#close(stream);
    stream.items.push(item);
  }

  #close(stream: OpenStream): void {
    if (stream.builder !== null) {
      const { builder } = stream;
      if (builder.rowCount > 0) stream.items.push({ kind: 'rows', batch: builder.finish() });
      this.#open.words.push(builder.words);
    }
    stream.builder = null;
    this.#lastBuilder = null;
  }

  #seal(): void {
    const open = this.#open;
    for (const stream of open.streams.values()) this.#close(stream);
    this.#unreleased += 1;
    const piece: ChangePiece = {
      streams: new Map([...open.streams].map(([id, stream]) => [id, stream.items])),
      transactions: open.transactions,
      commit: this.#inTransaction ? null : open.commit,
      events: open.events,
      bytes: open.bytes,
      slabs: [...open.slabs],
    };
    this.#sealed.push(piece);
    this.#wordsOf.set(piece, open.words);
    this.#parted = this.#inTransaction;
    this.#open = this.#newPiece();
    this.#markIndex = -1;
    this.#waiter?.();
  }

  #takeWords(): RowWords | undefined {
    const words = this.#freeWords.pop();
    if (words !== undefined) this.#freeWordBytes -= wordBytes(words);
    return words;
  }

  #giveWords(words: RowWords): void {
    const bytes = this.#freeWordBytes + wordBytes(words);
    if (bytes > this.#limits.bytes) return;
    this.#freeWordBytes = bytes;
    this.#freeWords.push(words);
  }

  #release(slab: Buffer): void {
    const left = (this.#references.get(slab) ?? 0) - 1;
    if (left > 0) this.#references.set(slab, left);
    else {
      this.#references.delete(slab);
      this.slabs.give(slab);
    }
  }
}

/**
 * From CopyData frames to the sink. Frames are gathered in a slab and read there. A relation message stops the
 * reading until the catalog has answered; so does the replay of a spilled transaction while the sink is full.
 */
import type { ChangeSink } from '../../core/change-event.ts';
import { ForebayError } from '../../core/errors.ts';
import { SLAB_BYTES } from '../../core/slab.ts';
import { orderOfLsn, printLsn } from './lsn.ts';
import * as pg from './pgoutput.ts';
import { RowDecoder } from './row-decoder.ts';
import type { StreamRelations } from './stream-relations.ts';
import { RECORD_HEADER_BYTES, type SpillFiles, type SpilledTransaction } from './spill.ts';

const FRAME_HEADER_BYTES = 5;
const XLOG_DATA = 0x77;
const KEEPALIVE = 0x6b;
/** After `w`: start, end, time, 8 bytes each. */
const XLOG_HEADER_BYTES = 25;

export interface DecoderOptions {
  readonly sink: ChangeSink;
  readonly relations: StreamRelations;
  readonly spill: SpillFiles;
  /** A keepalive came: the log's end, and whether an answer is wanted at once. */
  readonly keepalive: (logEnd: bigint, replyNow: boolean) => void;
  readonly received: (lsn: bigint) => void;
  /** True: stop sending frames; false: go on. */
  readonly hold: (held: boolean) => void;
  readonly fail: (error: unknown) => void;
}

export class ChangeDecoder {
  readonly #options: DecoderOptions;
  readonly #rows: RowDecoder;
  #slab: Buffer;
  #at = 0;
  #end = 0;
  #waiting = false;
  #closed = false;
  /** Transaction whose stream block is open; 0 outside. */
  #block = 0;
  #inTransaction = false;

  constructor(options: DecoderOptions) {
    this.#options = options;
    this.#rows = new RowDecoder(options.sink);
    this.#slab = options.sink.slabs.take();
    options.sink.openSlab(this.#slab);
  }

  frames(bytes: Buffer): void {
    if (this.#closed) return;
    this.#append(bytes);
    this.#read();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.sink.closeSlab(this.#slab);
  }

  #append(bytes: Buffer): void {
    if (this.#slab.length - this.#end < bytes.length) this.#rotate(bytes.length);
    bytes.copy(this.#slab, this.#end);
    this.#end += bytes.length;
  }

  /** Moves what is not yet read to a new slab with room for `more` and for the whole of a begun frame. */
  #rotate(more: number): void {
    const rest = this.#end - this.#at;
    const frame = rest >= FRAME_HEADER_BYTES ? 1 + this.#slab.readInt32BE(this.#at + 1) : 0;
    const slab = this.#options.sink.slabs.take(Math.max(SLAB_BYTES, rest + more, frame + more));
    this.#slab.copy(slab, 0, this.#at, this.#end);
    this.#options.sink.openSlab(slab);
    this.#options.sink.closeSlab(this.#slab);
    this.#slab = slab;
    this.#at = 0;
    this.#end = rest;
  }

  #read(): void {
    while (!this.#waiting && !this.#closed && this.#end - this.#at >= FRAME_HEADER_BYTES) {
      const frameEnd = this.#at + 1 + this.#slab.readInt32BE(this.#at + 1);
      if (frameEnd > this.#end) return;
      const start = this.#at + FRAME_HEADER_BYTES;
      this.#at = frameEnd;
      this.#frame(start, frameEnd);
    }
  }

  #frame(start: number, end: number): void {
    const slab = this.#slab;
    const kind = slab[start];
    if (kind === XLOG_DATA) {
      this.#message(start + XLOG_HEADER_BYTES, end);
    } else if (kind === KEEPALIVE) {
      const logEnd = slab.readBigUInt64BE(start + 1);
      if (!this.#inTransaction) this.#options.sink.idle(printLsn(logEnd));
      this.#options.keepalive(logEnd, slab[start + 17] === 1);
    } else {
      throw new ForebayError('protocol', { message: `unknown replication message ${kind ?? -1}` });
    }
  }

  #message(at: number, end: number): void {
    const kind = this.#slab[at] ?? 0;
    if (this.#block !== 0 && kind !== pg.MSG_STREAM_STOP) {
      this.#spillMessage(kind, at, end);
      return;
    }
    switch (kind) {
      case pg.MSG_INSERT:
      case pg.MSG_UPDATE:
      case pg.MSG_DELETE:
        this.#row(kind, this.#slab, at + 1);
        break;
      case pg.MSG_BEGIN: {
        const begin = pg.readBegin(this.#slab, at + 1);
        this.#inTransaction = true;
        this.#beginTransaction(begin);
        break;
      }
      case pg.MSG_COMMIT: {
        const endLsn = pg.readCommitEnd(this.#slab, at + 1);
        this.#inTransaction = false;
        this.#commitAt(endLsn);
        break;
      }
      case pg.MSG_RELATION:
        this.#wait(
          this.#options.relations.learn(pg.readRelation(this.#slab, at + 1), this.#options.sink),
        );
        break;
      case pg.MSG_TRUNCATE:
        this.#truncate(this.#slab, at + 1);
        break;
      case pg.MSG_STREAM_START:
        this.#block = this.#slab.readUInt32BE(at + 1);
        this.#wait(this.#options.spill.beforeBlock());
        break;
      case pg.MSG_STREAM_STOP:
        this.#block = 0;
        break;
      case pg.MSG_STREAM_COMMIT:
        this.#wait(this.#replay(pg.readStreamCommit(this.#slab, at + 1)));
        break;
      case pg.MSG_STREAM_ABORT:
        this.#options.spill.abort(this.#slab.readUInt32BE(at + 1), this.#slab.readUInt32BE(at + 5));
        break;
      case pg.MSG_ORIGIN:
      case pg.MSG_TYPE:
      case pg.MSG_LOGICAL:
        break;
      default:
        throw new ForebayError('protocol', { message: `unknown pgoutput message ${kind}` });
    }
  }

  #beginTransaction(begin: pg.BeginMessage): void {
    this.#options.sink.begin({
      order: orderOfLsn(begin.commitLsn),
      committedAtMicros: begin.committedAtMicros,
      ref: String(begin.xid),
    });
  }

  #commitAt(endLsn: bigint): void {
    this.#options.sink.commit(printLsn(endLsn));
    this.#options.received(endLsn);
  }

  #row(kind: number, slab: Buffer, at: number): void {
    const relation = this.#options.relations.get(slab.readUInt32BE(at));
    this.#rows.row(kind, relation, slab, at + 4);
  }

  #truncate(slab: Buffer, at: number): void {
    for (const oid of pg.readTruncate(slab, at)) {
      const { mapping } = this.#options.relations.get(Number(oid));
      if (mapping !== null) this.#rows.truncate(mapping, slab);
    }
  }

  /** Inside a stream block every message names its (sub)transaction after the type byte. */
  #spillMessage(kind: number, at: number, end: number): void {
    const slab = this.#slab;
    const spilled = this.#options.spill.open(this.#block);
    spilled.add(slab.readUInt32BE(at + 1), kind, { slab, start: at + 5, end });
  }

  /** A transaction that was sent in blocks is now committed: its messages are read as if they came now. */
  async #replay(commit: pg.StreamCommitMessage): Promise<void> {
    const { spill } = this.#options;
    this.#inTransaction = true;
    this.#beginTransaction(commit);
    const spilled = spill.get(commit.xid);
    if (spilled !== null) await this.#replaySlabs(spilled);
    spill.forget(commit.xid);
    this.#inTransaction = false;
    if (!this.#closed) this.#commitAt(commit.endLsn);
  }

  async #replaySlabs(spilled: SpilledTransaction): Promise<void> {
    const { sink } = this.#options;
    let room = SLAB_BYTES;
    for (let at = 0; at < spilled.bytes && !this.#closed;) {
      if (sink.full) await sink.drained();
      const slab = sink.slabs.take(room);
      sink.openSlab(slab);
      const taken = await this.#replayRecords(slab, spilled.read(slab, at), spilled.aborted);
      room = taken > 0 ? SLAB_BYTES : RECORD_HEADER_BYTES + slab.readUInt32BE(0);
      sink.closeSlab(slab);
      at += taken;
    }
  }

  /** Reads the records that are whole; returns their bytes. */
  async #replayRecords(slab: Buffer, end: number, aborted: ReadonlySet<number>): Promise<number> {
    let at = 0;
    while (end - at >= RECORD_HEADER_BYTES) {
      const next = at + RECORD_HEADER_BYTES + slab.readUInt32BE(at);
      if (next > end) break;
      const isWanted = !aborted.has(slab.readUInt32BE(at + 4));
      const work = isWanted ? this.#replayMessage(slab, at + RECORD_HEADER_BYTES) : undefined;
      if (work !== undefined) await work;
      at = next;
    }
    return at;
  }

  #replayMessage(slab: Buffer, at: number): Promise<void> | undefined {
    const kind = slab[at] ?? 0;
    switch (kind) {
      case pg.MSG_INSERT:
      case pg.MSG_UPDATE:
      case pg.MSG_DELETE:
        this.#row(kind, slab, at + 1);
        return undefined;
      case pg.MSG_TRUNCATE:
        this.#truncate(slab, at + 1);
        return undefined;
      case pg.MSG_RELATION:
        return (
          this.#options.relations.learn(pg.readRelation(slab, at + 1), this.#options.sink) ??
          undefined
        );
      default:
        return undefined;
    }
  }

  /** Stops reading until the work is done; frames that come meanwhile are kept. */
  #wait(work: Promise<void> | null): void {
    if (work === null) return;
    this.#waiting = true;
    this.#options.hold(true);
    work
      .then(() => {
        this.#waiting = false;
        this.#read();
        if (!this.#waiting) this.#options.hold(false);
      })
      .catch((error: unknown) => this.#options.fail(error));
  }
}

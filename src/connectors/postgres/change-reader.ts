/** The replication connection of a pipeline: frames to the decoder, status back to the server. */
import type { ChangeSink } from '../../core/change-event.ts';
import type { ChangeReader, ReaderStatus } from '../../core/connector.ts';
import { asForebayError, ForebayError } from '../../core/errors.ts';
import type { Position } from '../../core/position.ts';
import type { StreamSchema } from '../../core/stream-schema.ts';
import { ChangeDecoder } from './change-decoder.ts';
import type { PgConnection } from './connection.ts';
import { parseLsn, printLsn } from './lsn.ts';
import { SpillFiles } from './spill.ts';
import type { StreamRelations } from './stream-relations.ts';

const TICK_MS = 1000;
/** Well below wal_sender_timeout (60 s by default, rarely set below 10 s). */
const STATUS_MS = 10_000;
/** Silence after which the server is asked, and after twice of which it is given up. */
const SILENCE_MS = 15_000;
const EPOCH_MS = 946_684_800_000;

export interface ReaderOptions {
  readonly connection: PgConnection;
  readonly relations: StreamRelations;
  readonly sink: ChangeSink;
  readonly start: Position;
  /** START_REPLICATION command. */
  readonly command: string;
  /** Called when nothing was committed for a while, to keep the slot moving. */
  readonly heartbeat: () => Promise<void>;
  readonly heartbeatMs: number;
}

export class PostgresChangeReader implements ChangeReader {
  readonly #options: ReaderOptions;
  readonly #spill = new SpillFiles();
  readonly #decoder: ChangeDecoder;
  readonly #ended = Promise.withResolvers<void>();
  #send: ((payload: Buffer) => void) | null = null;
  #timer: NodeJS.Timeout | null = null;
  #received: bigint;
  #logEnd: bigint | null = null;
  #acknowledged: bigint;
  #statusDue = false;
  #lastStatusAt = 0;
  #lastFrameAt = 0;
  #lastCommitAt = performance.now();
  #held = false;
  #throttled = false;
  #beating = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#received = parseLsn(options.start);
    this.#acknowledged = this.#received;
    this.#ended.promise.catch(() => {});
    this.#decoder = new ChangeDecoder({
      sink: options.sink,
      relations: options.relations,
      spill: this.#spill,
      keepalive: (logEnd, replyNow) => this.#keepalive(logEnd, replyNow),
      received: (lsn) => {
        if (lsn > this.#received) this.#received = lsn;
        this.#lastCommitAt = performance.now();
      },
      hold: (held) => {
        this.#held = held;
        this.#flow();
      },
      fail: (error) => this.#fail(error),
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#ended.resolve();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#lastFrameAt = performance.now();
    this.#send = await this.#options.connection.copyBoth(this.#options.command, {
      frames: (bytes) => this.#frames(bytes),
      ended: (error) =>
        this.#fail(
          error ??
            new ForebayError('connection_lost', { message: 'the server ended the change stream' }),
        ),
    });
    this.#status(false);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    try {
      await this.#ended.promise;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  acknowledge(position: Position): void {
    const lsn = parseLsn(position);
    if (lsn <= this.#acknowledged) return;
    this.#acknowledged = lsn;
    this.#statusDue = true;
  }

  status(): ReaderStatus {
    return {
      received: printLsn(this.#received),
      logEnd: this.#logEnd === null ? null : printLsn(this.#logEnd),
    };
  }

  poke(): void {
    this.#status(true);
  }

  include(schemas: readonly StreamSchema[]): void {
    this.#options.relations.include(schemas);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    // The last acknowledgement spares the next run a replay.
    this.#status(false);
    this.#decoder.close();
    this.#ended.resolve();
    this.#options.connection.destroy('the change stream was closed');
    this.#spill.dispose();
    await Promise.resolve();
  }

  #frames(bytes: Buffer): void {
    this.#lastFrameAt = performance.now();
    try {
      this.#decoder.frames(bytes);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (this.#options.sink.full && !this.#throttled) {
      this.#throttled = true;
      this.#flow();
      void this.#options.sink.drained().then(() => {
        this.#throttled = false;
        this.#flow();
      });
    }
  }

  #flow(): void {
    if (this.#held || this.#throttled) this.#options.connection.pause();
    else {
      this.#lastFrameAt = performance.now();
      this.#options.connection.resume();
    }
  }

  #keepalive(logEnd: bigint, replyNow: boolean): void {
    this.#logEnd = logEnd;
    if (logEnd > this.#received) this.#received = logEnd;
    if (replyNow) this.#statusDue = true;
    if (replyNow) this.#status(false);
  }

  #fail(error: unknown): void {
    this.#ended.reject(asForebayError(error, 'protocol'));
  }

  #tick(): void {
    const now = performance.now();
    if (this.#statusDue || now - this.#lastStatusAt >= STATUS_MS) this.#status(false);
    if (now - this.#lastCommitAt >= this.#options.heartbeatMs) this.#beat();
    if (this.#held || this.#throttled) return;
    const silent = now - this.#lastFrameAt;
    if (silent >= 2 * SILENCE_MS) {
      this.#fail(
        new ForebayError('connection_lost', {
          message: 'the source no longer answers',
          why: `no message for ${Math.round(silent / 1000)} s`,
        }),
      );
    } else if (silent >= SILENCE_MS) this.#status(true);
  }

  #beat(): void {
    if (this.#beating) return;
    this.#beating = true;
    this.#lastCommitAt = performance.now();
    this.#options
      .heartbeat()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#beating = false;
      });
  }

  /** Standby status update: written, flushed, applied, our clock, whether an answer is wanted. */
  #status(replyNow: boolean): void {
    if (this.#send === null) return;
    const payload = Buffer.alloc(34);
    payload.write('r', 0, 'latin1');
    payload.writeBigUInt64BE(this.#received, 1);
    payload.writeBigUInt64BE(this.#acknowledged, 9);
    payload.writeBigUInt64BE(this.#acknowledged, 17);
    payload.writeBigInt64BE(BigInt(Date.now() - EPOCH_MS) * 1000n, 25);
    payload[33] = replyNow ? 1 : 0;
    this.#send(payload);
    this.#statusDue = false;
    this.#lastStatusAt = performance.now();
  }
}

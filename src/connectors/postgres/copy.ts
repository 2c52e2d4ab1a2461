/** The two ends of a COPY: frames out of the server, frames into it. */
import { ForebayError } from '../../core/errors.ts';

/**
 * Bytes received and not yet taken at which the socket is paused, until all are taken: the kernel's buffer is full by
 * then and comes in one read, instead of one per message that the server sends.
 */
const HIGH_WATER_BYTES = 256 * 1024;
const BLOCK_BYTES = 128 * 1024;

export interface Flow {
  pause(): void;
  resume(): void;
}

/** Bytes that came; a whole block, or what has come of one. */
interface Piece {
  readonly block: Buffer;
  readonly bytes: number;
}

/**
 * CopyData frames as the server sent them: `d`, int32 length, payload. A piece may end inside a frame, and is
 * valid until the next one is asked for: its memory is used again, because an allocation per read makes the
 * garbage collector the largest cost of a copy. Iterate once.
 */
export class CopyOut {
  readonly #flow: Flow;
  readonly #queue: Piece[] = [];
  readonly #free: Buffer[] = [];
  #filling: Buffer | null = null;
  #filled = 0;
  #queuedBytes = 0;
  #paused = false;
  #ended = false;
  #discarding = false;
  #error: Error | null = null;
  #rows = 0;
  #wake: (() => void) | null = null;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** Rows sent, from the command tag; valid after the end. */
  rows(): number {
    return this.#rows;
  }

  /** Copies the bytes; they may be used again at once. */
  push(frames: Buffer): void {
    if (this.#discarding) return;
    for (let from = 0; from < frames.length;) {
      this.#filling ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const taken = frames.copy(this.#filling, this.#filled, from);
      from += taken;
      this.#filled += taken;
      this.#queuedBytes += taken;
      if (this.#filled === BLOCK_BYTES) this.#close(this.#filling);
    }
    if (this.#queuedBytes >= HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#wake?.();
  }

  end(rows: number): void {
    this.#rows = rows;
    this.#ended = true;
    this.#wake?.();
  }

  fail(error: Error): void {
    this.#error = error;
    this.#ended = true;
    this.#wake?.();
  }

  get frames(): AsyncIterable<Buffer> {
    return { [Symbol.asyncIterator]: () => this.#iterate() };
  }

  async *#iterate(): AsyncGenerator<Buffer, void> {
    try {
      for (;;) {
        if (this.#queue.length === 0 && this.#filling !== null) this.#close(this.#filling);
        const next = this.#queue.shift();
        if (next !== undefined) {
          this.#queuedBytes -= next.bytes;
          if (this.#queuedBytes === 0) this.#resume();
          yield next.block.subarray(0, next.bytes);
          this.#free.push(next.block);
        } else if (this.#ended) {
          if (this.#error !== null) throw this.#error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = null;
        }
      }
    } finally {
      // A consumer that stops early lets the rest run past, so that the connection stays usable.
      this.#discarding = true;
      this.#queue.length = 0;
      this.#resume();
    }
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#flow.resume();
  }

  #close(block: Buffer): void {
    this.#queue.push({ block, bytes: this.#filled });
    this.#filling = null;
    this.#filled = 0;
  }
}

export interface CopyInPort {
  write(bytes: Uint8Array): Promise<void>;
  /** Sends CopyDone or CopyFail and resolves with the row count of the tag. */
  finish(reason: string | null): Promise<number>;
}

export class CopyIn {
  readonly #port: CopyInPort;
  #finished = false;

  constructor(port: CopyInPort) {
    this.#port = port;
  }

  /**
   * Bytes must be whole CopyData frames when all writes are put together; resolves when they are sent, so that
   * their memory may be used again.
   */
  write(frames: Uint8Array): Promise<void> {
    return this.#port.write(frames);
  }

  /** Rows that the server took. */
  end(): Promise<number> {
    this.#finished = true;
    return this.#port.finish(null);
  }

  /** Ends the COPY with an error, so that nothing of it stays; safe to call after a failure. */
  async abort(reason: string): Promise<void> {
    if (this.#finished) return;
    this.#finished = true;
    try {
      await this.#port.finish(reason);
    } catch (error) {
      // The server answers CopyFail with an error by design: 57014. Others matter.
      const expected = error instanceof ForebayError && error.systemCode === '57014';
      if (!expected) throw error;
    }
  }
}

/** The two ends of a COPY: frames out of the server, frames into it. */
import { ForebayError } from '../../core/errors.ts';

/** Bytes received and not yet taken at which the socket is paused. */
const HIGH_WATER_BYTES = 1024 * 1024;

export interface Flow {
  pause(): void;
  resume(): void;
}

/**
 * CopyData frames as the server sent them: `d`, int32 length, payload. A piece may end inside a frame.
 * Iterate once.
 */
export class CopyOut {
  readonly #flow: Flow;
  readonly #queue: Buffer[] = [];
  #queuedBytes = 0;
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

  push(frames: Buffer): void {
    if (this.#discarding || frames.length === 0) return;
    this.#queue.push(frames);
    this.#queuedBytes += frames.length;
    if (this.#queuedBytes >= HIGH_WATER_BYTES) this.#flow.pause();
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
        const next = this.#queue.shift();
        if (next !== undefined) {
          this.#queuedBytes -= next.length;
          if (this.#queuedBytes < HIGH_WATER_BYTES / 2) this.#flow.resume();
          yield next;
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
      this.#flow.resume();
    }
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

  /** Bytes must be whole CopyData frames when all writes are put together; resolves when more may come. */
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

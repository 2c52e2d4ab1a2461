/**
 * The server sends one CopyData message per row. A receiving server spends time on each message, so rows are
 * put together into few large ones; what is inside them stays as it is.
 */
const HEADER_BYTES = 5;
const COPY_DATA = 0x64;
/** Large enough that a message costs nothing per row, small enough to stay in the processor's cache. */
const MESSAGE_BYTES = 128 * 1024;

export class FrameMerger {
  #out = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
  #filled = HEADER_BYTES;
  /** Payload bytes of the current incoming frame that are still to come. */
  #frameLeft = 0;
  /** An incoming header that was cut: its first bytes. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;

  /** Messages that are full after this piece. */
  push(piece: Buffer): Buffer[] {
    const done: Buffer[] = [];
    let at = 0;
    while (at < piece.length) {
      if (this.#frameLeft === 0) {
        at = this.#readHeader(piece, at);
        continue;
      }
      const room = MESSAGE_BYTES - this.#filled;
      const take = Math.min(this.#frameLeft, piece.length - at, room);
      piece.copy(this.#out, this.#filled, at, at + take);
      this.#filled += take;
      this.#frameLeft -= take;
      at += take;
      if (this.#filled === MESSAGE_BYTES) done.push(this.#seal());
    }
    return done;
  }

  /** What is left; null if nothing. */
  finish(): Buffer | null {
    return this.#filled === HEADER_BYTES ? null : this.#seal();
  }

  #readHeader(piece: Buffer, at: number): number {
    if (this.#headerBytes === 0 && piece.length - at >= HEADER_BYTES) {
      this.#frameLeft = piece.readInt32BE(at + 1) - 4;
      return at + HEADER_BYTES;
    }
    this.#header[this.#headerBytes] = piece[at] ?? 0;
    this.#headerBytes += 1;
    if (this.#headerBytes === HEADER_BYTES) {
      this.#frameLeft = this.#header.readInt32BE(1) - 4;
      this.#headerBytes = 0;
    }
    return at + 1;
  }

  #seal(): Buffer {
    const message = this.#out.subarray(0, this.#filled);
    message[0] = COPY_DATA;
    message.writeInt32BE(this.#filled - 1, 1);
    this.#out = Buffer.allocUnsafeSlow(MESSAGE_BYTES);
    this.#filled = HEADER_BYTES;
    return message;
  }
}

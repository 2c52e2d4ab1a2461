import { ForebayError } from '../../core/errors.ts';

export interface MessageReceiver {
  message(type: string, body: Buffer): void;
  /** Whole or partial CopyData frames, headers included, exactly as received. */
  frames(bytes: Buffer): void;
}

const COPY_DATA = 0x64;
const HEADER_BYTES = 5;
/** PostgreSQL's own limit for one message is 1 GiB (MaxAllocSize). */
const MAX_MESSAGE_BYTES = 0x40000000;

/**
 * Cuts the byte stream of a server into messages. While a COPY runs, CopyData frames are handed on as they
 * came, without looking inside and without waiting for their end: only their headers are walked.
 */
export class MessageReader {
  readonly #receiver: MessageReceiver;
  readonly #borrowed: boolean;
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Bytes that must be there before reading goes on. */
  #need = HEADER_BYTES;
  /** Bytes of the current CopyData frame that are still to come. */
  #frameLeft = 0;
  copying = false;

  /** `borrowed`: what is pushed is valid during the call only, so what is kept is copied. */
  constructor(receiver: MessageReceiver, borrowed = false) {
    this.#receiver = receiver;
    this.#borrowed = borrowed;
  }

  push(chunk: Buffer): void {
    if (this.#partBytes > 0) {
      this.#parts.push(this.#borrowed ? Buffer.from(chunk) : chunk);
      this.#partBytes += chunk.length;
      if (this.#partBytes < this.#need) return;
      const joined = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#partBytes = 0;
      this.#read(joined);
      return;
    }
    this.#read(chunk);
  }

  #read(data: Buffer): void {
    let at = 0;
    while (at < data.length) {
      if (this.#frameLeft > 0 || (this.copying && data[at] === COPY_DATA)) {
        const end = this.#walkFrames(data, at);
        if (end > at) this.#receiver.frames(data.subarray(at, end));
        if (end === at) break;
        at = end;
        continue;
      }
      const left = data.length - at;
      if (left < HEADER_BYTES) break;
      const length = data.readInt32BE(at + 1) + 1;
      if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES) {
        throw new ForebayError('protocol', { message: `message of impossible length ${length}` });
      }
      if (left < length) {
        this.#keep(data.subarray(at), length);
        return;
      }
      this.#receiver.message(
        String.fromCharCode(data[at] ?? 0),
        data.subarray(at + HEADER_BYTES, at + length),
      );
      at += length;
    }
    if (at < data.length) this.#keep(data.subarray(at), HEADER_BYTES);
  }

  /** Where the frames that begin at `at` end in this piece; `at` itself if not even a header is whole. */
  #walkFrames(data: Buffer, from: number): number {
    let at = from;
    for (;;) {
      const take = Math.min(this.#frameLeft, data.length - at);
      at += take;
      this.#frameLeft -= take;
      if (data.length - at < HEADER_BYTES || data[at] !== COPY_DATA) return at;
      const length = data.readInt32BE(at + 1);
      if (length < 4 || length > MAX_MESSAGE_BYTES) {
        throw new ForebayError('protocol', { message: `frame of impossible length ${length}` });
      }
      at += HEADER_BYTES;
      this.#frameLeft = length - 4;
    }
  }

  #keep(rest: Buffer, need: number): void {
    this.#parts = [this.#borrowed ? Buffer.from(rest) : rest];
    this.#partBytes = rest.length;
    this.#need = need;
  }
}

/**
 * Text with a character for each byte of its UTF-8: places in it are places in the bytes, and pieces of it can
 * be cut out and put together without decoding.
 */

let scratch = Buffer.alloc(4096);

export interface ByteText {
  /** Valid until the next call; a zero follows the text. */
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly text: string;
  readonly isAscii: boolean;
}

const view = (buffer: Buffer): Uint8Array =>
  new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
let scratchView = view(scratch);

export function toByteText(text: string): ByteText {
  if (scratch.length <= 3 * text.length) {
    scratch = Buffer.alloc(6 * text.length);
    scratchView = view(scratch);
  }
  const length = scratch.write(text);
  scratchView[length] = 0;
  const isAscii = length === text.length;
  const byteText = isAscii ? text : scratch.toString('latin1', 0, length);
  return { bytes: scratchView, length, text: byteText, isAscii };
}

export function encoded(text: string): string {
  return Buffer.from(text).toString('latin1');
}

export function decoded(byteText: string): string {
  return Buffer.from(byteText, 'latin1').toString('utf8');
}

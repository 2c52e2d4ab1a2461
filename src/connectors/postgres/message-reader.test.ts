import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { MessageReader } from './message-reader.ts';

interface Message {
  readonly type: string;
  readonly body: Uint8Array;
}

const body = fc.uint8Array({ maxLength: 40 });
const plain = fc.record({ type: fc.constantFrom('T', 'D', 'Z', 'E', 'd'), body });

function encode({ type, body: bytes }: Message): Buffer {
  const header = Buffer.alloc(5);
  header.write(type, 0, 'latin1');
  header.writeInt32BE(bytes.length + 4, 1);
  return Buffer.concat([header, bytes]);
}

/** Pieces of the given lengths, over and over. */
function split(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = lengths[turn % lengths.length] ?? 1;
    pieces.push(bytes.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

const lengths = fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 5 });

describe('MessageReader', () => {
  test('gives the messages that were sent, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 12 }), lengths, (messages, cuts) => {
        const seen: Message[] = [];
        const reader = new MessageReader({
          message: (type, bytes) => seen.push({ type, body: Uint8Array.from(bytes) }),
          frames: () => expect.unreachable(),
        });
        for (const piece of split(Buffer.concat(messages.map(encode)), cuts)) reader.push(piece);
        expect(seen).toEqual(messages);
      }),
      { numRuns: 500 },
    );
  });

  test('hands on the frames of a COPY byte by byte, and the messages between them', () => {
    const message = fc.oneof(plain, fc.record({ type: fc.constant('d'), body }));
    fc.assert(
      fc.property(fc.array(message, { maxLength: 12 }), lengths, (messages, cuts) => {
        const frames: Buffer[] = [];
        const others: Message[] = [];
        const reader = new MessageReader({
          message: (type, bytes) => others.push({ type, body: Uint8Array.from(bytes) }),
          frames: (bytes) => frames.push(Buffer.from(bytes)),
        });
        reader.copying = true;
        for (const piece of split(Buffer.concat(messages.map(encode)), cuts)) reader.push(piece);
        expect(others).toEqual(messages.filter(({ type }) => type !== 'd'));
        const sent = Buffer.concat(messages.filter(({ type }) => type === 'd').map(encode));
        expect(Buffer.concat(frames).equals(sent)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('refuses lengths that cannot be, and ends on any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        lengths,
        fc.boolean(),
        (bytes, cuts, copying) => {
          let handed = 0;
          const reader = new MessageReader({
            message: (_, content) => (handed += content.length),
            frames: (content) => (handed += content.length),
          });
          reader.copying = copying;
          try {
            for (const piece of split(Buffer.from(bytes), cuts)) reader.push(piece);
          } catch (error) {
            expect(error).toMatchObject({ code: 'protocol' });
          }
          expect(handed).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

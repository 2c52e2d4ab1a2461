/**
 * FF1 of NIST SP 800-38G: a keyed permutation of the numeral strings of one length. Rounds, block P and
 * block Q follow the publication's algorithms 7 and 8; lengths are limited so that numerals fit a few blocks.
 */
import { type Cipheriv, createCipheriv } from 'node:crypto';

const BLOCK = 16;
const ROUNDS = 10;
/** Revision 1 of the publication asks for at least so many strings of one length, or they can be listed. */
const LEAST_DOMAIN = 1_000_000;
export const MAX_NUMERALS = 4096;

/** The shortest string that may be enciphered. */
export function leastNumerals(radix: number): number {
  return Math.ceil(Math.log(LEAST_DOMAIN) / Math.log(radix) - 1e-9);
}

export class Ff1 {
  readonly #cipher: Cipheriv;
  readonly #radix: number;
  readonly #tweak: Buffer;

  /** `key`: 16, 24 or 32 bytes; `radix`: 2 to 36, numerals are those of `Number.prototype.toString`. */
  constructor(key: Buffer, radix: number, tweak: Buffer) {
    // One block at a time, so that no chaining of the library's is involved.
    this.#cipher = createCipheriv(`aes-${key.length * 8}-ecb`, key, null).setAutoPadding(false);
    this.#radix = radix;
    this.#tweak = tweak;
  }

  encrypt(numerals: string): string {
    const length = numerals.length;
    if (length < leastNumerals(this.#radix) || length > MAX_NUMERALS) {
      throw new RangeError('FF1: a string of this length is not enciphered');
    }
    const half = Math.floor(length / 2);
    const [left, right] = [half, length - half] as const;
    const width = Math.ceil(Math.ceil(right * Math.log2(this.#radix)) / 8);
    const outputBytes = 4 * Math.ceil(width / 4) + 4;
    const modulus = [power(this.#radix, left), power(this.#radix, right)] as const;
    const first = this.#encipher(this.#blockP(length, half));
    let a = parse(numerals.slice(0, half), this.#radix);
    let b = parse(numerals.slice(half), this.#radix);
    for (let round = 0; round < ROUNDS; round += 1) {
      const y = this.#roundOutput(first, this.#blockQ(round, b, width), outputBytes);
      const c = (a + y) % modulus[round % 2 === 0 ? 0 : 1];
      a = b;
      b = c;
    }
    return print(a, this.#radix, left) + print(b, this.#radix, right);
  }

  #blockP(length: number, half: number): Buffer {
    const block = Buffer.from([1, 2, 1, 0, 0, 0, 10, half % 256, 0, 0, 0, 0, 0, 0, 0, 0]);
    block.writeUIntBE(this.#radix, 3, 3);
    block.writeUInt32BE(length, 8);
    block.writeUInt32BE(this.#tweak.length, 12);
    return block;
  }

  #blockQ(round: number, numeral: bigint, width: number): Buffer {
    const padding = modulo(-this.#tweak.length - width - 1, BLOCK);
    const block = Buffer.alloc(this.#tweak.length + padding + 1 + width);
    this.#tweak.copy(block);
    block[this.#tweak.length + padding] = round;
    const bytes = Buffer.from(numeral.toString(16).padStart(width * 2, '0'), 'hex');
    bytes.copy(block, block.length - width);
    return block;
  }

  /** CBC-MAC over P and Q, lengthened by enciphering the result with a counter. */
  #roundOutput(first: Buffer, blockQ: Buffer, outputBytes: number): bigint {
    let state = first;
    for (let at = 0; at < blockQ.length; at += BLOCK) {
      state = this.#encipher(exclusiveOr(state, blockQ.subarray(at, at + BLOCK)));
    }
    const blocks = [state];
    for (let count = 1; count * BLOCK < outputBytes; count += 1) {
      const counter = Buffer.alloc(BLOCK);
      counter.writeUInt32BE(count, BLOCK - 4);
      blocks.push(this.#encipher(exclusiveOr(state, counter)));
    }
    return BigInt(`0x${Buffer.concat(blocks).toString('hex', 0, outputBytes)}`);
  }

  #encipher(block: Buffer): Buffer {
    return this.#cipher.update(block);
  }
}

function exclusiveOr(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.from(a);
  for (let at = 0; at < BLOCK; at += 1) result[at] = (a[at] ?? 0) ^ (b[at] ?? 0);
  return result;
}

function power(radix: number, exponent: number): bigint {
  return BigInt(radix) ** BigInt(exponent);
}

function parse(numerals: string, radix: number): bigint {
  if (radix === 10) return BigInt(numerals);
  let value = 0n;
  for (const numeral of numerals) {
    value = value * BigInt(radix) + BigInt(Number.parseInt(numeral, radix));
  }
  return value;
}

function print(value: bigint, radix: number, length: number): string {
  return value.toString(radix).padStart(length, '0');
}

function modulo(value: number, size: number): number {
  return ((value % size) + size) % size;
}

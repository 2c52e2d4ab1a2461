/** A token is `fb_`, 43 digits of base 62 (32 random bytes), and 6 more: their checksum, so that a scanner of leaked
 * secrets, and a request with a token cut short, can be told without asking the database. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIX = 'fb_';
const RANDOM_BYTES = 32;
const RANDOM_DIGITS = 43;
const CHECK_DIGITS = 6;
const SHOWN = 8;

function base62(value: bigint, length: number): string {
  let rest = value;
  let text = '';
  while (text.length < length) {
    text = `${DIGITS[Number(rest % 62n)] ?? ''}${text}`;
    rest /= 62n;
  }
  return text;
}

const checksum = (random: string): string => base62(BigInt(crc32(random)), CHECK_DIGITS);

export function newToken(): string {
  const random = base62(BigInt(`0x${randomBytes(RANDOM_BYTES).toString('hex')}`), RANDOM_DIGITS);
  return `${PREFIX}${random}${checksum(random)}`;
}

const SHAPE = new RegExp(
  `^${PREFIX}([0-9A-Za-z]{${RANDOM_DIGITS}})([0-9A-Za-z]{${CHECK_DIGITS}})$`,
  'u',
);

export function isTokenText(text: string): boolean {
  const [, random = '', check = ''] = SHAPE.exec(text) ?? [];
  return random !== '' && checksum(random) === check;
}

/** SHA-256, hexadecimal. Tokens are random, so no slow hash is needed. */
export function tokenHash(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** First characters, for people to tell tokens apart. */
export function tokenPrefix(token: string): string {
  return token.slice(0, SHOWN);
}

/** Password exchange: SCRAM-SHA-256 (RFC 5802, RFC 7677) and PostgreSQL's md5. */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto';
import { ForebayError } from '../../core/errors.ts';
import type { Secret } from '../../core/secret.ts';

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest();
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

function refused(why: string): ForebayError {
  return new ForebayError('authentication_failed', { message: 'SCRAM exchange failed', why });
}

function attributes(text: string): Map<string, string> {
  return new Map(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]));
}

/** The iterations a server may ask for; more would let it keep us busy for minutes. */
const MAX_ITERATIONS = 1_000_000;

export class ScramExchange {
  readonly #nonce = randomBytes(18).toString('base64');
  readonly #password: Secret;
  #serverSignature: Buffer | null = null;

  constructor(password: Secret) {
    this.#password = password;
  }

  get #firstBare(): string {
    // PostgreSQL ignores the user name here and takes the one of the startup message.
    return `n=,r=${this.#nonce}`;
  }

  clientFirst(): string {
    return `n,,${this.#firstBare}`;
  }

  clientFinal(serverFirst: string): string {
    const fields = attributes(serverFirst);
    const nonce = fields.get('r') ?? '';
    const salt = Buffer.from(fields.get('s') ?? '', 'base64');
    const iterations = Number(fields.get('i'));
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length)
      throw refused('nonce');
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > MAX_ITERATIONS) {
      throw refused('iteration count');
    }
    const password = this.#password.reveal().normalize('NFKC');
    const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `${this.#firstBare},${serverFirst},${withoutProof}`;
    const signature = hmac(sha256(clientKey), authMessage);
    const proof = Buffer.alloc(clientKey.length);
    for (let i = 0; i < proof.length; i += 1) {
      proof[i] = (clientKey[i] ?? 0) ^ (signature[i] ?? 0);
    }
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), authMessage);
    return `${withoutProof},p=${proof.toString('base64')}`;
  }

  /** Proves that the server knows the password too. */
  verifyServer(serverFinal: string): void {
    const given = Buffer.from(attributes(serverFinal).get('v') ?? '', 'base64');
    const expected = this.#serverSignature;
    if (
      expected === null ||
      given.length !== expected.length ||
      !timingSafeEqual(given, expected)
    ) {
      throw refused('the server could not prove that it knows the password');
    }
  }
}

export function md5Password(user: string, password: Secret, salt: Buffer): string {
  const md5 = (text: string | Buffer, extra: Buffer | string): string =>
    createHash('md5').update(text).update(extra).digest('hex');
  return `md5${md5(md5(password.reveal(), user), salt)}`;
}

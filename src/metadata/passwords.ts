/** Passwords are kept as scrypt (RFC 7914) with its parameters beside it. The work is done off the main thread. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface ScryptParameters {
  /** Cost: memory is 128 x N x r bytes. */
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

const PARAMETERS: ScryptParameters = { N: 2 ** 17, r: 8, p: 1 };
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** A stored text cannot ask for more than this. */
const MOST_MEMORY_BYTES = 512 * 1024 * 1024;

function derive(password: string, salt: Buffer, parameters: ScryptParameters): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // The same text typed on another keyboard may come in another form.
  const options = { ...parameters, maxmem: MOST_MEMORY_BYTES };
  scrypt(password.normalize('NFKC'), salt, HASH_BYTES, options, (error, hash) => {
    if (error === null) resolve(hash);
    else reject(error);
  });
  return promise;
}

/** `scrypt$N$r$p$salt$hash`, salt and hash in base64url. */
export async function hashPassword(
  password: string,
  parameters: ScryptParameters = PARAMETERS,
): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, parameters);
  const { N, r, p } = parameters;
  return ['scrypt', N, r, p, salt.toString('base64url'), hash.toString('base64url')].join('$');
}

export interface PasswordVerdict {
  readonly right: boolean;
  /** It was hashed with other parameters than those of today. */
  readonly outdated: boolean;
}

const STORED = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([\w-]{22})\$([\w-]{43})$/u;
/** What nobody's password is: who is asked for it takes as long as for a user who is there. */
const NOBODY = ['scrypt', PARAMETERS.N, PARAMETERS.r, PARAMETERS.p, 'A'.repeat(22), 'A'.repeat(43)];

/** A user without a password, or none at all (null), takes as long as one with. */
export async function checkPassword(
  password: string,
  stored: string | null,
): Promise<PasswordVerdict> {
  const known = STORED.exec(stored ?? '');
  const [, N = '', r = '', p = '', salt = '', hash = ''] =
    known ?? STORED.exec(NOBODY.join('$')) ?? [];
  const parameters = { N: Number(N), r: Number(r), p: Number(p) };
  const expected = Buffer.from(hash, 'base64url');
  const given = await derive(password, Buffer.from(salt, 'base64url'), parameters);
  const right = timingSafeEqual(given, expected) && known !== null;
  const outdated =
    parameters.N !== PARAMETERS.N || parameters.r !== PARAMETERS.r || parameters.p !== PARAMETERS.p;
  return { right, outdated };
}

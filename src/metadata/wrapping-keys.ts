/** The keys that wrap the data keys: what the environment gives, never stored beside the data. */
import { createHash, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { access, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ForebayError } from '../core/errors.ts';

export const KEY_BYTES = 32;
const KEY_FILE = 'secret.key';

export interface WrappingKey {
  /** Tells keys apart, and tells nothing of the key. */
  readonly id: string;
  readonly key: KeyObject;
}

export interface WrappingKeys {
  /** New data keys are wrapped by it. */
  readonly current: WrappingKey;
  /** Data keys that are not yet wrapped anew open with these. */
  readonly former: readonly WrappingKey[];
}

/** 32 bytes as 64 hexadecimal digits or base64 (either alphabet, with or without padding). */
export function parseWrappingKey(text: string, place: string): WrappingKey {
  const trimmed = text.trim();
  const bytes = /^[0-9a-f]{64}$/iu.test(trimmed)
    ? Buffer.from(trimmed, 'hex')
    : Buffer.from(/^[A-Za-z0-9+/_-]{43}=?$/u.test(trimmed) ? trimmed : '', 'base64');
  if (bytes.length !== KEY_BYTES)
    throw new ForebayError('secret_key', {
      message: `${place} holds no key: it must be ${KEY_BYTES} bytes in base64 or hexadecimal`,
      fix: 'Make one with `openssl rand -base64 32`.',
    });
  const id = createHash('sha256').update('forebay wrapping key\0').update(bytes).digest('hex');
  return { id: id.slice(0, 16), key: createSecretKey(bytes) };
}

export interface WrappingKeySource {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the key file is made when the environment names no key; null where it must name one. */
  readonly dataDir: string | null;
}

/**
 * From FOREBAY_SECRET_KEY, FOREBAY_SECRET_KEY_FILE, or the key file of the data folder, in this order; former ones from
 * FOREBAY_SECRET_KEY_FORMER or FOREBAY_SECRET_KEY_FORMER_FILE. Also the next one may be named there.
 */
export async function loadWrappingKeys(source: WrappingKeySource): Promise<WrappingKeys> {
  // First: a key file that is named and not there must not have a new one made beside it.
  const named = await formerKeys(source.environment);
  const current = await currentKey(source);
  return { current, former: named.filter(({ id }) => id !== current.id) };
}

async function formerKeys({
  FOREBAY_SECRET_KEY_FORMER: keys,
  FOREBAY_SECRET_KEY_FORMER_FILE: file,
}: WrappingKeySource['environment']): Promise<readonly WrappingKey[]> {
  if (keys !== undefined && keys !== '') return parseKeys(keys, 'FOREBAY_SECRET_KEY_FORMER');
  if (file === undefined || file === '') return [];
  try {
    return parseKeys(await readFile(file, 'utf8'), `the file ${file}`);
  } catch (error) {
    throw keyFile(file, error);
  }
}

/** Between commas or on lines of their own. */
function parseKeys(text: string, place: string): readonly WrappingKey[] {
  const parts = text.split(/[,\s]+/u).filter((part) => part !== '');
  return parts.map((part, index) => parseWrappingKey(part, `key ${index + 1} of ${place}`));
}

function currentKey({ environment, dataDir }: WrappingKeySource): Promise<WrappingKey> {
  const { FOREBAY_SECRET_KEY: key, FOREBAY_SECRET_KEY_FILE: file } = environment;
  if (key !== undefined && key !== '')
    return Promise.resolve(parseWrappingKey(key, 'FOREBAY_SECRET_KEY'));
  if (file !== undefined && file !== '') return readKey(file);
  if (dataDir === null)
    throw new ForebayError('secret_key', {
      message: 'neither FOREBAY_SECRET_KEY nor FOREBAY_SECRET_KEY_FILE is set',
    });
  return ownKey(join(dataDir, KEY_FILE));
}

async function readKey(path: string): Promise<WrappingKey> {
  try {
    return parseWrappingKey(await readFile(path, 'utf8'), `the file ${path}`);
  } catch (error) {
    throw keyFile(path, error);
  }
}

async function ownKey(path: string): Promise<WrappingKey> {
  try {
    await access(path);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw keyFile(path, error);
    await makeKeyFile(path);
  }
  return readKey(path);
}

/** Linked into place, so that it is never there without its content, and of two processes one makes it. */
async function makeKeyFile(path: string): Promise<void> {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  const text = `${randomBytes(KEY_BYTES).toString('base64')}\n`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(draft, text, { mode: 0o600, flag: 'wx', flush: true });
    await link(draft, path).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  } catch (error) {
    throw keyFile(path, error);
  } finally {
    await rm(draft, { force: true });
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function keyFile(path: string, cause: unknown): ForebayError {
  if (cause instanceof ForebayError) return cause;
  return new ForebayError('secret_key', {
    message: `the key file ${path} cannot be used`,
    why: cause instanceof Error ? cause.message : String(cause),
    cause,
  });
}

/** What repositories fail with, and how both stores say that a unique key is taken. */
import { ForebayError } from '../core/errors.ts';

/** Extended result codes of SQLite: a unique index, a primary key. */
const SQLITE_TAKEN = new Set<unknown>([2067, 1555]);
const POSTGRES_TAKEN = '23505';

function isTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('errcode' in error) return SQLITE_TAKEN.has(error.errcode);
  return 'code' in error && error.code === POSTGRES_TAKEN;
}

/** Says `already_exists` where the row breaks a unique key. */
export async function orTaken<T>(write: Promise<T>, what: string): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new ForebayError('already_exists', { message: `${what} exists already`, cause: error });
  }
}

export function notFound(what: string, id: string): ForebayError {
  return new ForebayError('not_found', { message: `there is no ${what} ${id}` });
}

/** Of a conditional change that hit no row: what is there now tells why. */
export function unchanged(
  what: string,
  id: string,
  now: { readonly version: number } | null,
): ForebayError {
  if (now === null) return notFound(what, id);
  return new ForebayError('version_stale', {
    message: `the ${what} ${id} is at version ${now.version} by now`,
  });
}

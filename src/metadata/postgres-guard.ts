import { ForebayError } from '../core/errors.ts';

const DISK_FULL = '53100';
/** Classes of SQLSTATE that concern the server or other transactions: connection, rollback, resources, operator. */
const OF_THE_SERVER = /^(?:08|40|53|55|57|58|XX)/u;

/** Failures of the server and of the way to it get our codes. */
export async function postgresGuard<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw postgresFailure(error);
  }
}

/** What is left as it is concerns the statement: a key that is taken, or a bug. */
export function postgresFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof ForebayError)
    return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : null;
  // What the server itself says has a severity; the rest comes from the connection.
  if ('severity' in error && !OF_THE_SERVER.test(code ?? '')) return error;
  if (code === DISK_FULL)
    return new ForebayError('metadata_full', {
      message: 'the metadata database cannot grow',
      why: error.message,
      systemCode: code,
      cause: error,
    });
  return new ForebayError('metadata_unreachable', {
    message: 'the metadata database failed or could not be reached',
    why: error.message,
    ...(code === null ? {} : { systemCode: code }),
    cause: error,
  });
}

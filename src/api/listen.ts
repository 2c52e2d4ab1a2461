/** Where a server answers. */
import { ForebayError } from '../core/errors.ts';

export interface ListenOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** How long what is being answered may take when the server stops; then it is cut off. */
  readonly graceMs?: number;
}

export const GRACE_MS = 10_000;

/** `option` is the one that gives another port. */
export function portFailure(
  error: unknown,
  { host, port }: ListenOptions,
  option: string,
): ForebayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new ForebayError('port_in_use', {
    message: `port ${port} of ${host} ${code === 'EADDRINUSE' ? 'is in use' : 'cannot be opened'}`,
    why: code,
    fix: `Give another ${option}, or free it.`,
    cause: error,
  });
}

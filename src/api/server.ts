/** The API on a port. */
import type { AddressInfo } from 'node:net';
import { ForebayError } from '../core/errors.ts';
import { createApp } from './app.ts';
import type { ApiOptions } from './running.ts';

export interface ApiServer extends AsyncDisposable {
  /** Where it answers. */
  readonly url: string;
  readonly port: number;
}

export interface ListenOptions {
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** How long what is being answered may take when the server stops; then it is cut off. */
  readonly graceMs?: number;
}

const GRACE_MS = 10_000;

function portFailure(error: unknown, { host, port }: ListenOptions): ForebayError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return new ForebayError('port_in_use', {
    message: `port ${port} of ${host} ${code === 'EADDRINUSE' ? 'is in use' : 'cannot be opened'}`,
    why: code,
    fix: 'Give another --port, or free it.',
    cause: error,
  });
}

/** Fails with `port_in_use`. Disposing ends the live feeds, lets what is being answered finish, and closes. */
export async function startApi(options: ApiOptions, listen: ListenOptions): Promise<ApiServer> {
  const app = createApp(options);
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await app.close();
    throw portFailure(error, listen);
  }
  // Listening on a host and port, the address is one.
  const { address, port, family } = app.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    port,
    [Symbol.asyncDispose]: async () => {
      const cutOff = setTimeout(() => app.server.closeAllConnections(), listen.graceMs ?? GRACE_MS);
      try {
        await app.close();
      } finally {
        clearTimeout(cutOff);
      }
    },
  };
}

/** The API on a port. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { createApp } from './app.ts';
import { GRACE_MS, type ListenOptions, portFailure } from './listen.ts';
import type { ApiOptions } from './running.ts';

export interface ApiServer extends AsyncDisposable {
  /** Where it answers. */
  readonly url: string;
  readonly port: number;
  /** For who asks it from within the process. */
  readonly app: FastifyInstance;
}

/** Fails with `port_in_use`. Disposing ends the live feeds, lets what is being answered finish, and closes. */
export async function startApi(options: ApiOptions, listen: ListenOptions): Promise<ApiServer> {
  const app = createApp(options);
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    await app.close();
    throw portFailure(error, listen, '--port');
  }
  // Listening on a host and port, the address is one.
  const { address, port, family } = app.server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return {
    url: `http://${host}:${port}`,
    port,
    app,
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

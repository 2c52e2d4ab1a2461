// TLS in front of a server that speaks HTTP/2 in clear; it asks its clients for a certificate of the same authority.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createServer } from 'node:tls';

import { type Certificate, keyPem } from './certificates.ts';

export interface TlsFront extends AsyncDisposable {
  readonly address: string;
}

export async function startTlsFront(
  behind: string,
  { authority, own }: { readonly authority: Certificate; readonly own: Certificate },
): Promise<TlsFront> {
  const [host, port] = behind.split(':');
  const server = createServer(
    {
      cert: own.certificate,
      key: keyPem(own.key),
      ca: authority.certificate,
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ['h2'],
    },
    (socket) => {
      const inner = connect(Number(port), host ?? '');
      socket.pipe(inner).pipe(socket);
      socket.on('error', () => inner.destroy());
      inner.on('error', () => socket.destroy());
    },
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return {
    address: `127.0.0.1:${address.port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}

// A PostgreSQL server of its own with TLS, which asks for what pg_hba.conf says.
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  type Certificate,
  keyPem,
  makeAuthority,
  makeCertificate,
  writeCertificate,
} from './certificates.ts';
import type { ServerSpec } from './server-binaries.ts';
import { type RunningServer, serverUser, startServer } from './servers.ts';

export interface TlsServer extends AsyncDisposable {
  readonly server: RunningServer;
  /** Signs the server's certificate, for `localhost`, and those of its clients. */
  readonly authority: Certificate;
  readonly caFile: string;
  /** For files of the test. */
  readonly folder: string;
  /** Of a new client certificate in the name of a role. */
  client(name: string): { readonly certFile: string; readonly keyFile: string };
  /** `user` may carry a password; `parameters` begins with `?`. */
  url(user: string, database: string, parameters?: string): string;
}

export async function startTlsServer(spec: ServerSpec, hba: readonly string[]): Promise<TlsServer> {
  const folder = mkdtempSync(join(tmpdir(), 'fb-tls-'));
  const server = await startServer(spec);
  const owned = (name: string, text: string): void => {
    const file = join(server.dataDir, name);
    writeFileSync(file, text);
    chmodSync(file, 0o600);
    const user = serverUser();
    if (user !== null) chownSync(file, user.uid, user.gid);
  };
  const authority = makeAuthority('test authority');
  const own = makeCertificate(authority, { name: 'server', hosts: ['localhost'] });
  owned('server.crt', own.certificate);
  owned('server.key', keyPem(own.key));
  owned('root.crt', authority.certificate);
  const usual = ['local all all scram-sha-256', 'host all all 127.0.0.1/32 scram-sha-256', ''];
  owned('pg_hba.conf', [...hba, ...usual].join('\n'));
  server.configure({ ssl: 'on', ssl_ca_file: 'root.crt' });
  await server.restart();
  const caFile = join(folder, 'ca.crt');
  writeFileSync(caFile, authority.certificate);
  return {
    server,
    authority,
    caFile,
    folder,
    client: (name) => writeCertificate(folder, makeCertificate(authority, { name })),
    url: (user, database, parameters = '') =>
      `postgres://${user}@localhost:${server.port}/${database}${parameters}`,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

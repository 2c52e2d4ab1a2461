// A FAKE of Microsoft Entra ID and of the identity endpoint of an Azure machine, on loopback: the real ones cannot be
// had in tests. Made after their documentation: OAuth 2.0 client credentials flow with a secret, a signed assertion
// or a federated token; OpenID Connect discovery; Azure Instance Metadata Service.
import { createPublicKey, randomBytes, verify } from 'node:crypto';
import { once } from 'node:events';
import {
  createServer as createPlainServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer } from 'node:https';
import { text } from 'node:stream/consumers';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

import { keyPem, makeAuthority, makeCertificate } from './certificates.ts';

export interface TokenRequestSeen {
  readonly way: 'secret' | 'assertion' | 'managed-identity';
  readonly clientId: string | null;
  /** The scope or, of a managed identity, the resource. */
  readonly wanted: string | null;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

export interface FakeEntra extends AsyncDisposable {
  /** `https://localhost:port`, for `authority_host`; this process trusts its certificate. */
  readonly authorityHost: string;
  /** `http://127.0.0.1:port`, for AZURE_POD_IDENTITY_AUTHORITY_HOST. */
  readonly machineHost: string;
  /** Of the authority that signed its certificate, PEM. */
  readonly ca: string;
  /** Every request for a token since the last reset, also those that failed. */
  readonly requests: readonly TokenRequestSeen[];
  /** As it was at the start. */
  reset(): void;
  /** Called with every token before it is sent. */
  onIssue: (token: string) => Promise<void>;
  lifeSeconds: number;
  /** What the next requests are answered with; the last one stays until it is taken away. */
  failures: Reply[];
  /** What this application may show; null: nothing of that kind. */
  secret: string | null;
  certificate: string | null;
  federatedToken: string | null;
}

const MACHINE_PATH = /^\/metadata\/identity\/oauth2\/token\/?$/;
export const TENANT = '11111111-2222-3333-4444-555555555555';

const start = {
  onIssue: (): Promise<void> => Promise.resolve(),
  lifeSeconds: 3600,
  failures: [],
  secret: null,
  certificate: null,
  federatedToken: null,
};

const refusal = (status: number, error: string, description: string): Reply => ({
  status,
  body: { error, error_description: description, trace_id: 'fake', correlation_id: 'fake' },
});

/** As long as real ones are. */
function newToken(): string {
  const part = (bytes: number): string => randomBytes(bytes).toString('base64url');
  return `${part(60)}.${part(900)}.${part(256)}`;
}

/** RS256 or PS256 over header and payload (RFC 7515, RFC 7518). */
function isSigned(assertion: string, certificate: string): boolean {
  const [header = '', payload = '', signature = ''] = assertion.split('.');
  const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg: string };
  const key = createPublicKey(certificate);
  const options = alg === 'PS256' ? { key, padding: 6, saltLength: 32 } : { key };
  return verify(
    'sha256',
    Buffer.from(`${header}.${payload}`),
    options,
    Buffer.from(signature, 'base64url'),
  );
}

function isShown(fake: FakeEntra, form: URLSearchParams): boolean {
  const assertion = form.get('client_assertion');
  if (assertion === null) return fake.secret !== null && form.get('client_secret') === fake.secret;
  if (fake.federatedToken !== null) return assertion === fake.federatedToken;
  return fake.certificate !== null && isSigned(assertion, fake.certificate);
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

function close(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

export async function startFakeEntra(): Promise<FakeEntra> {
  const authority = makeAuthority('fake Entra');
  const own = makeCertificate(authority, { name: 'localhost', hosts: ['localhost'] });
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, authority.certificate]);
  const requests: TokenRequestSeen[] = [];

  const issue = async (seen: TokenRequestSeen, answer: (token: string) => object) => {
    requests.push(seen);
    const failure = fake.failures.length > 1 ? fake.failures.shift() : fake.failures[0];
    if (failure !== undefined && failure.status !== 200) return failure;
    const token = newToken();
    await fake.onIssue(token);
    return { status: 200, body: answer(token) };
  };

  const openid = (tenant: string): Reply => ({
    status: tenant === TENANT ? 200 : 400,
    body:
      tenant === TENANT
        ? {
            token_endpoint: `${fake.authorityHost}/${tenant}/oauth2/v2.0/token`,
            authorization_endpoint: `${fake.authorityHost}/${tenant}/oauth2/v2.0/authorize`,
            jwks_uri: `${fake.authorityHost}/${tenant}/discovery/v2.0/keys`,
            issuer: `${fake.authorityHost}/${tenant}/v2.0`,
          }
        : refusal(400, 'invalid_tenant', `AADSTS90002: Tenant '${tenant}' not found.`).body,
  });

  const token = async (request: IncomingMessage): Promise<Reply> => {
    const form = new URLSearchParams(await text(request));
    const way = form.has('client_assertion') ? 'assertion' : 'secret';
    const seen = { way, clientId: form.get('client_id'), wanted: form.get('scope') } as const;
    if (form.get('grant_type') !== 'client_credentials' || !isShown(fake, form)) {
      requests.push(seen);
      return refusal(
        401,
        'invalid_client',
        'AADSTS7000215: Invalid client secret provided. Trace ID: fake Correlation ID: fake',
      );
    }
    return await issue(seen, (access_token) => ({
      token_type: 'Bearer',
      expires_in: fake.lifeSeconds,
      ext_expires_in: fake.lifeSeconds,
      access_token,
    }));
  };

  const machine = async (request: IncomingMessage, url: URL): Promise<Reply> => {
    if (request.headers['metadata'] !== 'true' || !MACHINE_PATH.test(url.pathname)) {
      return refusal(400, 'bad_request_102', 'Required metadata header not specified');
    }
    const wanted = url.searchParams.get('resource');
    const clientId = url.searchParams.get('client_id');
    return await issue({ way: 'managed-identity', clientId, wanted }, (access_token) => ({
      access_token,
      client_id: clientId ?? 'system',
      expires_in: String(fake.lifeSeconds),
      expires_on: String(Math.floor(Date.now() / 1000) + fake.lifeSeconds),
      resource: wanted,
      token_type: 'Bearer',
    }));
  };

  const serve = (answer: (request: IncomingMessage, url: URL) => Promise<Reply>) => {
    return (request: IncomingMessage, response: ServerResponse): void => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      void answer(request, url).then(({ status, body }) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    };
  };

  const entra = createServer(
    { cert: own.certificate, key: keyPem(own.key) },
    serve(async (request, url) => {
      const [, tenant = ''] = url.pathname.split('/');
      if (url.pathname.endsWith('/v2.0/.well-known/openid-configuration')) return openid(tenant);
      if (url.pathname === `/${TENANT}/oauth2/v2.0/token`) return await token(request);
      return refusal(404, 'not_found', 'no such endpoint');
    }),
  );
  const metadata = createPlainServer(serve(machine));
  const fake: FakeEntra = {
    authorityHost: `https://localhost:${await listen(entra)}`,
    machineHost: `http://127.0.0.1:${await listen(metadata)}`,
    ca: authority.certificate,
    requests,
    ...start,
    reset: () => {
      requests.length = 0;
      Object.assign(fake, start);
    },
    [Symbol.asyncDispose]: async () => {
      setDefaultCACertificates(trusted);
      await Promise.all([close(entra), close(metadata)]);
    },
  };
  return fake;
}

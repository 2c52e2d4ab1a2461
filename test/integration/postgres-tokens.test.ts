// Tokens of a FAKE of Microsoft Entra ID (test/support/entra.ts) as passwords of a real server: the role's password is
// set to each token as it is issued, so that an older one lets nobody in any more.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';

import { openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { Source } from '../../src/core/connector.ts';
import type { Credentials } from '../../src/core/credentials.ts';
import { Secret } from '../../src/core/secret.ts';
import { credentialsOf } from '../../src/service/authentication/credentials.ts';
import { keyPem, makeAuthority, makeCertificate } from '../support/certificates.ts';
import { catchUp } from '../support/engine-run.ts';
import { type FakeEntra, startFakeEntra, TENANT } from '../support/entra.ts';
import { testContext } from '../support/postgres-destination.ts';
import { freePort } from '../support/ports.ts';
import { describeWithServer } from '../support/shared-servers.ts';
import { startTlsServer, type TlsServer } from '../support/tls-server.ts';

const HBA = [
  'hostssl all agent 127.0.0.1/32 scram-sha-256',
  'hostssl all plainly 127.0.0.1/32 password',
];
const SCOPE = 'https://ossrdbms-aad.database.windows.net/.default';
const SECRET = 'hunter2-of-the-application';
const MINUTE_MS = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'fb-tokens-'));
let clients = 0;

interface Config {
  readonly tenant_id?: string;
  readonly client_secret?: Secret;
  readonly client_certificate?: string;
  readonly managed_identity?: boolean;
  readonly workload_identity?: boolean;
  readonly authority_host?: string;
}

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWithServer('access tokens', 17, (spec) => {
  let tls: TlsServer;
  let database: string;
  let entra: FakeEntra;

  beforeAll(async () => {
    // One for all: the library keeps the endpoint of managed identities for the whole process.
    entra = await startFakeEntra();
    tls = await startTlsServer(spec, HBA);
    database = await tls.server.createDatabase();
    await tls.server.query(
      database,
      `create role agent superuser login;
       create role plainly superuser login;
       create table orders (id int primary key, note text);
       insert into orders select i, 'note ' || i from generate_series(1, 100) i`,
    );
  });

  afterAll(async () => {
    await tls[Symbol.asyncDispose]();
    await entra[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    entra.reset();
    entra.secret = SECRET;
    entra.onIssue = setPasswords;
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  async function setPasswords(token: string): Promise<void> {
    await tls.server.query(
      database,
      `alter role agent password '${token}'; alter role plainly password '${token}'`,
    );
  }

  /** Tokens of managed identities are kept by the library for the whole process: each test is another client. */
  function credentials(config: Config): Credentials {
    clients += 1;
    return credentialsOf(
      {
        id: 'entra',
        type: 'azure_entra',
        config: { client_id: `client-${clients}`, authority_host: entra.authorityHost, ...config },
      },
      folder,
    );
  }

  const withSecret = (secret = SECRET): Credentials =>
    credentials({ tenant_id: TENANT, client_secret: new Secret(secret) });

  function url(user = 'agent', name = database): string {
    return tls.url(user, name, `?sslmode=verify-full&sslrootcert=${tls.caFile}`);
  }

  async function open(given: Credentials, to = url()): Promise<Source> {
    return await openSource(await resolveSystem(to, given), testContext());
  }

  async function expectConnects(given: Credentials, to = url()): Promise<void> {
    await using source = await open(given, to);
    const catalog = await source.discover();
    expect(catalog.map(({ schema }) => schema.stream.name)).toEqual(['orders']);
  }

  async function expectFails(given: Credentials, error: object): Promise<void> {
    const failure = await open(given).catch((caught: unknown) => caught);
    expect(failure).toMatchObject(error);
    expect(JSON.stringify({ ...(failure as object), text: String(failure) })).not.toContain(SECRET);
  }

  test('by a client secret', async () => {
    await expectConnects(withSecret());
    expect(entra.requests).toEqual([
      { way: 'secret', clientId: `client-${clients}`, wanted: expect.stringContaining(SCOPE) },
    ]);
  });

  test('by a client certificate', async () => {
    const made = makeCertificate(makeAuthority('apps'), { name: 'application', rsa: true });
    writeFileSync(join(folder, 'application.pem'), made.certificate + keyPem(made.key));
    entra.certificate = made.certificate;
    const config = { tenant_id: TENANT, client_certificate: 'application.pem' };
    await expectConnects(credentials(config));
    expect(entra.requests).toMatchObject([{ way: 'assertion' }]);
  });

  test('by a managed identity', async () => {
    vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', entra.machineHost);
    await expectConnects(credentials({ managed_identity: true }));
    expect(entra.requests).toEqual([
      {
        way: 'managed-identity',
        clientId: `client-${clients}`,
        wanted: 'https://ossrdbms-aad.database.windows.net',
      },
    ]);
  });

  test("a managed identity's token is replaced too", async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', entra.machineHost);
    const given = credentials({ managed_identity: true });
    await expectConnects(given);
    vi.setSystemTime(Date.now() + 56 * MINUTE_MS);
    await expectConnects(given);
    expect(entra.requests).toHaveLength(2);
  });

  test('by a workload identity', async () => {
    const file = join(folder, 'federated-token');
    writeFileSync(file, 'token of the service account');
    vi.stubEnv('AZURE_FEDERATED_TOKEN_FILE', file);
    entra.federatedToken = 'token of the service account';
    await expectConnects(credentials({ tenant_id: TENANT, workload_identity: true }));
    expect(entra.requests).toMatchObject([{ way: 'assertion' }]);
  });

  test('snapshot and changes on both sides; all connections share one token', async () => {
    const given = withSecret();
    const copy = await tls.server.createDatabase();
    const source = await resolveSystem(url(), given);
    const destination = await resolveSystem(url('agent', copy), given);
    expect(await catchUp(source, destination)).toMatchObject({ status: 'completed', error: null });
    await tls.server.query(database, `update orders set note = 'changed' where id <= 10`);
    expect(await catchUp(source, destination)).toMatchObject({ status: 'completed', error: null });
    expect(
      await tls.server.query(copy, `select count(*)::int from orders where note = 'changed'`),
    ).toEqual([{ count: 10 }]);
    expect(entra.requests).toHaveLength(1);
  });

  test('a server that wants the password as it is gets it over TLS', async () => {
    await expectConnects(withSecret(), url('plainly'));
  });

  test('on loopback and on a socket it needs no TLS', async () => {
    await expectConnects(withSecret(), tls.url('agent', database, '?sslmode=disable'));
    const { socketDir, port } = tls.server;
    const socket = `postgres://agent@/${database}?host=${socketDir}&port=${port}`;
    await expectConnects(withSecret(), socket);
  });

  test('connections at the same time ask once', async () => {
    const given = withSecret();
    await Promise.all(Array.from({ length: 5 }, () => expectConnects(given)));
    expect(entra.requests).toHaveLength(1);
  });

  test('near its end a token is replaced for new connections, and the old ones go on', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const given = withSecret();
    await using before = await open(given);
    vi.setSystemTime(Date.now() + 54 * MINUTE_MS);
    await expectConnects(given);
    expect(entra.requests).toHaveLength(1);
    vi.setSystemTime(Date.now() + 2 * MINUTE_MS);
    await expectConnects(given);
    expect(entra.requests).toHaveLength(2);
    vi.setSystemTime(Date.now() + 30 * MINUTE_MS);
    expect(await before.discover()).toHaveLength(1);
  });

  test('an issuer that fails twice is asked again', async () => {
    entra.failures = [unavailable, unavailable, { status: 200, body: null }];
    await expectConnects(withSecret());
    expect(entra.requests).toHaveLength(3);
  });

  test('an issuer that is away is a passing failure; when it is back, so are connections', async () => {
    const given = withSecret();
    entra.failures = [unavailable];
    await expectFails(given, { code: 'token_unavailable', class: 'transient', systemCode: '503' });
    entra.failures = [];
    await expectConnects(given);
  });

  test('while the issuer is away a token that is still good is used, and no longer', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const given = withSecret();
    await expectConnects(given);
    entra.failures = [unavailable];
    vi.setSystemTime(Date.now() + 56 * MINUTE_MS);
    await expectConnects(given);
    vi.setSystemTime(Date.now() + 5 * MINUTE_MS);
    await expectFails(given, { code: 'token_unavailable' });
    entra.failures = [];
    await expectConnects(given);
  });

  test('no issuer there', async () => {
    const authority_host = `https://localhost:${await freePort()}`;
    const config = { tenant_id: TENANT, client_secret: new Secret(SECRET), authority_host };
    const given = credentials(config);
    await expectFails(given, { code: 'token_unavailable', why: 'ECONNREFUSED' });
  });

  test('a wrong secret', async () => {
    entra.secret = 'another';
    await expectFails(withSecret(), {
      code: 'token_not_issued',
      class: 'auth',
      why: 'invalid_client: AADSTS7000215: Invalid client secret provided.',
    });
    expect(entra.requests).toHaveLength(1);
  });

  test('an unknown tenant', async () => {
    const tenant_id = '99999999-2222-3333-4444-555555555555';
    await expectFails(credentials({ tenant_id, client_secret: new Secret(SECRET) }), {
      code: 'token_not_issued',
      why: expect.stringContaining('AADSTS90002'),
    });
  });

  test('an identity that the machine does not have', async () => {
    vi.stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', entra.machineHost);
    const body = { error: 'invalid_request', error_description: 'Identity not found' };
    entra.failures = [{ status: 400, body }];
    await expectFails(credentials({ managed_identity: true }), {
      code: 'token_not_issued',
      why: 'invalid_request: Identity not found',
    });
  });

  test('no workload identity here', async () => {
    const given = credentials({ tenant_id: TENANT, workload_identity: true });
    vi.stubEnv('AZURE_FEDERATED_TOKEN_FILE', undefined);
    await expectFails(given, {
      code: 'token_not_issued',
      message: expect.stringContaining('AZURE_FEDERATED_TOKEN_FILE'),
    });
    vi.stubEnv('AZURE_FEDERATED_TOKEN_FILE', join(folder, 'no-such-file'));
    await expectFails(given, { code: 'token_not_issued', why: 'ENOENT' });
  });

  test("an application's certificate that is not there", async () => {
    const config = { tenant_id: TENANT, client_certificate: 'no-such-file.pem' };
    await expectFails(credentials(config), {
      code: 'certificate_unreadable',
      message: expect.stringContaining(join(folder, 'no-such-file.pem')),
    });
  });

  test('a token that comes expired', async () => {
    entra.lifeSeconds = -60;
    await expectFails(withSecret(), { code: 'token_expired', class: 'auth' });
  });

  test('a token that the server does not take, and a new one that it does', async () => {
    const given = withSecret();
    entra.onIssue = () => setPasswords('another');
    await expectFails(given, { code: 'token_refused', class: 'auth', systemCode: '28P01' });
    entra.onIssue = setPasswords;
    await expectConnects(given);
  });

  test('a token that ends while the server looks at it', async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const issued = { token: new Secret('late'), expiresAtMs: Date.now() + MINUTE_MS };
    const tokens = { fetch: async () => issued, discard: () => {} };
    const given: Credentials = { kind: 'token', username: null, tokens };
    const opening = open(given).catch((error: unknown) => error);
    await new Promise(setImmediate);
    vi.setSystemTime(Date.now() + 2 * MINUTE_MS);
    expect(await opening).toMatchObject({ code: 'token_expired' });
  });
});

const unavailable = { status: 503, body: 'busy' };

test('without the package of the library, what to install is told', async () => {
  const entra = join(import.meta.dirname, '../../src/service/authentication/entra.ts');
  const script = `
    import { registerHooks } from 'node:module';
    const gone = Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' });
    registerHooks({
      resolve(name, context, next) {
        if (name.startsWith('@azure/')) throw gone;
        return next(name, context);
      },
    });
    const { entraTokens } = await import(${JSON.stringify(entra)});
    const way = { kind: 'managed-identity', clientId: null };
    const ask = entraTokens({ way, scope: 'any', authorityHost: null });
    await ask(new AbortController().signal).catch(({ code, fix }) => console.log(code, fix));`;
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  expect(stdout).toMatch(/^capability_missing npm install @azure\/identity/);
});

const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;

test.skipIf(outside === undefined).each(['disable', 'prefer'])(
  'a token never goes over a network without TLS: sslmode=%s',
  async (sslMode) => {
    const received: Buffer[] = [];
    // Declines TLS as PostgreSQL does without ssl.
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        received.push(bytes);
        socket.write('N');
      });
    });
    server.listen(0, outside);
    await new Promise((resolve) => {
      server.once('listening', resolve);
    });
    const address = server.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    const fetch = async () => ({ token: new Secret('t'), expiresAtMs: Date.now() + MINUTE_MS });
    const tokens = { fetch, discard: () => {} };
    const system = await resolveSystem(
      `postgres://agent@${outside}:${port}/shop?sslmode=${sslMode}`,
      { kind: 'token', username: null, tokens },
    );
    await expect(openSource(system, testContext())).rejects.toMatchObject({
      code: 'plain_connection',
    });
    // The request for TLS, and nothing else.
    expect(Buffer.concat(received)).toHaveLength(sslMode === 'prefer' ? 8 : 0);
    server.close();
  },
);

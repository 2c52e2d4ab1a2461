// Client certificates against a real server with TLS: what connects, and what each mistake is told as.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { type NamedSystem, openSource, resolveSystem } from '../../src/connectors/registry.ts';
import type { Credentials } from '../../src/core/credentials.ts';
import { Secret } from '../../src/core/secret.ts';
import {
  keyPem,
  makeAuthority,
  makeCertificate,
  writeCertificate,
} from '../support/certificates.ts';
import { catchUp } from '../support/engine-run.ts';
import { expectExit } from '../support/exit.ts';
import { testContext } from '../support/postgres-destination.ts';
import { runForebay } from '../support/process.ts';
import { describeWithServer } from '../support/shared-servers.ts';
import { startTlsServer, type TlsServer } from '../support/tls-server.ts';

const HBA = [
  'hostssl all ada 127.0.0.1/32 cert',
  'hostssl all eve 127.0.0.1/32 scram-sha-256 clientcert=verify-full',
];
const STACK_TRACE = /^\s+at .+:\d+:\d+\)?$/m;

type CertificateCredentials = Extract<Credentials, { kind: 'certificate' }>;

describeWithServer('client certificates', 17, (spec) => {
  let tls: TlsServer;
  let database: string;
  let ada: { certFile: string; keyFile: string };

  beforeAll(async () => {
    tls = await startTlsServer(spec, HBA);
    ada = tls.client('ada');
    database = await tls.server.createDatabase();
    await tls.server.query(
      database,
      `create role ada superuser login;
       create role eve login password 'pw';
       create table orders (id int primary key, note text);
       insert into orders select i, 'note ' || i from generate_series(1, 100) i`,
    );
  });

  afterAll(async () => {
    await tls[Symbol.asyncDispose]();
  });

  function certificate(over: Partial<CertificateCredentials> = {}): CertificateCredentials {
    const files = { certFile: ada.certFile, keyFile: ada.keyFile, caFile: tls.caFile };
    return { kind: 'certificate', username: null, passphrase: null, ...files, ...over };
  }

  async function open(system: NamedSystem): Promise<readonly string[]> {
    await using source = await openSource(system, testContext());
    return (await source.discover()).map(({ schema }) => schema.stream.name);
  }

  async function connect(
    over: Partial<CertificateCredentials> = {},
    url = tls.url('ada', database),
  ): Promise<readonly string[]> {
    return await open(await resolveSystem(url, certificate(over)));
  }

  test('snapshot and changes on both sides, each connection with verify-full', async () => {
    const copy = await tls.server.createDatabase();
    const source = await resolveSystem(tls.url('ada', database), certificate());
    const destination = await resolveSystem(tls.url('ada', copy), certificate());
    expect(await catchUp(source, destination)).toMatchObject({ status: 'completed', error: null });
    await tls.server.query(database, `update orders set note = 'changed' where id <= 10`);
    expect(await catchUp(source, destination)).toMatchObject({ status: 'completed', error: null });
    expect(
      await tls.server.query(
        copy,
        `select count(*)::int as rows, count(*) filter (where note = 'changed')::int as changed from orders`,
      ),
    ).toEqual([{ rows: 100, changed: 10 }]);
  });

  test('a user of the entry connects in place of the one of the URL', async () => {
    const url = tls.url('nobody', database);
    expect(await connect({ username: 'ada' }, url)).toContain('orders');
    const { address } = await resolveSystem(url, certificate({ username: 'ada' }));
    expect(address.display).toContain('//ada@');
  });

  test('a certificate and a password, where the server wants both', async () => {
    const files = tls.client('eve');
    expect(await connect(files, tls.url('eve:pw', database))).toContain('orders');
    await expect(connect(files, tls.url('eve:no', database))).rejects.toMatchObject({
      code: 'authentication_failed',
    });
  });

  test('an encrypted key with its passphrase', async () => {
    const files = encryptedKey('open sesame');
    expect(await connect({ ...files, passphrase: new Secret('open sesame') })).toContain('orders');
    await expect(connect(files)).rejects.toMatchObject({ code: 'key_passphrase' });
    await expect(connect({ ...files, passphrase: new Secret('hunter2') })).rejects.toMatchObject({
      code: 'key_passphrase',
      message: expect.not.stringContaining('hunter2'),
    });
  });

  test('files are read anew: a renewed certificate is taken', async () => {
    const files = tls.client('renewed');
    await expect(connect(files)).rejects.toMatchObject({ code: 'certificate_refused' });
    const renewed = makeCertificate(tls.authority, { name: 'ada' });
    writeCertificate(tls.folder, { ...renewed, name: 'renewed' });
    expect(await connect(files)).toContain('orders');
  });

  test.each(['certificate first', 'key first'])('one file may hold both: %s', async (order) => {
    const made = makeCertificate(tls.authority, { name: 'ada' });
    const parts = [made.certificate, keyPem(made.key)];
    const file = join(tls.folder, 'both.pem');
    writeFileSync(file, (order === 'key first' ? parts.toReversed() : parts).join(''));
    expect(await connect({ certFile: file, keyFile: file })).toContain('orders');
  });

  test('a server of another CA', async () => {
    const caFile = join(tls.folder, 'other-ca.crt');
    writeFileSync(caFile, makeAuthority('other authority').certificate);
    await expect(connect({ caFile })).rejects.toMatchObject({ code: 'tls_refused' });
  });

  test('a server of another name, which verify-ca lets pass', async () => {
    const url = tls.url('ada', database).replace('localhost', '127.0.0.1');
    await expect(connect({}, url)).rejects.toMatchObject({
      code: 'tls_refused',
      why: expect.stringContaining('127.0.0.1'),
    });
    expect(await connect({}, `${url}?sslmode=verify-ca`)).toContain('orders');
  });

  test('a certificate that the server does not trust', async () => {
    const other = makeCertificate(makeAuthority('other authority'), { name: 'ada' });
    const files = writeCertificate(tls.folder, { ...other, name: 'strange' });
    await expect(connect(files)).rejects.toMatchObject({
      code: 'certificate_refused',
      message: expect.stringContaining('strange.crt'),
      why: 'unknown ca',
    });
  });

  test('the same with TLS 1.2, which tells it during the handshake', async () => {
    tls.server.configure({ ssl_max_protocol_version: 'TLSv1.2' });
    await tls.server.restart();
    const other = makeCertificate(makeAuthority('other authority'), { name: 'ada' });
    const files = writeCertificate(tls.folder, { ...other, name: 'strange' });
    await expect(connect(files)).rejects.toMatchObject({
      code: 'certificate_refused',
      why: 'unknown ca',
    });
    tls.server.configure({ ssl_max_protocol_version: '' });
    await tls.server.restart();
  });

  test('a certificate of another user', async () => {
    await expect(connect(tls.client('bob'))).rejects.toMatchObject({
      code: 'certificate_refused',
      systemCode: '28000',
    });
  });

  test('no certificate where the server wants one', async () => {
    const url = `${tls.url('ada', database)}?sslmode=verify-full&sslrootcert=${tls.caFile}`;
    await expect(open(await resolveSystem(url))).rejects.toMatchObject({
      code: 'authentication_failed',
      systemCode: '28000',
    });
  });

  test('an expired certificate is told before the server is asked', async () => {
    const expired = makeCertificate(tls.authority, {
      name: 'ada',
      from: new Date('2020-01-01'),
      to: new Date('2020-12-31'),
    });
    const files = writeCertificate(tls.folder, { ...expired, name: 'expired' });
    await expect(connect(files)).rejects.toMatchObject({
      code: 'certificate_expired',
      message: expect.stringMatching(/expired\.crt expired on 2020-12-31/),
    });
  });

  test('a key of another certificate', async () => {
    const { keyFile } = tls.client('other-key');
    await expect(connect({ keyFile })).rejects.toMatchObject({ code: 'key_mismatch' });
  });

  test.each(['certFile', 'keyFile', 'caFile'] as const)(
    'no file where %s points',
    async (field) => {
      const path = join(tls.folder, 'no-such-file.pem');
      await expect(connect({ [field]: path })).rejects.toMatchObject({
        code: 'certificate_unreadable',
        message: expect.stringContaining(path),
        why: 'ENOENT',
      });
      await expect(connect({ [field]: tls.folder })).rejects.toMatchObject({
        code: 'certificate_unreadable',
        why: 'EISDIR',
      });
    },
  );

  test.each(['sslmode=disable', 'sslmode=prefer', 'host=/run/postgresql'])(
    'no certificate goes where %s leads',
    async (parameter) => {
      const url = `postgres://ada@/shop?${parameter}`;
      await expect(resolveSystem(url, certificate())).rejects.toMatchObject({
        code: 'invalid_url',
      });
    },
  );

  test('the command takes them from the URL, and tells mistakes without a stack trace', async () => {
    const files = encryptedKey('open sesame');
    const discover = (parameters: Record<string, string>) => {
      const query = new URLSearchParams({
        sslmode: 'verify-full',
        sslrootcert: tls.caFile,
        sslcert: files.certFile,
        sslkey: files.keyFile,
        ...parameters,
      });
      return runForebay(['discover', tls.url('ada', database, `?${query.toString()}`)]);
    };
    const good = await discover({ sslpassword: 'open sesame' });
    expectExit(good, 0);
    expect(good.stdout).toContain('orders');
    for (const [parameters, code, exit] of [
      [{ sslpassword: 'hunter2' }, 'key_passphrase', 3],
      [{ sslcert: '/no/such/file' }, 'certificate_unreadable', 3],
      [{ sslcert: ada.certFile, sslpassword: 'open sesame' }, 'key_mismatch', 3],
      [bobParameters(), 'certificate_refused', 4],
    ] as const) {
      const bad = await discover(parameters);
      expectExit(bad, exit);
      expect(bad.stderr).toContain(code);
      expect(bad.stderr).not.toMatch(STACK_TRACE);
      expect(bad.stderr).not.toContain('hunter2');
    }
  });

  function encryptedKey(passphrase: string): { certFile: string; keyFile: string } {
    const made = makeCertificate(tls.authority, { name: 'ada' });
    return writeCertificate(tls.folder, { ...made, name: 'encrypted' }, passphrase);
  }

  function bobParameters(): { sslcert: string; sslkey: string } {
    const { certFile, keyFile } = tls.client('bob');
    return { sslcert: certFile, sslkey: keyFile };
  }
});

// Entries of `authentication` in a configuration file, each used by a stream on both sides.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { makeCertificate, writeCertificate } from '../support/certificates.ts';
import { type FakeEntra, startFakeEntra, TENANT } from '../support/entra.ts';
import { expectExit } from '../support/exit.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';
import { openServiceFile, type ServiceFile, type StreamEntry } from '../support/service.ts';
import { describeWithServer } from '../support/shared-servers.ts';
import { startTlsServer, type TlsServer } from '../support/tls-server.ts';

const STACK_TRACE = /^\s+at .+:\d+:\d+\)?$/m;

describeWithServer('authentication of a configuration file', 17, (spec) => {
  let tls: TlsServer;
  let entra: FakeEntra;
  let file: ServiceFile;
  let source: string;
  let copy: string;

  beforeAll(async () => {
    tls = await startTlsServer(spec, ['hostssl all ada 127.0.0.1/32 cert']);
    entra = await startFakeEntra();
    file = await openServiceFile();
    source = await tls.server.createDatabase();
    copy = await tls.server.createDatabase();
    await tls.server.query(
      source,
      `create role ada superuser login;
       create role agent superuser login;
       create role bob superuser login password 'p@ss/word';
       create table by_password (id int primary key); insert into by_password values (1);
       create table by_certificate (id int primary key); insert into by_certificate values (1);
       create table by_token (id int primary key); insert into by_token values (1)`,
    );
    writeFileSync(join(dirname(file.path), 'ca.crt'), tls.authority.certificate);
    writeFileSync(join(dirname(file.path), 'entra-ca.crt'), entra.ca);
    const ada = makeCertificate(tls.authority, { name: 'ada' });
    writeCertificate(dirname(file.path), ada, 'open sesame');
    entra.onIssue = async (token) => {
      await tls.server.query(source, `alter role agent password '${token}'`);
    };
  });

  afterAll(async () => {
    file[Symbol.dispose]();
    await entra[Symbol.asyncDispose]();
    await tls[Symbol.asyncDispose]();
  });

  function stream(table: string, auth_id: string, user: string): StreamEntry {
    const ca = join(dirname(file.path), 'ca.crt');
    const connection_string = `postgres://${user}localhost:${tls.server.port}?sslmode=verify-full&sslrootcert=${ca}`;
    const side = { type: 'postgres', connection_string, auth_id };
    return {
      id: table,
      source: { ...side, database: source, collection_table: `public.${table}` },
      destination: { ...side, database: copy },
    };
  }

  async function run(passphrase: string, secret: string): Promise<ForebayExit> {
    const env = {
      KEY_PASSPHRASE: passphrase,
      AZURE_SECRET: secret,
      NODE_EXTRA_CA_CERTS: join(dirname(file.path), 'entra-ca.crt'),
    };
    return await runForebay(['run', file.path, '--until-caught-up', '--json'], { env });
  }

  test('password, certificate and token, then a wrong passphrase and a wrong secret', async () => {
    entra.secret = 'right';
    const certificate = { cert_file: 'ada.crt', key_file: 'ada.key', ca_file: 'ca.crt' };
    file.write(
      [
        stream('by_password', 'password', ''),
        stream('by_certificate', 'certificate', ''),
        stream('by_token', 'entra', 'agent@'),
      ],
      {
        authentication: [
          {
            id: 'password',
            type: 'username_password',
            config: { username: 'bob', password: 'p@ss/word' },
          },
          {
            id: 'certificate',
            type: 'certificate',
            config: { username: 'ada', passphrase: '${env:KEY_PASSPHRASE}', ...certificate },
          },
          {
            id: 'entra',
            type: 'azure_entra',
            config: {
              tenant_id: TENANT,
              client_id: 'application',
              client_secret: '${env:AZURE_SECRET}',
              authority_host: entra.authorityHost,
            },
          },
        ],
      },
    );

    const good = await run('open sesame', 'right');
    expectExit(good, 0);
    for (const table of ['by_password', 'by_certificate', 'by_token']) {
      expect(await tls.server.query(copy, `select id from ${table}`)).toEqual([{ id: 1 }]);
    }

    const bad = await run('hunter2', 'hunter3');
    expect(bad.code).not.toBe(0);
    expect(bad.stderr).toContain('key_passphrase');
    expect(bad.stderr).toContain('token_not_issued');
    expect(bad.stderr + bad.stdout).not.toMatch(/hunter[23]/);
    expect(bad.stderr).not.toMatch(STACK_TRACE);
  });
});

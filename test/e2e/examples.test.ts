// Every file in examples/ runs against the demo's database, on a server that takes passwords, certificates and tokens.
import {
  copyFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseDocument } from 'yaml';

import { createShop, shopSize } from '../../src/cli/demo/shop.ts';
import { parsePostgresUrl } from '../../src/connectors/postgres/config.ts';
import { PgConnection } from '../../src/connectors/postgres/connection.ts';
import { makeCertificate, writeCertificate } from '../support/certificates.ts';
import { type FakeEntra, startFakeEntra, TENANT } from '../support/entra.ts';
import { type ForebayExit, runForebay } from '../support/process.ts';
import { freePort } from '../support/ports.ts';
import { describeWithServer } from '../support/shared-servers.ts';
import { dropSlots } from '../support/slots.ts';
import { startTlsServer, type TlsServer } from '../support/tls-server.ts';

const EXAMPLES = new URL('../../examples/', import.meta.url).pathname;
const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.yaml'));
const SIZE = shopSize(2000);

/** What an example shows, as a query of the warehouse and its answer; every one has a row here. */
const SHOWS: Readonly<Record<string, readonly [sql: string, answer: string]>> = {
  'minimal.yaml': ['select count(*) from order_items', String(SIZE.items)],
  'all-options.yaml': [
    'select count(distinct origin) || min(origin) from orders_for_analysts where ordered_at is not null',
    '1shop',
  ],
  'append.yaml': [`select count(*) from order_log where _forebay_op = 'r'`, String(SIZE.orders)],
  'azure-entra.yaml': ['select count(*) from customers', String(SIZE.customers)],
  'certificate.yaml': ['select count(*) from customers', String(SIZE.customers)],
  'dead-letters-file.yaml': [
    'select count(*) from orders',
    String(SIZE.orders - Math.floor(SIZE.orders / 5)),
  ],
  'dead-letters-table.yaml': [
    `select (select count(*) from orders) + (select count(*) from _forebay.dead_letters where code = 'transform_cast')`,
    String(SIZE.orders),
  ],
  'filter.yaml': [`select count(*) from returned_orders where status <> 'returned'`, '0'],
  'kazaam.yaml': [
    `select count(*) from catalogue where title like 'Product %' and currency = 'EUR' and price > 0`,
    String(SIZE.products),
  ],
  'mapping.yaml': [
    `select count(*) from orders where origin = 'shop' and ordered_at is not null`,
    String(SIZE.orders),
  ],
  'mask.yaml': [
    `select count(*) from customers where email like '%@%' or name <> '[redacted]'`,
    '0',
  ],
  'module.yaml': [`select count(distinct region) from customers`, '2'],
  'several-streams.yaml': ['select count(*) from products', String(SIZE.products)],
  'soft-deletes.yaml': ['select count(_forebay_deleted_at) from customers', '0'],
  'username-password.yaml': ['select count(*) from customers', String(SIZE.customers)],
};

/** Rows that cannot be transformed are what these are about. */
const DONE_IN_PART = ['dead-letters-file.yaml', 'dead-letters-table.yaml'];

describeWithServer('examples', 17, (spec) => {
  let tls: TlsServer;
  let entra: FakeEntra;
  let folder: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    tls = await startTlsServer(spec, ['hostssl all ada 127.0.0.1/32 cert']);
    entra = await startFakeEntra();
    folder = mkdtempSync(join(tmpdir(), 'fb-examples-'));
    cpSync(EXAMPLES, folder, { recursive: true });
    const { server } = tls;
    await server.query('postgres', 'create database shop');
    await server.query(
      'postgres',
      `create role ada superuser login; create role agent superuser login;
       create role bob superuser login password 'secret'`,
    );
    await using shop = await PgConnection.connect(parsePostgresUrl(server.url('shop')), {
      applicationName: 'examples',
      signal: new AbortController().signal,
    });
    await createShop(shop, SIZE);
    await shop.execute('create publication forebay_orders for table public.orders');

    const ada = writeCertificate(folder, makeCertificate(tls.authority, { name: 'ada' }), 'open');
    copyFileSync(ada.certFile, join(folder, 'client.crt'));
    copyFileSync(ada.keyFile, join(folder, 'client.key'));
    writeFileSync(join(folder, 'ca.crt'), tls.authority.certificate);
    writeFileSync(join(folder, 'entra-ca.crt'), entra.ca);
    entra.secret = 'right';
    entra.onIssue = async (token) => {
      await server.query('postgres', `alter role agent password '${token}'`);
    };
    const at = (user: string): string => `postgres://${user}localhost:${server.port}`;
    env = {
      FOREBAY_DEMO_SOURCE: `${at('bob:secret@')}/shop`,
      FOREBAY_DEMO_DESTINATION: `${at('bob:secret@')}/warehouse`,
      FOREBAY_DEMO_SERVER: at(''),
      FOREBAY_DEMO_CERTIFICATES: folder,
      FOREBAY_DEMO_PASSPHRASE: 'open',
      FOREBAY_DEMO_SALT: 'a salt of the examples',
      AZURE_TENANT_ID: TENANT,
      AZURE_CLIENT_ID: 'application',
      AZURE_CLIENT_SECRET: 'right',
      AZURE_AUTHORITY_HOST: entra.authorityHost,
      NODE_EXTRA_CA_CERTS: join(folder, 'entra-ca.crt'),
    };
  });

  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await entra[Symbol.asyncDispose]();
    await tls[Symbol.asyncDispose]();
  });

  /** The file as it is, but for ports that are free. */
  async function execute(name: string): Promise<ForebayExit> {
    const path = join(folder, name);
    const document = parseDocument(readFileSync(path, 'utf8'), { merge: true });
    document.setIn(['service', 'health_port'], await freePort());
    document.setIn(['service', 'metrics_port'], await freePort());
    writeFileSync(path, document.toString());
    const user = name.startsWith('certificate') ? 'ada' : 'bob';
    const own =
      name === 'azure-entra.yaml'
        ? { FOREBAY_DEMO_SERVER: env['FOREBAY_DEMO_SERVER']?.replace('//', '//agent@') ?? '' }
        : {};
    return await runForebay(['run', path, '--until-caught-up', '--json'], {
      env: { ...env, FOREBAY_DEMO_USER: user, FOREBAY_DEMO_PASSWORD: 'secret', ...own },
    });
  }

  test.each(files)('%s', async (name) => {
    const { server } = tls;
    await server.dropDatabase('warehouse');
    await server.query('postgres', 'create database warehouse');
    const exit = await execute(name);
    expect([exit.code, exit.code === 0 ? '' : exit.stderr]).toEqual(
      DONE_IN_PART.includes(name) ? [5, expect.any(String)] : [0, ''],
    );
    for (const { read, applied, folded, filtered, deadLettered } of exit.result?.streams ?? [])
      expect(applied + folded + filtered + deadLettered).toBe(read);
    if (name === 'dead-letters-file.yaml') {
      const dead = readdirSync(join(folder, 'dead')).map((file) => join(folder, 'dead', file));
      const letters = dead.flatMap((file) => readFileSync(file, 'utf8').trimEnd().split('\n'));
      expect(letters).toHaveLength(Math.floor(SIZE.orders / 5));
    }
    const [sql, answer] = SHOWS[name] ?? ['', ''];
    const rows = await server.query('warehouse', `select (${sql})::text as answer`);
    expect(rows).toEqual([{ answer }]);
    await dropSlots(server, 'shop');
  });
});

import { describe, expect, test } from 'vitest';

import { edit, problemsOf, SHOP } from '../../../test/support/configuration.ts';

const SOURCE = 'postgres://ada:secret@shop-db/shop';
const AT = 'c.yaml:6:26 streams[0].source.connection_string:';
const WRITE_POSTGRES =
  'Write postgres://user:password@host:5432/database or host=... port=... user=... password=... dbname=....';

/** The file with another source; its tables are of another database, so that nothing else is wrong. */
function withSource(type: string, connection: string, more = ''): string {
  return edit(
    SHOP,
    ['type: postgres', `type: ${type}`],
    [SOURCE, JSON.stringify(connection)],
    ['      database: shop\n', `      database: shop\n${more}`],
  );
}

describe('a connection string that its type takes', () => {
  test.each([
    ['postgres', 'postgres://ada:s%40cret@shop-db:5433/shop?sslmode=require'],
    ['postgres', 'postgresql://shop-db'],
    ['postgres', 'postgres://ada@/shop?host=/var/run/postgresql&port=5433'],
    ['postgres', 'postgres://[::1]:5432/shop'],
    ['postgres', "host=shop-db port=5433 user=ada password='se cret' dbname=shop sslmode=disable"],
    ['mysql', 'mysql://ada:secret@shop-db:3306/shop'],
    ['mysql', 'mysql://shop-db'],
    ['mongodb', 'mongodb://ada:secret@a:27017,b:27018,c/shop?replicaSet=rs0'],
    ['mongodb', 'mongodb+srv://ada:secret@cluster.example.net/shop'],
    ['mongodb', 'mongodb://ada:secret@a/admin'],
    ['cosmosdb', 'AccountEndpoint=https://shop.documents.azure.com:443/;AccountKey=c2VjcmV0;'],
    ['cosmosdb', 'cosmosdb://:c2VjcmV0@shop.documents.azure.com/shop'],
    [
      'cosmosdb',
      'mongodb://shop:c2VjcmV0@shop.mongo.cosmos.azure.com:10255/shop?ssl=true&replicaSet=globaldb',
    ],
  ])('%s: %s', (type, connection) => {
    expect(problemsOf(withSource(type, connection))).toEqual([]);
  });
});

describe('a connection string that its type does not take', () => {
  test.each([
    [
      'postgres',
      'mysql://ada:secret@shop-db/shop',
      `this is no connection string of PostgreSQL (connection-string) — ${WRITE_POSTGRES}`,
    ],
    [
      'postgres',
      'postgres://ada:secret@shop-db/shop?sslmode=sometimes',
      'parameter sslmode of the postgres URL: Invalid option: expected one of "disable"|"prefer"|"require"|"verify-ca"|"verify-full" (connection-string) — Known parameters: sslmode, sslrootcert, sslcert, sslkey, sslpassword, host, port, application_name, connect_timeout.',
    ],
    [
      'postgres',
      'postgres://ada:se/cret@shop-db/shop',
      'the connection string is no URL that can be read (connection-string) — Write @ as %40, / as %2F, # as %23 and ? as %3F in user and password.',
    ],
    [
      'postgres',
      'postgres://ada:1?cret@shop-db/shop',
      'the connection string is no URL that can be read (connection-string) — Write @ as %40, / as %2F, # as %23 and ? as %3F in user and password.',
    ],
    [
      'postgres',
      'postgres://ada:secret@se@shop-db/shop',
      'host and port of the connection string cannot be read (connection-string) — Write host:port; in user and password write @ as %40, / as %2F and : as %3A.',
    ],
    [
      'postgres',
      'postgres://ada:50%off@shop-db/shop',
      'the connection string is not percent-encoded correctly (connection-string) — Write % itself as %25.',
    ],
    [
      'postgres',
      'postgres://ada:secret@shop-db:99999/shop',
      'host and port of the connection string cannot be read (connection-string) — Write host:port; in user and password write @ as %40, / as %2F and : as %3A.',
    ],
    [
      'postgres',
      'postgres://ada@a,b/shop',
      'several hosts stand in the connection string (connection-string) — Name one host.',
    ],
    [
      'mysql',
      'postgres://ada:secret@shop-db/shop',
      'this is no connection string of MySQL (connection-string) — Write mysql://user:password@host:3306/database.',
    ],
    [
      'mysql',
      'ada:secret@tcp(shop-db:3306)/shop',
      'this is no connection string of MySQL (connection-string) — Write mysql://user:password@host:3306/database.',
    ],
    [
      'mongodb',
      'mongo://shop-db/shop',
      'this is no connection string of MongoDB (connection-string) — Write mongodb://user:password@host:27017/database or mongodb+srv://user:password@host/database.',
    ],
    [
      'mongodb',
      'mongodb+srv://a:27017/shop',
      'mongodb+srv takes one host and no port (connection-string) — Write mongodb+srv://host/database.',
    ],
    [
      'mongodb',
      'mongodb:///shop',
      'the connection string names no host (connection-string) — Write mongodb://user:password@host:27017/database or mongodb+srv://user:password@host/database.',
    ],
    [
      'cosmosdb',
      'https://shop.documents.azure.com',
      'this is no connection string of Cosmos DB (connection-string) — Write AccountEndpoint=https://account.documents.azure.com:443/;AccountKey=... or cosmosdb://account.documents.azure.com/database or mongodb://... for the MongoDB API.',
    ],
    [
      'cosmosdb',
      'AccountEndpoint=shop;AccountKey=c2VjcmV0',
      'AccountEndpoint is missing or no https URL (connection-string) — Write AccountEndpoint=https://account.documents.azure.com:443/;AccountKey=... or cosmosdb://account.documents.azure.com/database or mongodb://... for the MongoDB API.',
    ],
    [
      'cosmosdb',
      'AccountEndpoint=https://shop.documents.azure.com;AccountKey=se cret',
      'AccountKey is not base64 (connection-string) — Copy the key from the account anew.',
    ],
    [
      'cosmosdb',
      'AccountEndpoint=https://shop.documents.azure.com:443/;',
      'the connection string has no key, and there is no auth_id (credentials) — Add AccountKey=... or name an entry of authentication in auth_id.',
    ],
  ])('%s: %s', (type, connection, expected) => {
    const problems = problemsOf(withSource(type, connection));
    expect(problems).toEqual([`${AT} ${expected}`]);
    expect(problems.join()).not.toMatch(/cret|50%off/);
  });
});

test('a database that contradicts the connection string', () => {
  expect(problemsOf(edit(SHOP, ['database: shop', 'database: stock']))).toEqual([
    'c.yaml:7:17 streams[0].source.database: connection_string names another database (database) — Write the same name in both, or leave the database out of connection_string.',
  ]);
});

describe('a login', () => {
  const AUTH = (id: string, entry: string) => `authentication:\n  - {id: ${id}, ${entry}}\n`;
  const PASSWORD = 'type: username_password, config: {username: ada, password: secret}';
  const TOKEN = 'type: azure_entra, config: {tenant_id: t, client_id: c, client_secret: s}';
  const withLogin = (connection: string, entry: string) =>
    withSource('postgres', connection, '      auth_id: login\n') + AUTH('login', entry);

  test.each([
    ['no user and password in the connection string', 'postgres://shop-db/shop', PASSWORD],
    ['the same in both', SOURCE, PASSWORD],
    ['a user alone, and a token', 'postgres://ada@shop-db/shop', TOKEN],
  ])('%s', (_, connection, entry) => {
    expect(problemsOf(withLogin(connection, entry))).toEqual([]);
  });

  test.each([
    ['another password', 'postgres://ada:hunter2@shop-db/shop', PASSWORD, 'a password too'],
    ['another user', 'postgres://bob@shop-db/shop', PASSWORD, 'another user'],
    ['a password beside a token', SOURCE, TOKEN, 'a password too'],
  ])('%s is refused', (_, connection, entry, what) => {
    const problems = problemsOf(withLogin(connection, entry));
    expect(problems).toEqual([
      `${AT} auth_id login gives the login, and the connection string has ${what} (credentials) — Take user and password out of connection_string, or leave out auth_id.`,
    ]);
    expect(problems.join()).not.toMatch(/hunter2/);
  });
});

describe('tables', () => {
  test.each([
    [
      'a glob at the destination',
      edit(SHOP, ['database: dw', 'database: dw\n      collection_table: public.*']),
      "the destination is one table, not a glob (single-table) — Write a name, or leave it out to keep the source's names.",
    ],
    [
      'several tables into one',
      edit(
        SHOP,
        ['public.orders', 'public.*'],
        ['database: dw', 'database: dw\n      collection_table: public.all'],
      ),
      'several tables of the source would land in this one (single-table) — Name a single table in source.collection_table, or leave this out.',
    ],
    [
      'all tables into one',
      edit(
        SHOP,
        ['      collection_table: public.orders\n', ''],
        ['database: shop\n', 'database: shop\n\n'],
        ['database: dw', 'database: dw\n      collection_table: public.all'],
      ),
      'several tables of the source would land in this one (single-table) — Name a single table in source.collection_table, or leave this out.',
    ],
  ])('%s', (_, text, expected) => {
    expect(problemsOf(text)).toEqual([
      `c.yaml:13:25 streams[0].destination.collection_table: ${expected}`,
    ]);
  });

  test('one into one of another name', () => {
    const text = edit(SHOP, ['database: dw', 'database: dw\n      collection_table: public.all']);
    expect(problemsOf(text)).toEqual([]);
  });
});

test('options of PostgreSQL for another type', () => {
  const source = withSource(
    'mysql',
    'mysql://shop-db',
    '      change_stream_options: {slot: a, publication: b}\n',
  );
  expect(problemsOf(source)).toEqual([
    'c.yaml:8:37 streams[0].source.change_stream_options.slot: mysql has no slot: it is an option for postgres (option-of-type) — Remove it.',
    'c.yaml:8:53 streams[0].source.change_stream_options.publication: mysql has no publication: it is an option for postgres (option-of-type) — Remove it.',
  ]);
});

describe('permanent error codes', () => {
  const withCodes = (type: string, connection: string, codes: string) =>
    edit(withSource(type, connection), [
      '  - id: shop\n',
      `  - id: shop\n    retry_policy: {permanent_error_codes: [${codes}]}\n`,
    ]);

  test.each([
    ['postgres', SOURCE, '"23505", 22P02, 08006, P0001'],
    ['mysql', 'mysql://h', '1062, ER_DUP_ENTRY, CR_SERVER_LOST, "23505"'],
    ['mongodb', 'mongodb://h', '11000, DuplicateKey, "40001"'],
    ['cosmosdb', 'cosmosdb://:c2VjcmV0@h.x', '409, 429/3200, "40001"'],
  ])('%s into postgres takes %s %s', (type, connection, codes) => {
    expect(problemsOf(withCodes(type, connection, codes))).toEqual([]);
  });

  test.each([
    [
      'postgres',
      SOURCE,
      'unique_violation',
      '"unique_violation" is no error code of postgres (error-code) — Write postgres: an SQLSTATE of five digits or capital letters, e.g. 23505.',
    ],
    [
      'mysql',
      'mysql://h',
      'duplicate',
      '"duplicate" is no error code of mysql or postgres (error-code) — Write mysql: an error number or name, e.g. 1062 or ER_DUP_ENTRY; postgres: an SQLSTATE of five digits or capital letters, e.g. 23505.',
    ],
    [
      'mongodb',
      'mongodb://h',
      'E11000',
      '"E11000" is no error code of mongodb or postgres (error-code) — Write mongodb: an error code or its name, e.g. 11000 or DuplicateKey; postgres: an SQLSTATE of five digits or capital letters, e.g. 23505.',
    ],
    [
      'cosmosdb',
      'cosmosdb://:c2VjcmV0@h.x',
      '"200"',
      '"200" is no error code of cosmosdb or postgres (error-code) — Write cosmosdb: an HTTP status with or without a sub-status, e.g. 409 or 429/3200; postgres: an SQLSTATE of five digits or capital letters, e.g. 23505.',
    ],
  ])('%s into postgres does not take %s %s', (type, connection, code, expected) => {
    expect(problemsOf(withCodes(type, connection, code))).toEqual([
      `c.yaml:4:44 streams[0].retry_policy.permanent_error_codes[0]: ${expected}`,
    ]);
  });
});

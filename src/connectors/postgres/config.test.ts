import { afterEach, describe, expect, test, vi } from 'vitest';

import type { Credentials } from '../../core/credentials.ts';
import { Secret } from '../../core/secret.ts';
import { isLoopback, parsePostgresUrl, postgresAddress } from './config.ts';

const password: Credentials = { kind: 'password', username: 'bob', password: new Secret('right') };
const certificate: Credentials = {
  kind: 'certificate',
  username: null,
  certFile: '/c/ada.crt',
  keyFile: '/c/ada.key',
  caFile: null,
  passphrase: null,
};
const token: Credentials = {
  kind: 'token',
  username: null,
  tokens: {
    fetch: () => Promise.resolve({ token: new Secret('t'), expiresAtMs: 1 }),
    discard: () => {},
  },
};

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('credentials beside the URL', () => {
  test('user and password stand in for those of the URL', () => {
    const config = parsePostgresUrl('postgres://ada:wrong@db.example/shop', password);
    expect(config).toMatchObject({ user: 'bob', database: 'shop', sslMode: 'verify-full' });
    expect(config.password?.reveal()).toBe('right');
  });

  test('the user connects, is shown, and names the database where nothing does', () => {
    const address = postgresAddress('postgres://ada@db.example', password);
    expect(address).toMatchObject({
      display: 'postgres://bob@db.example:5432/bob',
      credentials: password,
    });
    expect(JSON.stringify(address)).not.toContain('right');
  });

  test('a certificate is verify-full on loopback too, unless the URL says otherwise', () => {
    const url = 'postgres://ada@localhost/shop';
    expect(parsePostgresUrl(url, certificate)).toMatchObject({
      sslMode: 'verify-full',
      sslCert: '/c/ada.crt',
      sslKey: '/c/ada.key',
      user: 'ada',
    });
    expect(parsePostgresUrl(`${url}?sslmode=verify-ca`, certificate).sslMode).toBe('verify-ca');
  });

  test("the certificate's CA goes before the URL's, which stays where there is none", () => {
    const url = 'postgres://ada@db.example/shop?sslrootcert=/c/url.crt';
    expect(parsePostgresUrl(url, certificate).sslRootCert).toBe('/c/url.crt');
    const own = { ...certificate, caFile: '/c/own.crt' };
    expect(parsePostgresUrl(url, own).sslRootCert).toBe('/c/own.crt');
  });

  test('with a token no other password is taken, from nowhere', async () => {
    vi.stubEnv('PGPASSWORD', 'environment');
    const config = parsePostgresUrl('postgres://ada:url@db.example/shop', token);
    expect(config).toMatchObject({ user: 'ada', password: null });
    expect(await config.tokens?.fetch(new AbortController().signal)).toMatchObject({
      expiresAtMs: 1,
    });
  });

  test('do not change which system it is', () => {
    const url = 'postgres://ada@db.example/shop';
    const { identity } = postgresAddress(url);
    for (const credentials of [password, certificate, token]) {
      expect(postgresAddress(url, credentials).identity).toBe(identity);
    }
  });
});

test('sslcert and sslkey come together', () => {
  expect(() => parsePostgresUrl('postgres://h/d?sslcert=/c/ada.crt')).toThrow(/sslkey/);
});

test.each([
  ['127.0.0.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['10.0.0.1', false],
  ['127.example', false],
  [undefined, false],
])('%s is loopback: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

import { describe, expect, test } from 'vitest';

import { Secret } from '../../core/secret.ts';
import { credentialsOf } from './credentials.ts';

const folder = '/etc/forebay';

describe('credentialsOf', () => {
  test('user and password', () => {
    const password = new Secret('hunter2');
    const config = { username: 'ada', password };
    expect(credentialsOf({ id: 'a', type: 'username_password', config }, folder)).toEqual({
      kind: 'password',
      username: 'ada',
      password,
    });
  });

  test('a certificate; relative paths start at the folder of the file', () => {
    const config = { cert_file: 'c/ada.crt', key_file: '/keys/ada.key' };
    expect(credentialsOf({ id: 'a', type: 'certificate', config }, folder)).toEqual({
      kind: 'certificate',
      username: null,
      certFile: '/etc/forebay/c/ada.crt',
      keyFile: '/keys/ada.key',
      caFile: null,
      passphrase: null,
    });
    const passphrase = new Secret('open sesame');
    const all = { ...config, username: 'ada', ca_file: 'ca.crt', passphrase };
    expect(credentialsOf({ id: 'a', type: 'certificate', config: all }, folder)).toMatchObject({
      username: 'ada',
      caFile: '/etc/forebay/ca.crt',
      passphrase,
    });
  });

  test('a token is asked for when a connection wants one, not before', () => {
    const config = { managed_identity: true };
    expect(credentialsOf({ id: 'a', type: 'azure_entra', config }, folder)).toMatchObject({
      kind: 'token',
      username: null,
    });
  });

  test('tokens are shared by what asks for the same with the same secret', () => {
    const tokensOf = (secret: string, scope?: string) => {
      const config = { tenant_id: 't', client_id: 'c', client_secret: new Secret(secret), scope };
      const given = credentialsOf({ id: 'a', type: 'azure_entra', config }, folder);
      return given.kind === 'token' ? given.tokens : null;
    };
    const tokens = tokensOf('one');
    expect(tokensOf('one')).toBe(tokens);
    expect(tokensOf('two')).not.toBe(tokens);
    expect(tokensOf('one', 'another scope')).not.toBe(tokens);
  });

  test('an entry without a way is refused', () => {
    const config = { tenant_id: 't', client_id: 'c' };
    expect(() => credentialsOf({ id: 'a', type: 'azure_entra', config }, folder)).toThrow(
      /authentication a /,
    );
  });
});

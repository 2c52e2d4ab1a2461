import { describe, expect, it } from 'vitest';
import { connectionUrl } from './connection-fields.ts';
import { parsePostgresUrl } from './postgres/config.ts';

describe('the URL of a stored connection', () => {
  it('says what its fields say, whatever characters they have', () => {
    const fields = {
      host: 'db.example.org',
      port: 5433,
      database: 'sales/2024 %',
      user: 'a:b@c',
      password: 'p@ss/w:rd?#%',
      ssl_mode: 'require',
    };
    const config = parsePostgresUrl(connectionUrl('postgres', fields).reveal());
    expect(config).toMatchObject({
      host: 'db.example.org',
      port: 5433,
      database: 'sales/2024 %',
      user: 'a:b@c',
      sslMode: 'require',
    });
    expect(config.password?.reveal()).toBe('p@ss/w:rd?#%');
  });

  it('takes addresses of version 6, and folders of sockets', () => {
    const login = { database: 'd', user: 'u' };
    const six = parsePostgresUrl(connectionUrl('postgres', { ...login, host: '::1' }).reveal());
    expect(six.host).toBe('::1');
    const fields = { ...login, host: '/var/run/postgresql', port: 5444 };
    const socket = parsePostgresUrl(connectionUrl('postgres', fields).reveal());
    expect(socket).toMatchObject({ socketFolder: '/var/run/postgresql', port: 5444 });
  });

  it.each([
    ['postgres', { host: 'h', database: 'd' }, 'request_invalid'],
    ['postgres', { host: 'h', database: 'd', user: 'u', sslmode: 'require' }, 'request_invalid'],
    ['postgres', { connection_string: 'duckdb:x' }, 'invalid_url'],
    ['duckdb', {}, 'request_invalid'],
    ['oracle', {}, 'capability_missing'],
  ])('%s %j: %s', (type, fields, code) => {
    expect(() => connectionUrl(type, fields)).toThrow(expect.objectContaining({ code }));
  });
});

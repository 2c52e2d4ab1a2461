/** A connection string of the configuration file with the database and the credentials that stand beside it. Pure. */
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { postgresUrl } from './configuration/connection-string.ts';
import type { ResolvedSystem } from './configuration/resolve.ts';

interface Named extends ResolvedSystem {
  readonly type: 'postgres';
  readonly database: string;
}

const PARTS = /^([a-z]+:\/\/)(?:([^@/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(\?.*)?$/i;

function loginOf({ authentication }: Named, inUrl: string | undefined): string {
  if (authentication?.type !== 'username_password') return inUrl ?? '';
  const { username, password } = authentication.config;
  const text = typeof password === 'string' ? password : password.reveal();
  return `${encodeURIComponent(username)}:${encodeURIComponent(text)}`;
}

export function connectionUrl(system: Named): Secret {
  const url = postgresUrl(system.connection.reveal());
  const [, scheme = '', credentials, host = '', path = '', query = ''] =
    PARTS.exec(url ?? '') ?? [];
  if (scheme === '') {
    throw new ForebayError('invalid_url', { message: 'cannot read the connection string' });
  }
  const login = loginOf(system, credentials);
  const database = path === '' ? encodeURIComponent(system.database) : path;
  return new Secret(`${scheme}${login === '' ? '' : `${login}@`}${host}/${database}${query}`);
}

/** A connection string of the configuration file with the database that stands beside it. Pure. */
import { ForebayError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';
import { postgresUrl } from './configuration/connection-string.ts';

interface Named {
  readonly connection: Secret;
  readonly type: 'postgres';
  readonly database: string;
}

/** Scheme and login, host and port, database, parameters. */
const PARTS = /^([a-z]+:\/\/(?:[^@/?#]*@)?)([^/?#]*)(?:\/([^?#]*))?(\?.*)?$/i;

export function connectionUrl(system: Named): Secret {
  const url = postgresUrl(system.connection.reveal());
  const [, start = '', host = '', path = '', query = ''] = PARTS.exec(url ?? '') ?? [];
  if (start === '') {
    throw new ForebayError('invalid_url', { message: 'cannot read the connection string' });
  }
  const database = path === '' ? encodeURIComponent(system.database) : path;
  return new Secret(`${start}${host}/${database}${query}`);
}

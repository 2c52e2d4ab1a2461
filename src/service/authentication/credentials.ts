/** From an entry of `authentication` in a configuration file to what a connector logs in with. */
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Credentials } from '../../core/credentials.ts';
import { ForebayError } from '../../core/errors.ts';
import type { ResolvedAuthentication } from '../configuration/resolve.ts';
import { type EntraIdentity, entraTokens, type EntraWay } from './entra.ts';
import { TokenSource } from './token-source.ts';

/** What Azure's managed open-source databases (PostgreSQL, MySQL) take tokens for, in the public cloud. */
const DATABASE_SCOPE = 'https://ossrdbms-aad.database.windows.net/.default';

type Entra = Extract<ResolvedAuthentication, { type: 'azure_entra' }>;

function wayOf({ id, config }: Entra, folder: string): EntraWay {
  if (config.managed_identity === true) {
    return { kind: 'managed-identity', clientId: config.client_id ?? null };
  }
  const { tenant_id: tenantId, client_id: clientId } = config;
  if (tenantId !== undefined && clientId !== undefined) {
    if (config.client_secret !== undefined) {
      return { kind: 'client-secret', tenantId, clientId, secret: config.client_secret };
    }
    if (config.client_certificate !== undefined) {
      const file = resolve(folder, config.client_certificate);
      return { kind: 'client-certificate', tenantId, clientId, file };
    }
    if (config.workload_identity === true) return { kind: 'workload-identity', tenantId, clientId };
  }
  throw new ForebayError('configuration_invalid', {
    message: `The authentication ${id} names no way to get a token`,
  });
}

/** Of streams that are long gone, too; each is a few kilobytes. */
const MOST_SOURCES = 100;
const sources = new Map<string, TokenSource>();

/** One for all streams with the same identity and secret: issuers, above all that of a machine, limit requests. */
function sharedSource(identity: EntraIdentity): TokenSource {
  const { way } = identity;
  const secret = way.kind === 'client-secret' ? way.secret.reveal() : null;
  const key = createHash('sha256')
    .update(JSON.stringify([identity, secret]))
    .digest('base64');
  const known = sources.get(key);
  if (known !== undefined) return known;
  const [oldest] = sources.keys();
  if (oldest !== undefined && sources.size >= MOST_SOURCES) sources.delete(oldest);
  const made = new TokenSource(entraTokens(identity));
  sources.set(key, made);
  return made;
}

/** `folder` is where relative paths start. */
export function credentialsOf(entry: ResolvedAuthentication, folder: string): Credentials {
  switch (entry.type) {
    case 'username_password':
      return { kind: 'password', ...entry.config };
    case 'certificate': {
      const { username, cert_file, key_file, ca_file, passphrase } = entry.config;
      return {
        kind: 'certificate',
        username: username ?? null,
        certFile: resolve(folder, cert_file),
        keyFile: resolve(folder, key_file),
        caFile: ca_file === undefined ? null : resolve(folder, ca_file),
        passphrase: passphrase ?? null,
      };
    }
    case 'azure_entra': {
      const tokens = sharedSource({
        way: wayOf(entry, folder),
        scope: entry.config.scope ?? DATABASE_SCOPE,
        authorityHost: entry.config.authority_host ?? null,
      });
      return { kind: 'token', username: null, tokens };
    }
  }
}
